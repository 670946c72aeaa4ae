import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { documentsConfig } from "../../examples/documents/config.ts";
import { type Documents, startDocuments } from "../../examples/documents/start.ts";
import { connection } from "../support/connections.ts";
import { testDatabase } from "../support/database.ts";
import { type Asked, httpServer } from "../support/http-server.ts";
import { configure, TASKS } from "../support/job.ts";
import { makeToken, restToken, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver, workerProcess } from "../support/worker.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const OWN = join(ROOT, "examples/documents/tasks");
const BOTH = [TASKS, OWN];
const database = testDatabase();

let app: Documents;
let operator: string;

beforeEach(async () => {
  configure({ LEGWORK_ALLOWED_ADDRESSES: "127.0.0.1" });
  app = await startDocuments(database.url, { DOCUMENTS_PORT: "0" });
  await clear();
  await select("delete from documents.workspaces");
  // By hand and when a test says so: a month's schedules are not to come due in between.
  await select("select legwork.disable_schedule(name) from legwork.schedules where name like 'documents/%'");
  operator = await makeToken(database, "operator");
});
afterEach(async () => {
  await app.stop();
  await select("select legwork.stop_enqueue_on('documents.documents', 'documents/index')");
});

async function clear(): Promise<void> {
  await select(
    "select graphile_worker.permanently_fail_jobs(array(select id from legwork.jobs where finished_at is null), 'The test is over.')",
  );
  await select("select legwork.discard_jobs('{}')");
}

// oxlint-disable-next-line typescript/no-explicit-any -- rows of every query
async function select(text: string, ...values: unknown[]): Promise<any[]> {
  return (await database.pool.query(text, values)).rows;
}

interface Answer {
  status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- each route has its own
  body: any;
}

async function ask(method: string, path: string, body?: unknown, token: string | undefined = operator): Promise<Answer> {
  const response = await fetch(`${app.url}/api/v1/background-jobs${path}`, {
    method,
    headers: {
      ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
}

/** Runs a job of the app by hand; resolves to the id of its execution. */
async function execute(jobId: string): Promise<string> {
  const { status, body } = await ask("POST", `/jobs/${jobId}/execute`);
  expect(status).toBe(202);
  return body.execution_id as string;
}

/** Waits until a job has ended. */
// oxlint-disable-next-line typescript/no-explicit-any -- results of every task
async function ended(id: string): Promise<any> {
  return await until(`job ${id} has ended`, async () => {
    const [job] = await select("select * from legwork.jobs where id = $1 and finished_at is not null", id);
    return job;
  });
}

async function addDocument(workspace: string, url: string, columns: Record<string, unknown> = {}): Promise<string> {
  await select("insert into documents.workspaces (id) values ($1) on conflict do nothing", workspace);
  const [row] = await select(
    `insert into documents.documents (workspace_id, source_url, kind, quality, content, checksum, etag, expires_at)
     values ($1, $2, coalesce($3, 'reference'), coalesce($4::real, 0.5), $5, $6, $7, now() + coalesce($8, '3 days')::interval) returning id`,
    workspace,
    url,
    columns.kind,
    columns.quality,
    columns.content,
    columns.checksum,
    columns.etag,
    columns.expires,
  );
  return row.id;
}

/** So many expired documents in each of the workspaces. */
async function addExpired(workspaces: string[], count: number): Promise<void> {
  await select("insert into documents.workspaces (id) select unnest($1::text[])", workspaces);
  await select(
    `insert into documents.documents (workspace_id, source_url, expires_at)
     select w, 'https://example.org/' || n, now() - interval '1 hour' from unnest($1::text[]) w, generate_series(1, $2) n`,
    workspaces,
    count,
  );
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** Puts a trigger on the table of documents until the test has finished. */
async function trigger(when: string, body: string): Promise<void> {
  await select(`create or replace function documents.tested() returns trigger language plpgsql as $$ begin ${body} end $$`);
  await select(`create trigger tested ${when} execute function documents.tested()`);
  onTestFinished(async () => void (await select("drop trigger tested on documents.documents")));
}

describe("documents", () => {
  it("A1 jobs are registered, listed, run by hand, disabled and enabled while everything runs", async () => {
    await workerOver(database.url, BOTH);
    const { body } = await ask("GET", "/jobs");
    expect(body.jobs.map((job: { job_id: string }) => job.job_id)).toEqual([
      "daily-ttl-cleanup",
      "health-check",
      "weekly-document-refresh",
    ]);
    const mine = { task: "health/probe", payload: { database: true }, every: "1h" };
    expect(await ask("PUT", "/jobs/mine", mine)).toMatchObject({ status: 201, body: { task: "health/probe", enabled: true } });
    expect(await ended(await execute("mine"))).toMatchObject({ state: "completed", result: { healthy: true } });
    expect(await ask("POST", "/jobs/mine/disable")).toMatchObject({ status: 200, body: { enabled: false, next_run_at: null } });
    await select("select legwork.fire_schedules(now() + interval '1 day', 100, 'documents/mine')");
    expect((await ask("GET", "/jobs/mine")).body.executions).toHaveLength(1);
    expect(await ask("POST", "/jobs/mine/enable")).toMatchObject({ body: { enabled: true, next_run_at: expect.any(String) } });
    await select("select legwork.fire_schedules(next_at, 100, name) from legwork.schedules where name = 'documents/mine'");
    expect((await ask("GET", "/jobs/mine")).body.executions).toHaveLength(2);
    expect((await ask("DELETE", "/jobs/mine")).status).toBe(204);
    expect((await ask("GET", "/jobs/mine")).status).toBe(404);
    // Started again, the app leaves a job disabled that somebody has disabled.
    await startDocuments(database.url, {});
    expect((await ask("GET", "/jobs/health-check")).body.enabled).toBe(false);
  });

  it("A1 no more jobs run at a time than configured, over all workers, and a worker that stops finishes its jobs", async () => {
    await startDocuments(database.url, { BG_JOBS_MAX_CONCURRENT: "2" });
    onTestFinished(async () => void (await startDocuments(database.url, {})));
    const open: (() => void)[] = [];
    const { url } = await httpServer((response) => void open.push(() => response.end("text")));
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) {
      const documentId = await addDocument("acme", `${url}/${n}`);
      const [job] = await select(
        "select legwork.enqueue('documents/refresh_document', $1) as id",
        JSON.stringify({ documentId }),
      );
      ids.push(job.id);
    }
    const workers = [await workerOver(database.url, BOTH), await workerOver(database.url, BOTH)];
    await until("two are asking", () => open.length === 2);
    const states = async () =>
      (await select("select state, count(*)::int from legwork.jobs where id = any ($1) group by 1 order by 1", ids)).map(
        ({ state, count }) => `${count} ${state}`,
      );
    expect((await states()).toSorted()).toEqual(["2 running", "3 blocked"]);
    // Both are asked to stop, and do when their job is done.
    const stops = workers.map((worker) => worker.stop());
    for (const answer of open.splice(0)) answer();
    expect(await Promise.all(stops)).toEqual([0, 0]);
    expect((await states()).toSorted()).toEqual(["2 completed", "3 pending"].toSorted());
    // Nothing is lost: another one does the rest.
    await workerOver(database.url, BOTH);
    const answering = setInterval(() => open.splice(0).forEach((answer) => answer()), 20);
    onTestFinished(() => clearInterval(answering));
    for (const id of ids) expect(await ended(id)).toMatchObject({ state: "completed", attempts: 1 });
  });

  it("A2 a job runs by cron, every so often or once, within bounds and so often, and says when next", async () => {
    const register = async (id: string, timing: Record<string, unknown>): Promise<Answer> => {
      onTestFinished(async () => void (await ask("DELETE", `/jobs/${id}`)));
      return await ask("PUT", `/jobs/${id}`, { task: "health/probe", ...timing });
    };
    expect(await register("t-cron", { cron: "0 2 * * *", timezone: "Europe/Vienna" })).toMatchObject({
      status: 201,
      body: { schedule: "0 2 * * *", sentence: expect.stringContaining("02:00"), next_run_at: expect.any(String) },
    });
    for (const [every, seconds] of Object.entries({ "10s": 10, "5m": 300, "2h": 7_200, "1d": 86_400 })) {
      const { body } = await register(`t-${every}`, { every });
      const next = Date.parse(body.next_run_at) - Date.now();
      expect(next).toBeGreaterThan((seconds - 5) * 1_000);
      expect(next).toBeLessThanOrEqual(seconds * 1_000);
    }
    const at = new Date(Date.now() + 3_600_000).toISOString();
    expect((await register("t-once", { at })).body.next_run_at).toBe(at);
    await select("select legwork.fire_schedules($1, 100, 'documents/t-once')", at);
    expect((await ask("GET", "/jobs/t-once")).body).toMatchObject({ next_run_at: null, runs: "1" });
    // Bounds: the first is not before the start, none is after the end, and the second of two is the last.
    const day = 86_400_000;
    const start = new Date(Math.floor(Date.now() / day) * day + 10 * day);
    const bounded = await register("t-bounded", {
      cron: "0 12 * * *",
      starts_at: start.toISOString(),
      ends_at: new Date(start.getTime() + 2 * day).toISOString(),
    });
    expect(bounded.body.next_run_at).toBe(new Date(start.getTime() + day / 2).toISOString());
    const [{ upcoming }] = await select("select upcoming from legwork.schedules where name = 'documents/t-bounded'");
    expect(upcoming).toHaveLength(2);
    const twice = await register("t-twice", { every: "1h", max_runs: 2 });
    for (let hour = 0; hour < 4; hour++) {
      const due = new Date(Date.parse(twice.body.next_run_at) + hour * 3_600_000);
      await select("select legwork.fire_schedules($1, 100, 'documents/t-twice')", due);
      await clear();
    }
    expect((await ask("GET", "/jobs/t-twice")).body).toMatchObject({ runs: "2", next_run_at: null, executions: [{}, {}] });
    // What cannot be is refused, with what is wrong.
    for (const [timing, said] of [
      [{ cron: "0 25 * * *" }, "25"],
      [{ every: "5m", cron: "* * * * *" }, "cron"],
      [{}, "cron"],
      [{ every: "often" }, "every"],
      [{ cron: "0 2 * * *", timezone: "Mars/Base" }, "Mars/Base"],
    ] as const) {
      expect(await register("t-wrong", timing)).toMatchObject({
        status: 400,
        body: { error: { message: expect.stringContaining(said) } },
      });
    }
  });

  it("A3 configuration, executions and metrics are tables, and old executions go by policy", async () => {
    await workerOver(database.url, BOTH);
    await select("update legwork.watch_steps set every = '200 ms', due_at = now()");
    const execution = await execute("daily-ttl-cleanup");
    await ended(execution);
    const [config] = await select("select * from documents.background_job_configs where job_id = 'daily-ttl-cleanup'");
    expect(config).toMatchObject({
      task: "retention/expire",
      schedule: "0 2 * * *",
      payload: { batchSize: 50, groups: { atOnce: 3 } },
    });
    expect(await select("select * from documents.background_job_executions where execution_id = $1", execution)).toMatchObject([
      {
        job_id: "daily-ttl-cleanup",
        by_hand: true,
        state: "completed",
        attempts: 1,
        result: { deleted: 0 },
        duration_ms: expect.any(String),
      },
    ]);
    await until("it is counted", async () => {
      const [counted] = await select(
        "select sum(completed)::int as completed from documents.background_job_metrics where job_id = 'daily-ttl-cleanup'",
      );
      return counted.completed >= 1;
    });
    // The policy is a setting; what is older than it is dropped with its partition.
    await select("select legwork.change_setting('history_retention', '8 days')");
    onTestFinished(async () => void (await select("select legwork.change_setting('history_retention', '30 days')")));
    await select("update legwork.finished_jobs set finished_at = now() - interval '100 days' where id = $1", execution);
    const dropped = await until("it is dropped", async () => {
      await select("select legwork.maintain_history()");
      return (await select("select from documents.background_job_executions where execution_id = $1", execution)).length === 0;
    }).catch(() => false);
    expect(dropped).toBe(true);
  });

  it("A4 a job is healthy, degraded and unhealthy by its failures; alerts are raised and resolved; hosts and metrics are shown", async () => {
    const status = { code: 500 };
    const { url } = await httpServer((response) => response.writeHead(status.code).end("x"));
    await startDocuments(database.url, { BG_JOBS_MAX_RETRIES: "0" });
    onTestFinished(async () => void (await startDocuments(database.url, {})));
    await select(
      "select legwork.set_alert_rule('documents_test', 'consecutive_failures', target => 'documents/refresh_document', warning => 2, critical => 4)",
    );
    onTestFinished(async () => void (await select("select legwork.drop_alert_rule('documents_test')")));
    await workerOver(database.url, BOTH);
    const documentId = await addDocument("acme", `${url}/a`);
    const attempt = async (): Promise<void> => {
      const [job] = await select(
        "select legwork.enqueue('documents/refresh_document', $1) as id",
        JSON.stringify({ documentId }),
      );
      await ended(job.id);
    };
    const health = async (): Promise<string> => {
      const { body } = await ask("GET", "/health");
      return `${body.status} ${body.tasks.find(({ name }: { name: string }) => name === "documents/refresh_document").status}`;
    };
    const alerts = async (): Promise<string[]> => {
      await select("select legwork.evaluate_alerts()");
      const rows = await select(
        "select state, severity from legwork.alerts where rule = 'documents_test' order by id desc limit 1",
      );
      return rows.map(({ state, severity }) => `${state} ${severity}`);
    };
    await attempt();
    expect(await health()).toBe("healthy healthy");
    await attempt();
    expect(await health()).toBe("degraded degraded");
    expect(await alerts()).toEqual(["open warning"]);
    await attempt();
    await attempt();
    expect(await health()).toBe("unhealthy unhealthy");
    expect((await ask("GET", "/health")).status).toBe(503);
    expect(await alerts()).toEqual(["open critical"]);
    expect((await ask("GET", "/health")).body.alerts).toMatchObject([{ rule: "documents_test", severity: "critical" }]);
    status.code = 200;
    await attempt();
    expect(await health()).toBe("healthy healthy");
    await until("the alert is resolved", async () => (await alerts())[0]?.startsWith("resolved"));
    const { hosts } = await until("the host has been measured", async () => {
      const { body } = await ask("GET", "/health");
      return body.hosts.length > 0 && body.hosts[0].cpu !== null && body;
    });
    for (const part of ["cpu", "memory", "disk"]) {
      expect(hosts[0][part]).toBeGreaterThanOrEqual(0);
      expect(hosts[0][part]).toBeLessThanOrEqual(1);
    }
    const server = await startRest(database);
    onTestFinished(() => server.stop());
    await select("update legwork.watch_steps set every = '200 ms', due_at = now()");
    await until("its failures are in the metrics", async () => {
      const answer = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${restToken}` } });
      const text = await answer.text();
      return (
        /legwork_jobs_failed_total\{task="documents\/refresh_document"\} [1-9]/.test(text) && /legwork_host_disk_ratio/.test(text)
      );
    });
  });

  it("A5 expired documents go workspace by workspace, three at a time", async () => {
    await addExpired(["w1", "w2", "w3", "w4", "w5"], 3);
    // Whoever deletes waits for a lock that the test holds.
    await trigger(
      "before delete on documents.documents for each statement",
      "perform pg_advisory_xact_lock_shared(5); return null;",
    );
    const holder = await connection(database);
    await holder.query("select pg_advisory_lock(5)");
    await workerOver(database.url, BOTH);
    const id = await execute("daily-ttl-cleanup");
    const waiting = async (): Promise<number> =>
      (await select("select count(*)::int from pg_locks where locktype = 'advisory' and objid = 5 and not granted"))[0].count;
    await until("three workspaces are at it", async () => (await waiting()) === 3);
    // A fourth would have begun by now: another job of the same worker has come and gone.
    await ended(await execute("health-check"));
    expect(await waiting()).toBe(3);
    await holder.query("select pg_advisory_unlock(5)");
    const { state, result } = await ended(id);
    expect(state).toBe("completed");
    expect(result.deleted).toBe(15);
    expect(result.groups.map(({ group, rows }: { group: string; rows: number }) => `${group} ${rows}`).toSorted()).toEqual([
      "w1 3",
      "w2 3",
      "w3 3",
      "w4 3",
      "w5 3",
    ]);
  });

  it("A5 it is at 02:00, deletes fifty at a time, at the rate that is set, and leaves what has not expired and other workspaces", async () => {
    const [schedule] = await select("select cron, timezone from legwork.schedules where name = 'documents/daily-ttl-cleanup'");
    expect(schedule).toEqual({ cron: "0 2 * * *", timezone: "UTC" });
    await startDocuments(database.url, { CTX7_EXCLUDED_WORKSPACES: "demo", CTX7_CLEANUP_ROWS_PER_SECOND: "200" });
    onTestFinished(async () => void (await startDocuments(database.url, {})));
    await addExpired(["acme", "globex", "demo", "closed"], 120);
    await select("update documents.workspaces set is_active = false where id = 'closed'");
    await addDocument("acme", "https://example.org/good", { expires: "1 minute" });
    await select("create table documents.batches (rows int)");
    onTestFinished(async () => void (await select("drop table documents.batches")));
    await trigger(
      "after delete on documents.documents referencing old table as gone for each statement",
      "insert into documents.batches select count(*) from gone; return null;",
    );
    await workerOver(database.url, BOTH);
    const { result, started_at: startedAt, finished_at: finishedAt } = await ended(await execute("daily-ttl-cleanup"));
    expect(result).toMatchObject({
      deleted: 240,
      groups: expect.arrayContaining([expect.objectContaining({ group: "acme", rows: 120 })]),
    });
    expect(await select("select max(rows)::int, sum(rows)::int from documents.batches")).toEqual([{ max: 50, sum: 240 }]);
    // 240 rows at 200 a second: the last batch of fifty begins 190 rows' time after the first at the earliest.
    expect(finishedAt.getTime() - startedAt.getTime()).toBeGreaterThan(900);
    expect(await select("select workspace_id, count(*)::int from documents.documents group by 1 order by 1")).toEqual([
      { workspace_id: "acme", count: 1 },
      { workspace_id: "closed", count: 120 },
      { workspace_id: "demo", count: 120 },
    ]);
  });

  it("A6 documents that expire within seven days are fetched again, the best first, in batches of twenty", async () => {
    const [schedule] = await select("select cron from legwork.schedules where name = 'documents/weekly-document-refresh'");
    expect(schedule).toEqual({ cron: "0 3 * * 0" });
    const { url, asked } = await httpServer((response, { path }) => response.end(`text of ${path}`));
    for (let n = 0; n < 45; n++) await addDocument("acme", `${url}/${n}`, { quality: n / 100 });
    await addDocument("acme", `${url}/later`, { expires: "8 days" });
    await addDocument("acme", `${url}/expired`, { expires: "-1 hour" });
    await addDocument("closed", `${url}/closed`);
    await select("update documents.workspaces set is_active = false where id = 'closed'");
    await workerOver(database.url, BOTH);
    const { state, result, progress, id } = await ended(await execute("weekly-document-refresh"));
    expect(state).toBe("completed");
    expect(result).toEqual({ found: 45, batches: 3, changed: 45, unchanged: 0, failed: 0, successRate: 100 });
    expect(Number(progress)).toBe(100);
    const numbers = asked.map(({ path }) => Number(path?.slice(1)));
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 45 }, (_, n) => n));
    // Five at a time within a batch, but no batch begins before the one before has ended.
    for (const [from, to] of [
      [0, 20],
      [20, 40],
      [40, 45],
    ] as const) {
      expect(numbers.slice(from, to).toSorted((a, b) => b - a)).toEqual(
        Array.from({ length: to - from }, (_, n) => 44 - from - n),
      );
    }
    const lines = await until("the log lines are there", async () => {
      const rows = await select(
        "select fields from legwork.logs where job_id = $1 and fields ->> 'event' like '%batch_complete' order by id",
        id,
      );
      return rows.length === 3 && rows;
    });
    expect(lines.map(({ fields }) => fields.changed)).toEqual([20, 20, 5]);
  });

  it("A6 the checksum tells what has changed, and how long a document lives on comes from what it is", async () => {
    const same = "the same text";
    const { url, asked } = await httpServer((response, { path, headers }) => {
      if (headers["if-none-match"] === '"v1"') response.writeHead(304).end();
      else response.setHeader("etag", '"v2"').end(path === "/changed" ? "new text" : same);
    });
    const before = { content: same, checksum: sha256(same) };
    const ids = {
      changed: await addDocument("acme", `${url}/changed`, before),
      unchanged: await addDocument("acme", `${url}/unchanged`, before),
      notModified: await addDocument("acme", `${url}/not-modified`, { ...before, etag: '"v1"' }),
      news: await addDocument("acme", `${url}/news`, { ...before, kind: "news" }),
      good: await addDocument("acme", `${url}/good`, { ...before, quality: 1, kind: "tutorial" }),
    };
    await workerOver(database.url, BOTH);
    const { result } = await ended(await execute("weekly-document-refresh"));
    expect(result).toMatchObject({ found: 5, changed: 1, unchanged: 4, failed: 0 });
    const row = async (id: string) =>
      (
        await select(
          `select content, checksum, etag, unchanged_count, round(extract(epoch from expires_at - fetched_at) / 86400, 2)::float8 as days
           from documents.documents where id = $1`,
          id,
        )
      )[0];
    // A reference is good for 30 days, times a quality of a half and a half, times one and a quarter when it has not changed.
    expect(await row(ids.changed)).toEqual({
      content: "new text",
      checksum: sha256("new text"),
      etag: '"v2"',
      unchanged_count: 0,
      days: 30,
    });
    expect(await row(ids.unchanged)).toMatchObject({ content: same, etag: '"v2"', unchanged_count: 1, days: 37.5 });
    expect(await row(ids.notModified)).toMatchObject({ content: same, etag: '"v1"', unchanged_count: 1, days: 37.5 });
    // Never shorter than it was promised: 3.75 days are more than the 3 that were left.
    expect(await row(ids.news)).toMatchObject({ days: 3.75 });
    expect(await row(ids.good)).toMatchObject({ days: 112.5 });
    expect(asked.find(({ path }) => path === "/unchanged")?.headers["if-none-match"]).toBeUndefined();
    // All of them live beyond a week now, but the news: only those are asked for again.
    expect((await ended(await execute("weekly-document-refresh"))).result).toMatchObject({ found: 1 });
  });

  it("A6 what fails is tried again one by one, and fails no batch", async () => {
    await startDocuments(database.url, { BG_JOBS_RETRY_DELAY: "10ms" });
    onTestFinished(async () => void (await startDocuments(database.url, {})));
    let flaky = 0;
    const { url } = await httpServer((response, { path }) => {
      if (path === "/gone") response.writeHead(404).end();
      else if (path === "/flaky" && flaky++ < 2) response.writeHead(503).end();
      else response.end("text");
    });
    const gone = await addDocument("acme", `${url}/gone`, { quality: 0.9 });
    const unsteady = await addDocument("acme", `${url}/flaky`, { quality: 0.8 });
    await addDocument("acme", `${url}/fine`);
    await workerOver(database.url, BOTH);
    const id = await execute("weekly-document-refresh");
    expect(await ended(id)).toMatchObject({
      state: "completed",
      result: { found: 3, batches: 1, changed: 1, failed: 2, successRate: 33.3 },
    });
    const alone = async (documentId: string) => {
      const [job] = await select(
        "select id from legwork.jobs where parent_id = $1 and payload ->> 'documentId' = $2",
        id,
        documentId,
      );
      return await ended(job.id);
    };
    expect(await alone(unsteady)).toMatchObject({ state: "completed", attempts: 2, result: { outcome: "changed" } });
    expect(await alone(gone)).toMatchObject({ state: "failed", attempts: 1, error: expect.stringContaining("404") });
    expect(
      await select("select refresh_failures, refresh_error from documents.documents where id = any ($1) order by quality desc", [
        gone,
        unsteady,
      ]),
    ).toEqual([
      { refresh_failures: 2, refresh_error: expect.stringContaining("404") },
      { refresh_failures: 0, refresh_error: null },
    ]);
  });

  it("A6 the vector store follows the table: what changes is stored there, what is deleted goes", async () => {
    // What a Weaviate of version 1 answers.
    const objects = new Map<string, { class: string; properties: Record<string, unknown> }>();
    let refusals = 0;
    const weaviate = await httpServer((response, { method, path, body }: Asked) => {
      if (method === "POST" && path === "/v1/batch/objects") {
        const [object] = JSON.parse(body.toString()).objects;
        const isRefused = object.properties.content === "new" && refusals++ === 0;
        if (!isRefused) objects.set(object.id, object);
        const result = isRefused
          ? { status: "FAILED", errors: { error: [{ message: "vectorize: busy" }] } }
          : { status: "SUCCESS" };
        response.setHeader("content-type", "application/json").end(JSON.stringify([{ ...object, result }]));
      } else if (method === "DELETE" && path?.startsWith("/v1/objects/Document/")) {
        response.writeHead(objects.delete(path.split("/").at(-1) ?? "") ? 204 : 404).end();
      } else response.writeHead(path === "/v1/.well-known/ready" ? 200 : 405).end();
    });
    const source = await httpServer((response) => response.end("new"));
    const environment = { CTX7_WEAVIATE_URL: weaviate.url, CTX7_WEAVIATE_KEY: "w-key", BG_JOBS_RETRY_DELAY: "10ms" };
    configure(environment);
    await startDocuments(database.url, environment);
    onTestFinished(async () => void (await startDocuments(database.url, {})));
    await workerOver(database.url, BOTH);
    const id = await addDocument("acme", `${source.url}/a`, { content: "old", checksum: sha256("old") });
    await until("it is there", () => objects.get(id)?.properties.content === "old");
    expect(objects.get(id)).toMatchObject({ class: "Document", properties: { workspace: "acme", sourceUrl: `${source.url}/a` } });
    expect(weaviate.asked[0]?.headers.authorization).toBe("Bearer w-key");
    // A store that answers 200 and has not stored it is an error, and is tried again.
    await ended(await execute("weekly-document-refresh"));
    await until("the new text is there", () => objects.get(id)?.properties.content === "new");
    expect(refusals).toBe(2);
    const [failed] = await select(
      "select error_name, error_message from legwork.attempts where task = 'documents/index' and error_name is not null",
    );
    expect(failed).toMatchObject({ error_name: "WeaviateError", error_message: expect.stringContaining("busy") });
    await select("update documents.documents set expires_at = now() - interval '1 second'");
    await ended(await execute("daily-ttl-cleanup"));
    await until("it is gone", () => !objects.has(id));
    // With no store configured, a job says so and makes nothing up; and none is made.
    configure({ CTX7_WEAVIATE_URL: undefined });
    const [job] = await select("select legwork.enqueue('documents/index', $1) as id", JSON.stringify({ documentId: id }));
    expect(await ended(job.id)).toMatchObject({
      state: "failed",
      attempts: 1,
      error: expect.stringContaining("CTX7_WEAVIATE_URL"),
    });
    await startDocuments(database.url, {});
    await addDocument("acme", "https://example.org/b", { content: "b" });
    expect(await select("select from legwork.jobs where task = 'documents/index' and finished_at is null")).toEqual([]);
  });

  it("A7 every five minutes the database, the services and each workspace are looked at", async () => {
    const well = await httpServer((response) => response.writeHead(200).end());
    const ill = await httpServer((response) => response.writeHead(503).end());
    await startDocuments(database.url, { CTX7_WEAVIATE_URL: well.url, CTX7_PROBES: `${ill.url}/health` });
    onTestFinished(async () => void (await startDocuments(database.url, {})));
    await select("select legwork.stop_enqueue_on('documents.documents', 'documents/index')");
    expect((await ask("GET", "/jobs/health-check")).body.schedule).toBe("every 00:05:00");
    await addDocument("acme", "https://example.org/1");
    await addDocument("globex", "https://example.org/2", { expires: "-3 days" });
    await addDocument("closed", "https://example.org/3", { expires: "-3 days" });
    await select("update documents.workspaces set is_active = false where id = 'closed'");
    await workerOver(database.url, BOTH);
    const { state, result } = await ended(await execute("health-check"));
    expect(state).toBe("completed");
    expect(result.healthy).toBe(false);
    expect(result.checks.map(({ name, healthy, error }: Record<string, unknown>) => ({ name, healthy, error }))).toEqual([
      { name: "database", healthy: true },
      { name: "weaviate", healthy: true },
      { name: ill.host, healthy: false, error: "Status 503, expected 200 to 299." },
      { name: "workspace:acme", healthy: true },
      { name: "workspace:globex", healthy: false, error: "1 expired more than 36 hours ago and still here" },
    ]);
    expect((await ask("GET", "/health")).body).toMatchObject({ status: "degraded", last_check: { healthy: false } });
    expect(well.asked[0]?.path).toBe("/v1/.well-known/ready");
  });

  it("A8 the routes tell of health, jobs and statistics, run a job and switch it, each with its status code", async () => {
    expect((await ask("GET", "/health")).status).toBe(503);
    await workerOver(database.url, BOTH);
    expect((await ask("GET", "/health")).body.jobs).toHaveLength(3);
    expect(await ask("GET", "/jobs")).toMatchObject({
      status: 200,
      body: {
        total: 3,
        jobs: [{ job_id: "daily-ttl-cleanup", schedule: "0 2 * * *", sentence: expect.any(String), enabled: false }, {}, {}],
      },
    });
    const before = (await ask("GET", "/stats/summary")).body;
    const started = await ask("POST", "/jobs/daily-ttl-cleanup/execute");
    expect(started).toMatchObject({ status: 202, body: { job_id: "daily-ttl-cleanup", status: "started" } });
    await ended(started.body.execution_id);
    const summary = await ask("GET", "/stats/summary");
    expect(summary).toMatchObject({
      status: 200,
      body: { total_jobs: 3, enabled_jobs: 0, executions: before.executions + 1, completed: before.completed + 1, running: 0 },
    });
    expect(summary.body.success_rate).toBeGreaterThan(0);
    expect((await ask("GET", "/jobs/daily-ttl-cleanup")).body.executions[0]).toMatchObject({
      execution_id: started.body.execution_id,
      state: "completed",
    });
    expect(await ask("POST", "/jobs/daily-ttl-cleanup/enable")).toMatchObject({ status: 200, body: { enabled: true } });
    expect(await ask("POST", "/jobs/daily-ttl-cleanup/disable")).toMatchObject({ status: 200, body: { enabled: false } });
    for (const path of ["/jobs/unknown/execute", "/jobs/unknown/enable", "/jobs/unknown/disable", "/dead-letters/1x/retry"]) {
      expect(await ask("POST", path)).toMatchObject({ status: 404, body: { error: { code: "LW404" } } });
    }
    expect((await ask("GET", "/jobs/unknown")).status).toBe(404);
    expect(await ask("PUT", "/jobs/x", { task: "no/such", every: "1h" })).toMatchObject({ status: 404 });
    expect(await ask("PUT", "/jobs/x", { task: "documents/refresh", every: "1h", payload: { batchSize: 0 } })).toMatchObject({
      status: 422,
      body: { error: { message: expect.stringContaining("batchSize") } },
    });
    // A job that runs is not run beside itself.
    const holder = await connection(database);
    await addExpired(["acme"], 1);
    await trigger(
      "before delete on documents.documents for each statement",
      "perform pg_advisory_xact_lock_shared(8); return null;",
    );
    await holder.query("select pg_advisory_lock(8)");
    const running = await execute("daily-ttl-cleanup");
    expect(await ask("POST", "/jobs/daily-ttl-cleanup/execute")).toMatchObject({
      status: 409,
      body: { error: { code: "LW409" } },
    });
    await holder.query("select pg_advisory_unlock(8)");
    await ended(running);
    // Who may look may not act; nobody else may look.
    const viewer = await makeToken(database, "viewer");
    expect((await ask("GET", "/jobs", undefined, viewer)).status).toBe(200);
    for (const [method, path] of [
      ["POST", "/jobs/health-check/execute"],
      ["POST", "/jobs/health-check/enable"],
      ["DELETE", "/jobs/health-check"],
    ] as const) {
      expect((await ask(method, path, undefined, viewer)).status).toBe(403);
    }
    expect((await ask("GET", "/jobs", undefined, await makeToken(database, "operator", "acme"))).status).toBe(403);
    expect((await ask("GET", "/health", undefined, "")).status).toBe(401);
    expect((await ask("GET", "/health", undefined, "wrong")).status).toBe(401);
  });

  it("A9 a job is tried as often and as late as configured, for errors worth it; dead letters are kept and can be driven again", async () => {
    await startDocuments(database.url, {
      BG_JOBS_MAX_RETRIES: "2",
      BG_JOBS_RETRY_DELAY: "100ms",
      BG_JOBS_RETRY_MULTIPLIER: "3",
      BG_JOBS_RETRY_ON: "SourceError",
    });
    onTestFinished(async () => void (await startDocuments(database.url, {})));
    const mode = { down: true };
    const { url } = await httpServer((response) => (mode.down ? response.writeHead(500).end() : response.end("back")));
    await workerOver(database.url, BOTH);
    const failing = async (address: string): Promise<string> => {
      const documentId = await addDocument("acme", address);
      const [job] = await select(
        "select legwork.enqueue('documents/refresh_document', $1) as id",
        JSON.stringify({ documentId }),
      );
      return job.id;
    };
    const id = await failing(`${url}/a`);
    expect(await ended(id)).toMatchObject({ state: "failed", attempts: 3, error: expect.stringContaining("500") });
    const attempts = await select(
      `select error_name, round(extract(epoch from retry_at - finished_at) * 1000)::int as delay from legwork.attempts where job_id = $1 order by attempt`,
      id,
    );
    expect(attempts.map(({ error_name: name }) => name)).toEqual(["SourceError", "SourceError", "SourceError"]);
    expect(attempts[0].delay).toBeGreaterThan(50);
    expect(attempts[0].delay).toBeLessThan(200);
    expect(attempts[1].delay).toBeGreaterThan(250);
    expect(attempts[1].delay).toBeLessThan(400);
    // Nothing listens there, and that name is not in the list: it fails at once.
    const refused = await failing("http://127.0.0.1:9/x");
    expect(await ended(refused)).toMatchObject({ state: "failed", attempts: 1 });
    const letters = (await ask("GET", "/dead-letters")).body.dead_letters;
    expect(letters.map(({ execution_id: letter }: { execution_id: string }) => letter)).toEqual([refused, id]);
    expect(letters[1]).toMatchObject({ task: "documents/refresh_document", attempts: 3, error: expect.stringContaining("500") });
    mode.down = false;
    expect(await ask("POST", `/dead-letters/${id}/retry`)).toMatchObject({ status: 202 });
    await until(
      "it has completed",
      async () => (await select("select from legwork.jobs where id = $1 and state = 'completed'", id)).length > 0,
    );
    expect((await ask("POST", `/dead-letters/${id}/retry`)).status).toBe(409);
    expect((await ask("GET", "/dead-letters")).body.dead_letters).toHaveLength(1);
  });

  it("A10 each step is one line with correlation id, duration and counts, and all that a job enqueues has the same id", async () => {
    const lines: Record<string, unknown>[] = [];
    const worker = spawn(
      process.execPath,
      ["bin/legwork.js", "worker", "--tasks", TASKS, "--tasks", OWN, "--crontab", "/dev/null"],
      {
        cwd: ROOT,
        env: { ...process.env, DATABASE_URL: database.url, LEGWORK_LOG_LEVEL: "info" },
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    onTestFinished(() => void worker.kill("SIGKILL"));
    createInterface({ input: worker.stderr }).on("line", (text) => lines.push(JSON.parse(text) as Record<string, unknown>));
    const { url } = await httpServer((response, { path }) => response.writeHead(path === "/bad" ? 404 : 200).end("text"));
    await addExpired(["old-1", "old-2"], 4);
    await addDocument("acme", `${url}/good`);
    await addDocument("acme", `${url}/bad`);
    const payload = (await select("select payload from legwork.schedules where name = 'documents/daily-ttl-cleanup'"))[0].payload;
    await select("select legwork.enqueue('retention/expire', $1, correlation_id => 'ttl_cleanup_abc123')", payload);
    const [{ id }] = await select(
      "select legwork.enqueue('documents/refresh', '{}', correlation_id => 'doc_refresh_def456') as id",
    );
    const line = (event: string, more: Record<string, unknown> = {}): Promise<Record<string, unknown>> =>
      until(event, () =>
        lines.find((one) => one.event === event && Object.entries(more).every(([key, value]) => one[key] === value)),
      );
    for (const group of ["old-1", "old-2"]) {
      expect(await line("group_expired", { group })).toMatchObject({
        correlationId: "ttl_cleanup_abc123",
        rows: 4,
        durationMs: expect.any(Number),
      });
    }
    expect(await line("rows_expired")).toMatchObject({
      correlationId: "ttl_cleanup_abc123",
      rows: 8,
      groups: 2,
      durationMs: expect.any(Number),
    });
    const refresh = { correlationId: "doc_refresh_def456", jobId: id };
    expect(await line("document_refresh_job_start")).toMatchObject({ ...refresh, found: 2 });
    expect(await line("document_refresh_batch_complete")).toMatchObject({
      ...refresh,
      changed: 1,
      failed: 1,
      durationMs: expect.any(Number),
    });
    expect(await line("document_refresh_job_complete")).toMatchObject({
      ...refresh,
      changed: 1,
      failed: 1,
      successRate: 50,
      durationMs: expect.any(Number),
    });
    expect(lines.filter(({ event }) => event === "document_refresh_job_complete")).toHaveLength(1);
    // The job that it has enqueued fails under the same id.
    expect(await line("job_failed", { correlationId: "doc_refresh_def456" })).toMatchObject({
      task: "documents/refresh_document",
    });
    const children = await until("it has ended", async () => {
      const rows = await select(
        "select parent_id, correlation_id from legwork.jobs where parent_id = $1 and finished_at is not null",
        id,
      );
      return rows.length > 0 && rows;
    });
    expect(children).toEqual([{ parent_id: id, correlation_id: "doc_refresh_def456" }]);
  });

  it("A11 what jobs do and when comes from the environment, and what is wrong there stops the start with the variable's name", async () => {
    await startDocuments(database.url, {
      CTX7_TTL_CLEANUP_BATCH_SIZE: "70",
      CTX7_MAX_CONCURRENT_WORKSPACE_JOBS: "2",
      CTX7_REFRESH_BATCH_SIZE: "10",
      CTX7_REFRESH_THRESHOLD_DAYS: "14",
      BG_JOBS_CLEANUP_SCHEDULE: "30 4 * * *",
      BG_JOBS_HEALTH_SCHEDULE: "every 30s",
      BG_JOBS_TIMEZONE: "Europe/Vienna",
      BG_JOBS_MAX_CONCURRENT: "9",
      BG_JOBS_ENABLED: "",
    });
    onTestFinished(async () => void (await startDocuments(database.url, {})));
    const config = "select job_id, schedule, timezone, payload from documents.background_job_configs order by job_id";
    expect(await select(config)).toMatchObject([
      {
        job_id: "daily-ttl-cleanup",
        schedule: "30 4 * * *",
        timezone: "Europe/Vienna",
        payload: { batchSize: 70, groups: { atOnce: 2 } },
      },
      { job_id: "health-check", schedule: "every 00:00:30" },
      { job_id: "weekly-document-refresh", payload: { batchSize: 10, withinDays: 14 } },
    ]);
    expect(await select("select (limits -> 0 ->> 'max')::int as max from legwork.queues where name = 'documents'")).toEqual([
      { max: 9 },
    ]);
    await select("select legwork.enable_schedule(name) from legwork.schedules where name like 'documents/%'");
    await startDocuments(database.url, { BG_JOBS_ENABLED: "false" });
    expect(await select("select from documents.background_job_configs where enabled")).toEqual([]);
    const wrong: [Record<string, string>, string][] = [
      [{ BG_JOBS_ENABLED: "maybe" }, "BG_JOBS_ENABLED"],
      [{ BG_JOBS_MAX_CONCURRENT: "0" }, "BG_JOBS_MAX_CONCURRENT"],
      [{ CTX7_TTL_CLEANUP_BATCH_SIZE: "many" }, "CTX7_TTL_CLEANUP_BATCH_SIZE"],
      [{ CTX7_WEAVIATE_URL: "ftp://x" }, "CTX7_WEAVIATE_URL"],
      [{ CTX7_PROBES: "http://a,b" }, "CTX7_PROBES"],
    ];
    for (const [environment, variable] of wrong) expect(() => documentsConfig(environment)).toThrow(variable);
    // What only the database can tell is refused as well, and nothing is half changed.
    const before = await select(config);
    await expect(startDocuments(database.url, { BG_JOBS_CLEANUP_SCHEDULE: "0 25 * * *" })).rejects.toThrow("25");
    await expect(startDocuments(database.url, { BG_JOBS_TIMEZONE: "Mars/Base", CTX7_REFRESH_BATCH_SIZE: "3" })).rejects.toThrow(
      "Mars/Base",
    );
    await expect(startDocuments(database.url, { BG_JOBS_RETRY_DELAY: "soon", CTX7_REFRESH_BATCH_SIZE: "3" })).rejects.toThrow(
      "soon",
    );
    expect(await select(config)).toEqual(before);
  });

  it("A12 the refresh waits for a clean-up that has completed, and is held back with the reason without one", async () => {
    await startDocuments(database.url, { BG_JOBS_REFRESH_AFTER_CLEANUP: "true" });
    onTestFinished(async () => void (await startDocuments(database.url, {})));
    await select(
      "select legwork.enable_schedule(name) from legwork.schedules where name in ('documents/daily-ttl-cleanup', 'documents/weekly-document-refresh')",
    );
    const name = "documents/weekly-document-refresh";
    const [{ next_at: sunday }] = await select("select next_at from legwork.schedules where name = $1", name);
    const after = (minutes: number): Date => new Date(sunday.getTime() + minutes * 60_000);
    const run = async (): Promise<Record<string, unknown>> =>
      (await select("select state, reason from legwork.schedule_runs where schedule = $1 order by due_at desc limit 1", name))[0];
    // The clean-up of that Sunday is asked for and does not come to an end.
    await select("select legwork.fire_schedules($1, 100, $2)", after(0), name);
    expect(await run()).toMatchObject({ state: "waiting", reason: expect.stringContaining("documents/daily-ttl-cleanup") });
    await select("select legwork.fire_schedules($1, 100, $2)", after(181), name);
    expect(await run()).toMatchObject({ state: "held_back", reason: expect.stringContaining("documents/daily-ttl-cleanup") });
  });

  it("A12 several nodes share the work, and a job of one's own is a file", async () => {
    const tasks = await directoryOf({
      "mine/count.ts": `
        import { defineTask } from "legwork";
        import { z } from "zod";
        export default defineTask({
          description: "Counts documents.", payload: z.object({ workspace: z.string() }),
          async run({ workspace }, { sql }) {
            await sql\`select pg_advisory_xact_lock_shared(12)\`;
            return (await sql\`select count(*)::int from documents.documents where workspace_id = \${workspace}\`)[0];
          },
        });`,
    });
    await addDocument("acme", "https://example.org/1");
    const environment = { LEGWORK_CONCURRENCY: "2", LEGWORK_LOCAL_QUEUE_SIZE: "0" };
    await Promise.all([workerProcess(database, tasks, environment), workerProcess(database, tasks, environment)]);
    const holder = await connection(database);
    await holder.query("select pg_advisory_lock(12)");
    onTestFinished(async () => void (await ask("DELETE", "/jobs/count")));
    expect(
      await ask("PUT", "/jobs/count", { task: "mine/count", payload: { workspace: "acme" }, cron: "0 4 * * *" }),
    ).toMatchObject({ status: 201 });
    const first = await execute("count");
    const ids = [first];
    for (let n = 0; n < 3; n++)
      ids.push((await select(`select legwork.enqueue('mine/count', '{"workspace": "acme"}') as id`))[0].id);
    await until(
      "all four run",
      async () => (await select("select from legwork.jobs where id = any ($1) and state = 'running'", ids)).length === 4,
    );
    expect((await ask("GET", "/health")).body.workers).toBe(2);
    await holder.query("select pg_advisory_unlock(12)");
    for (const id of ids) expect(await ended(id)).toMatchObject({ state: "completed", result: { count: 1 } });
    const ran = await select("select worker, count(*)::int from legwork.jobs where id = any ($1) group by worker", ids);
    expect(ran.map(({ count }) => count)).toEqual([2, 2]);
    expect((await ask("GET", "/jobs/count")).body.executions).toMatchObject([{ execution_id: first, state: "completed" }]);
  });
});
