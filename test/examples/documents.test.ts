import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { documentsConfig } from "../../examples/documents/config.ts";
import { connection } from "../support/connections.ts";
import { type Answer, documentsApp, DOCUMENTS_TASKS, ROOT } from "../support/documents.ts";
import { httpServer } from "../support/http-server.ts";
import { makeToken, restToken, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerProcess } from "../support/worker.ts";

const { database, select, clear, ask, restart, worker, execute, refresh, ended, addDocument, addExpired, trigger } =
  documentsApp();
describe("documents", () => {
  it("A1 jobs are registered, listed, run manually, disabled and enabled at run time", async () => {
    await worker();
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
    await select("select legwork_private.fire_schedules(now() + interval '1 day', 100, 'documents/mine')");
    expect((await ask("GET", "/jobs/mine")).body.executions).toHaveLength(1);
    expect(await ask("POST", "/jobs/mine/enable")).toMatchObject({ body: { enabled: true, next_run_at: expect.any(String) } });
    await select(
      "select legwork_private.fire_schedules(next_at, 100, name) from legwork.schedules where name = 'documents/mine'",
    );
    expect((await ask("GET", "/jobs/mine")).body.executions).toHaveLength(2);
    expect((await ask("DELETE", "/jobs/mine")).status).toBe(204);
    expect((await ask("GET", "/jobs/mine")).status).toBe(404);
    // After a restart, the app leaves a disabled job disabled.
    await restart({});
    expect((await ask("GET", "/jobs/health-check")).body.enabled).toBe(false);
  });

  it("A1 no more jobs than configured run at a time across all workers, and a worker that stops finishes its jobs", async () => {
    await restart({ BG_JOBS_MAX_CONCURRENT: "2" });
    const open: (() => void)[] = [];
    const { url } = await httpServer((response) => void open.push(() => response.end("text")));
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) {
      const documentId = await addDocument("acme", `${url}/${n}`);
      ids.push(await refresh(documentId));
    }
    const start = () => workerProcess(database, DOCUMENTS_TASKS, { LEGWORK_LOG_LEVEL: "info" }, { stderr: "pipe" });
    const workers = await Promise.all([start(), start()]);
    const logs = workers.map(() => "");
    workers.forEach((child, index) => child.stderr?.on("data", (chunk) => (logs[index] += String(chunk))));
    const haveSaid = (text: string): boolean => logs.every((log) => log.includes(text));
    await until(
      "two requests are open, and both workers are ready for process signals",
      () => open.length === 2 && haveSaid("worker_ready"),
    );
    const states = async () =>
      (await select("select state, count(*)::int from legwork.jobs where id = any ($1) group by 1 order by 1", ids)).map(
        ({ state, count }) => `${count} ${state}`,
      );
    expect((await states()).toSorted()).toEqual(["2 running", "3 blocked"]);
    // Both workers are stopped, and exit when their jobs have ended.
    const exits = workers.map((child) => once(child, "exit"));
    for (const child of workers) child.kill("SIGTERM");
    // Responses are sent only now, because a worker that is not stopping yet would fetch another job.
    await until("both workers are stopping", () => haveSaid('"event":"stopping"'));
    for (const answer of open.splice(0)) answer();
    expect((await Promise.all(exits)).map(([code]) => code)).toEqual([0, 0]);
    expect((await states()).toSorted()).toEqual(["1 blocked", "2 completed", "2 pending"]);
    // No job is lost: another worker runs the rest.
    await worker();
    const answering = setInterval(() => open.splice(0).forEach((answer) => answer()), 20);
    onTestFinished(() => clearInterval(answering));
    for (const id of ids) expect(await ended(id)).toMatchObject({ state: "completed", attempts: 1 });
  });

  it("A2 a job runs by cron, at intervals or once, within bounds and up to a number of runs, and shows its next run", async () => {
    const register = async (id: string, timing: Record<string, unknown>): Promise<Answer> => {
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
    await select("select legwork_private.fire_schedules($1, 100, 'documents/t-once')", at);
    expect((await ask("GET", "/jobs/t-once")).body).toMatchObject({ next_run_at: null, runs: "1" });
    // Bounds: no run is before the start or after the end, and of at most two runs, the second is the last.
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
      await select("select legwork_private.fire_schedules($1, 100, 'documents/t-twice')", due);
      await clear();
    }
    expect((await ask("GET", "/jobs/t-twice")).body).toMatchObject({ runs: "2", next_run_at: null, executions: [{}, {}] });
    // Invalid timings are rejected with an error that names the invalid part.
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

  it("A3 configuration, executions and metrics are tables, and a policy deletes old executions", async () => {
    await worker();
    await select("update legwork_private.duties set every = '200 ms', due_at = now()");
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
    await until("the execution is counted", async () => {
      const [counted] = await select(
        "select sum(completed)::int as completed from documents.background_job_metrics where job_id = 'daily-ttl-cleanup'",
      );
      return counted.completed >= 1;
    });
    // The policy is a setting. Older executions are dropped with their partition.
    await select("select legwork.change_setting('history_retention', '8 days')");
    onTestFinished(async () => void (await select("select legwork.change_setting('history_retention', '30 days')")));
    await select("update legwork_private.finished_jobs set finished_at = now() - interval '100 days' where id = $1", execution);
    await until("the execution is dropped", async () => {
      await select("select legwork.maintain_history()");
      return (await select("select from documents.background_job_executions where execution_id = $1", execution)).length === 0;
    });
  });

  it("A4 a job is healthy, degraded or unhealthy depending on consecutive failures, failure rate and slow runs, and alerts are raised and resolved", async () => {
    const answer = { code: 500, after: 0 };
    const { url } = await httpServer((response) => void setTimeout(() => response.writeHead(answer.code).end("x"), answer.after));
    await restart({ BG_JOBS_MAX_RETRIES: "0" });
    // Prevents other processes from counting and evaluating, and counts everything from earlier tests before this test begins.
    await select("update legwork_private.duties set due_at = 'infinity'");
    const count = (): Promise<unknown> =>
      until(
        "the metrics are counted",
        async () => (await select("select legwork_private.roll_up() as counted"))[0].counted !== null,
      );
    await count();
    await select("delete from legwork_private.task_minutes where task = 'documents/refresh_document'");
    const target = "target => 'documents/refresh_document', resolve_after => '0'";
    for (const rule of [
      `'t_row', 'consecutive_failures', ${target}, warning => 2, critical => 4`,
      `'t_share', 'error_rate', ${target}, warning => 0.5, critical => 0.9, at_least => 5`,
      `'t_slow', 'slow_runs', ${target}, warning => 1, critical => 60`,
    ]) {
      await select(`select legwork.set_alert_rule(${rule})`);
    }
    onTestFinished(
      async () => void (await select("select legwork.drop_alert_rule(unnest(array['t_row', 't_share', 't_slow']))")),
    );
    await worker();
    const documentId = await addDocument("acme", `${url}/a`);
    const attempt = async (times: number): Promise<void> => {
      await Promise.all(Array.from({ length: times }, async () => ended(await refresh(documentId))));
      await count();
      await select("select legwork.evaluate_alerts()");
    };
    const health = async (): Promise<unknown[]> => {
      const { status, body } = await ask("GET", "/health");
      const { status: ofTask, reasons } = body.tasks.find(({ name }: { name: string }) => name === "documents/refresh_document");
      return [status, body.status, ofTask, ...reasons];
    };
    const alerts = async (): Promise<string[]> =>
      (await select("select rule, state, severity from legwork.alerts where rule like 't\\_%' order by id")).map((row) =>
        Object.values(row).join(" "),
      );
    await attempt(1);
    expect(await health()).toEqual([200, "healthy", "healthy"]);
    await attempt(1);
    expect(await health()).toEqual([200, "degraded", "degraded", expect.stringContaining("failed 2 times in a row")]);
    expect(await alerts()).toEqual(["t_row open warning"]);
    await attempt(2);
    expect(await health()).toEqual([503, "unhealthy", "unhealthy", expect.stringContaining("failed 4 times in a row")]);
    expect(await alerts()).toEqual(["t_row open critical"]);
    expect((await ask("GET", "/health")).body.alerts).toMatchObject([{ rule: "t_row", severity: "critical" }]);
    // One success ends the consecutive failures, but four failures in five runs are still too many.
    answer.code = 200;
    await attempt(1);
    expect(await health()).toEqual([200, "degraded", "degraded", expect.stringContaining("4 of 5 attempts")]);
    await attempt(4);
    expect(await health()).toEqual([200, "healthy", "healthy"]);
    answer.after = 1_200;
    await attempt(2);
    expect(await health()).toEqual([200, "degraded", "degraded", expect.stringContaining("documents/refresh_document")]);
    expect(await alerts()).toEqual(["t_row resolved critical", "t_share resolved warning", "t_slow open warning"]);
  });

  it("A4 A12 the CPU, memory and disk of each worker's machine are measured, and Prometheus and Grafana get the jobs' metrics", async () => {
    await worker();
    await ended(await execute("daily-ttl-cleanup"));
    const host = await until("the host has been measured", async () => {
      const { body } = await ask("GET", "/health");
      return body.hosts.length > 0 && body.hosts[0].cpu !== null && body.hosts[0];
    });
    // Ratios: any machine that runs this uses at least a thousandth of its memory and disk.
    expect(host).toEqual({ host: hostname(), cpu: expect.any(Number), memory: expect.any(Number), disk: expect.any(Number) });
    expect(Math.max(host.cpu, host.memory, host.disk)).toBeLessThanOrEqual(1);
    expect(Math.min(host.memory, host.disk)).toBeGreaterThan(0.001);
    const server = await startRest(database);
    onTestFinished(() => server.stop());
    await select("update legwork_private.duties set every = '200 ms', due_at = now()");
    const text = await until("the metrics include the job", async () => {
      const answer = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${restToken}` } });
      const found = await answer.text();
      return (
        found.includes("legwork_host_disk_ratio{") &&
        /^legwork_jobs_processed_total\{task="retention\/expire"/m.test(found) &&
        found
      );
    });
    const dashboard = JSON.parse(await readFile(join(ROOT, "docs/grafana/legwork.json"), "utf8"));
    const asked = JSON.stringify(dashboard).match(/legwork_jobs_\w+_total/g) ?? [];
    expect(asked).toContain("legwork_jobs_processed_total");
    for (const metric of asked) expect(text).toContain(`# TYPE ${metric} counter`);
  });

  it("A8 the routes return health, jobs and statistics, and run, enable and disable a job, each with its status code", async () => {
    expect((await ask("GET", "/health")).status).toBe(503);
    await worker();
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
    for (const method of ["GET", "DELETE"]) expect((await ask(method, "/jobs/unknown")).status).toBe(404);
    expect(await ask("PUT", "/jobs/x", { task: "no/such", every: "1h" })).toMatchObject({ status: 404 });
    expect(await ask("PUT", "/jobs/x", { task: "documents/refresh", every: "1h", payload: { batchSize: 0 } })).toMatchObject({
      status: 422,
      body: { error: { message: expect.stringContaining("batchSize") } },
    });
    // A job is not started a second time while it is running.
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
    // A viewer may read but not change. Other tokens may not read.
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

  it("A9 a job is retried with the configured number of attempts and delays, for the configured errors, and dead letters are kept and can be retried", async () => {
    await restart({ BG_JOBS_RETRY_ON: "SourceError" });
    const source = { isDown: true };
    const { url } = await httpServer((response) => (source.isDown ? response.writeHead(500).end() : response.end("back")));
    await worker();
    const id = await refresh(await addDocument("acme", `${url}/a`));
    const delays: number[] = [];
    for (let attempt = 1; attempt <= 3; attempt++) {
      const failed = await until(`attempt ${attempt} has failed`, async () => {
        const [row] = await select(
          `select error_name, extract(epoch from retry_at - finished_at)::float8 as delay from legwork.attempts
           where job_id = $1 and attempt = $2 and state = 'failed'`,
          id,
          attempt,
        );
        return row;
      });
      expect(failed.error_name).toBe("SourceError");
      delays.push(Math.round(failed.delay));
      await select("select graphile_worker.reschedule_jobs(array[$1::bigint], run_at => now())", id);
    }
    // The first delay is a minute, and each further delay is twice as long.
    expect(delays).toEqual([60, 120, 240]);
    expect(await ended(id)).toMatchObject({ state: "failed", attempts: 4, error: expect.stringContaining("500") });
    // Nothing listens on that port, and the error is not in the list, so the job fails at once.
    const refused = await refresh(await addDocument("acme", "http://127.0.0.1:9/x"));
    expect(await ended(refused)).toMatchObject({ state: "failed", attempts: 1 });
    const letters = (await ask("GET", "/dead-letters")).body.dead_letters;
    expect(letters.map(({ execution_id: letter }: { execution_id: string }) => letter)).toEqual([refused, id]);
    expect(letters[1]).toMatchObject({ task: "documents/refresh_document", attempts: 4, error: expect.stringContaining("500") });
    source.isDown = false;
    expect(await ask("POST", `/dead-letters/${id}/retry`)).toMatchObject({ status: 202 });
    await until(
      "the job has completed",
      async () => (await select("select from legwork.jobs where id = $1 and state = 'completed'", id)).length > 0,
    );
    expect((await ask("POST", `/dead-letters/${id}/retry`)).status).toBe(404);
    expect((await ask("GET", "/dead-letters")).body.dead_letters).toHaveLength(1);
  });

  it("A11 tasks and schedules are configured by the environment, and an invalid value stops the start with the variable's name", async () => {
    await restart({
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
    await restart({ BG_JOBS_ENABLED: "false" });
    expect(await select("select from documents.background_job_configs where enabled")).toEqual([]);
    const wrong: [Record<string, string>, string][] = [
      [{ BG_JOBS_ENABLED: "maybe" }, "BG_JOBS_ENABLED"],
      [{ BG_JOBS_MAX_CONCURRENT: "0" }, "BG_JOBS_MAX_CONCURRENT"],
      [{ CTX7_TTL_CLEANUP_BATCH_SIZE: "many" }, "CTX7_TTL_CLEANUP_BATCH_SIZE"],
      [{ CTX7_WEAVIATE_URL: "ftp://x" }, "CTX7_WEAVIATE_URL"],
      [{ CTX7_WEAVIATE_URL: "http://ann:secret@x" }, "CTX7_WEAVIATE_URL: expected a URL without credentials"],
      [{ CTX7_PROBES: "http://a,b" }, "CTX7_PROBES"],
    ];
    for (const [environment, variable] of wrong) expect(() => documentsConfig(environment)).toThrow(variable);
    // Values that only the database can check are rejected too, and no change is applied halfway.
    const before = await select(config);
    await expect(restart({ BG_JOBS_CLEANUP_SCHEDULE: "0 25 * * *" })).rejects.toThrow("25");
    await expect(restart({ BG_JOBS_TIMEZONE: "Mars/Base", CTX7_REFRESH_BATCH_SIZE: "3" })).rejects.toThrow("Mars/Base");
    await expect(restart({ BG_JOBS_RETRY_DELAY: "soon", CTX7_REFRESH_BATCH_SIZE: "3" })).rejects.toThrow("soon");
    expect(await select(config)).toEqual(before);
  });

  it("A12 the refresh waits for a completed cleanup, and is held back with the reason if no cleanup has completed", async () => {
    await restart({
      BG_JOBS_REFRESH_AFTER_CLEANUP: "true",
      BG_JOBS_CLEANUP_SCHEDULE: "every 7d",
      BG_JOBS_REFRESH_SCHEDULE: "every 12h",
    });
    for (const id of ["daily-ttl-cleanup", "weekly-document-refresh"]) await ask("POST", `/jobs/${id}/enable`);
    const name = "documents/weekly-document-refresh";
    const [{ next_at: due }] = await select("select next_at from legwork.schedules where name = $1", name);
    const fire = (minutes: number): Promise<unknown> =>
      select("select legwork_private.fire_schedules($1, 100, $2)", new Date(due.getTime() + minutes * 60_000), name);
    const run = async () =>
      (
        await select(
          "select state, reason, job_id from legwork.schedule_runs where schedule = $1 order by due_at desc limit 1",
          name,
        )
      )[0];
    const reason = expect.stringContaining("documents/daily-ttl-cleanup");
    // No cleanup has completed within a day, so the refresh waits for one, for at most three hours.
    await select("delete from legwork.schedule_runs");
    await fire(1);
    expect(await run()).toMatchObject({ state: "waiting", reason });
    await fire(181);
    expect(await run()).toMatchObject({ state: "held_back", reason });
    // The next refresh also waits until a cleanup has completed.
    await fire(12 * 60 + 1);
    expect(await run()).toMatchObject({ state: "waiting", reason });
    await worker();
    await ended(await execute("daily-ttl-cleanup"));
    const { job_id: id } = await until("the refresh is enqueued", async () => {
      await fire(12 * 60 + 2);
      const found = await run();
      return found.state === "enqueued" && found;
    });
    // Runs the refresh half a day early.
    await select("select graphile_worker.reschedule_jobs(array[$1::bigint], run_at => now())", id);
    expect(await ended(id)).toMatchObject({ state: "completed" });
  });

  it("A12 several nodes share the work, and a custom job is defined by a file", async () => {
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
    expect(
      await ask("PUT", "/jobs/count", { task: "mine/count", payload: { workspace: "acme" }, cron: "0 4 * * *" }),
    ).toMatchObject({ status: 201 });
    const first = await execute("count");
    const ids = [first];
    for (let n = 0; n < 3; n++)
      ids.push((await select(`select legwork.enqueue('mine/count', '{"workspace": "acme"}') as id`))[0].id);
    await until(
      "all four jobs run",
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
