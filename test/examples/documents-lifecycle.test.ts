import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, expect, it, onTestFinished } from "vitest";
import { connection } from "../support/connections.ts";
import { documentsApp, DOCUMENTS_TASKS, ROOT, sha256 } from "../support/documents.ts";
import { type Asked, httpServer } from "../support/http-server.ts";
import { configure } from "../support/job.ts";
import { until } from "../support/until.ts";

const { database, select, ask, restart, worker, execute, ended, addDocument, addExpired, trigger } = documentsApp();
describe("the life cycle of documents", () => {
  it("A5 expired documents are deleted workspace by workspace, three at a time", async () => {
    await addExpired(["w1", "w2", "w3", "w4", "w5"], 3);
    // Each deletion waits for a lock that this test holds.
    await trigger(
      "before delete on documents.documents for each statement",
      "perform pg_advisory_xact_lock_shared(5); return null;",
    );
    const holder = await connection(database);
    await holder.query("select pg_advisory_lock(5)");
    await worker();
    const id = await execute("daily-ttl-cleanup");
    const waiting = async (): Promise<number> =>
      (await select("select count(*)::int from pg_locks where locktype = 'advisory' and objid = 5 and not granted"))[0].count;
    await until("three workspaces are being processed", async () => (await waiting()) === 3);
    // A fourth deletion would have begun by now, because another job of the same worker has run.
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

  it("A5 the cleanup runs at 02:00, deletes fifty at a time at the configured rate, and keeps valid documents and excluded workspaces", async () => {
    const [schedule] = await select("select cron, timezone from legwork.schedules where name = 'documents/daily-ttl-cleanup'");
    expect(schedule).toEqual({ cron: "0 2 * * *", timezone: "UTC" });
    await restart({ CTX7_EXCLUDED_WORKSPACES: "demo", CTX7_CLEANUP_ROWS_PER_SECOND: "200" });
    await addExpired(["acme", "globex", "demo", "closed"], 120);
    await select("update documents.workspaces set is_active = false where id = 'closed'");
    await addDocument("acme", "https://example.org/good", { expires: "1 minute" });
    await select("create table documents.batches (rows int)");
    onTestFinished(async () => void (await select("drop table documents.batches")));
    await trigger(
      "after delete on documents.documents referencing old table as gone for each statement",
      "insert into documents.batches select count(*) from gone; return null;",
    );
    await worker();
    const { result, started_at: startedAt, finished_at: finishedAt } = await ended(await execute("daily-ttl-cleanup"));
    expect(result).toMatchObject({
      deleted: 240,
      groups: expect.arrayContaining([expect.objectContaining({ group: "acme", rows: 120 })]),
    });
    expect(await select("select max(rows)::int, sum(rows)::int from documents.batches")).toEqual([{ max: 50, sum: 240 }]);
    // 240 rows at 200 a second: the last batch of fifty begins after 190 rows at the earliest.
    expect(finishedAt.getTime() - startedAt.getTime()).toBeGreaterThan(900);
    expect(await select("select workspace_id, count(*)::int from documents.documents group by 1 order by 1")).toEqual([
      { workspace_id: "acme", count: 1 },
      { workspace_id: "closed", count: 120 },
      { workspace_id: "demo", count: 120 },
    ]);
  });

  it("A6 documents that expire within seven days are fetched again, best first, in batches of twenty", async () => {
    const [schedule] = await select("select cron from legwork.schedules where name = 'documents/weekly-document-refresh'");
    expect(schedule).toEqual({ cron: "0 3 * * 0" });
    const { url, asked } = await httpServer((response, { path }) => response.end(`text of ${path}`));
    for (let n = 0; n < 45; n++) await addDocument("acme", `${url}/${n}`, { quality: n / 100 });
    await addDocument("acme", `${url}/later`, { expires: "8 days" });
    await addDocument("acme", `${url}/expired`, { expires: "-1 hour" });
    await addDocument("closed", `${url}/closed`);
    await select("update documents.workspaces set is_active = false where id = 'closed'");
    await worker();
    const { state, result, id } = await ended(await execute("weekly-document-refresh"));
    expect(state).toBe("completed");
    expect(result).toEqual({ found: 45, batches: 3, changed: 45, unchanged: 0, failed: 0, successRate: 100 });
    const numbers = asked.map(({ path }) => Number(path?.slice(1)));
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 45 }, (_, n) => n));
    // Five documents are fetched at a time within a batch, and no batch begins before the previous one has ended.
    for (const [from, to] of [
      [0, 20],
      [20, 40],
      [40, 45],
    ] as const) {
      expect(numbers.slice(from, to).toSorted((a, b) => b - a)).toEqual(
        Array.from({ length: to - from }, (_, n) => 44 - from - n),
      );
    }
    const lines = await until("the log lines are stored", async () => {
      const rows = await select(
        "select fields from legwork.logs where job_id = $1 and fields ->> 'event' like '%batch_complete' order by id",
        id,
      );
      return rows.length === 3 && rows;
    });
    expect(lines.map(({ fields }) => fields.changed)).toEqual([20, 20, 5]);
    expect(await select("select progress::int, progress_message from legwork.jobs where id = $1", id)).toEqual([
      { progress: 100, progress_message: "45 of 45 documents" },
    ]);
  });

  it("A6 the checksum shows what has changed, and the new time to live depends on the document", async () => {
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
    await worker();
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
    // A reference document lives for 30 days × (quality + 0.5), and × 1.25 if it has not changed.
    expect(await row(ids.changed)).toEqual({
      content: "new text",
      checksum: sha256("new text"),
      etag: '"v2"',
      unchanged_count: 0,
      days: 30,
    });
    expect(await row(ids.unchanged)).toMatchObject({ content: same, etag: '"v2"', unchanged_count: 1, days: 37.5 });
    expect(await row(ids.notModified)).toMatchObject({ content: same, etag: '"v1"', unchanged_count: 1, days: 37.5 });
    // The time to live is never shortened: 3.75 days are more than the 3 days that were left.
    expect(await row(ids.news)).toMatchObject({ days: 3.75 });
    expect(await row(ids.good)).toMatchObject({ days: 112.5 });
    expect(asked.find(({ path }) => path === "/unchanged")?.headers["if-none-match"]).toBeUndefined();
    // All documents except the news now live longer than a week, so only the news document is refreshed again.
    expect((await ended(await execute("weekly-document-refresh"))).result).toMatchObject({ found: 1 });
  });

  it("A6 a failed document is retried in its own job, and does not fail its batch", async () => {
    await restart({ BG_JOBS_RETRY_DELAY: "10ms" });
    let flaky = 0;
    const { url } = await httpServer((response, { path }) => {
      if (path === "/gone") response.writeHead(404).end();
      else if (path === "/flaky" && flaky++ < 2) response.writeHead(503).end();
      else response.end("text");
    });
    const gone = await addDocument("acme", `${url}/gone`, { quality: 0.9 });
    const unsteady = await addDocument("acme", `${url}/flaky`, { quality: 0.8 });
    await addDocument("acme", `${url}/fine`);
    await worker();
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
    // The run has no correlation id, so its own id is used for the jobs that it enqueues.
    const ids = "select distinct correlation_id from legwork.jobs where parent_id = $1";
    expect(await select(ids, id)).toEqual([{ correlation_id: id }]);
    const { body: job } = await ask("GET", "/jobs/weekly-document-refresh");
    expect(job.executions[0]).toMatchObject({ execution_id: id, correlation_id: id });
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

  it("A6 the vector store follows the table: changes are stored there, and deletions are applied", async () => {
    // The responses of Weaviate version 1.
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
    await restart(environment);
    await worker();
    const id = await addDocument("acme", `${source.url}/a`, { content: "old", checksum: sha256("old") });
    await until("the object is stored", () => objects.get(id)?.properties.content === "old");
    expect(objects.get(id)).toMatchObject({ class: "Document", properties: { workspace: "acme", sourceUrl: `${source.url}/a` } });
    expect(weaviate.asked[0]?.headers.authorization).toBe("Bearer w-key");
    // A store that returns 200 without storing the object is an error, and is retried.
    await ended(await execute("weekly-document-refresh"));
    await until("the new text is stored", () => objects.get(id)?.properties.content === "new");
    expect(refusals).toBe(2);
    const [failed] = await select(
      "select error_name, error_message from legwork.attempts where task = 'documents/index' and error_name is not null",
    );
    expect(failed).toMatchObject({ error_name: "WeaviateError", error_message: expect.stringContaining("busy") });
    await select("update documents.documents set expires_at = now() - interval '1 second'");
    await ended(await execute("daily-ttl-cleanup"));
    await until("the object is deleted", () => !objects.has(id));
    // Without a store, a job fails with the variable's name, and no new job is enqueued.
    configure({ CTX7_WEAVIATE_URL: undefined });
    const [job] = await select("select legwork.enqueue('documents/index', $1) as id", JSON.stringify({ documentId: id }));
    expect(await ended(job.id)).toMatchObject({
      state: "failed",
      attempts: 1,
      error: expect.stringContaining("CTX7_WEAVIATE_URL"),
    });
    await restart({});
    await addDocument("acme", "https://example.org/b", { content: "b" });
    expect(await select("select from legwork.jobs where task = 'documents/index' and finished_at is null")).toEqual([]);
  });

  it("A7 the database, the services and each workspace are checked every five minutes", async () => {
    const well = await httpServer((response) => response.writeHead(200).end());
    const ill = await httpServer((response) => response.writeHead(503).end());
    await restart({ CTX7_WEAVIATE_URL: well.url, CTX7_PROBES: `${ill.url}/health` });
    expect((await ask("GET", "/jobs/health-check")).body.schedule).toBe("every 00:05:00");
    await addDocument("acme", "https://example.org/1");
    await addDocument("globex", "https://example.org/2", { expires: "-3 days" });
    await addDocument("closed", "https://example.org/3", { expires: "-3 days" });
    await select("update documents.workspaces set is_active = false where id = 'closed'");
    await worker();
    const { state, result } = await ended(await execute("health-check"));
    expect(state).toBe("completed");
    expect(result.healthy).toBe(false);
    expect(result.checks.map(({ name, healthy, error }: Record<string, unknown>) => ({ name, healthy, error }))).toEqual([
      { name: "database", healthy: true },
      { name: "weaviate", healthy: true },
      { name: ill.host, healthy: false, error: "Status 503, expected 200 to 299." },
      { name: "workspace:acme", healthy: true },
      { name: "workspace:globex", healthy: false, error: "1 expired more than 36 hours ago and not deleted" },
    ]);
    expect((await ask("GET", "/health")).body).toMatchObject({ status: "degraded", last_check: { healthy: false } });
    expect(well.asked[0]?.path).toBe("/v1/.well-known/ready");
  });

  it("A10 each step is one log line with correlation id, duration and counts, and the jobs that a job enqueues have the same id", async () => {
    const lines: Record<string, unknown>[] = [];
    const child = spawn(
      process.execPath,
      ["bin/legwork.js", "worker", ...DOCUMENTS_TASKS.flatMap((folder) => ["--tasks", folder]), "--crontab", "/dev/null"],
      {
        cwd: ROOT,
        env: { ...process.env, DATABASE_URL: database.url, LEGWORK_LOG_LEVEL: "info" },
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    onTestFinished(() => void child.kill("SIGKILL"));
    createInterface({ input: child.stderr }).on("line", (text) => lines.push(JSON.parse(text) as Record<string, unknown>));
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
    // The job that this job has enqueued fails with the same correlation id.
    expect(await line("job_failed", { correlationId: "doc_refresh_def456" })).toMatchObject({
      task: "documents/refresh_document",
    });
    const children = await until("the child job has ended", async () => {
      const rows = await select(
        "select parent_id, correlation_id from legwork.jobs where parent_id = $1 and finished_at is not null",
        id,
      );
      return rows.length > 0 && rows;
    });
    expect(children).toEqual([{ parent_id: id, correlation_id: "doc_refresh_def456" }]);
    child.kill("SIGTERM");
    expect((await once(child, "exit"))[0]).toBe(0);
  });
});
