import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { cancelJob } from "../../src/jobs/cancel-job.ts";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { pauseQueue, resumeQueue } from "../../src/queues/pause.ts";
import { testDatabase } from "../support/database.ts";
import { plainJobs } from "../support/plain-jobs.ts";
import { empty } from "../support/empty.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();
const { add, reaches } = plainJobs(database);

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.failed_attempts, legwork_private.task_definitions");
});

async function attempts(
  id: string,
): Promise<{ attempt: number; error_name: string; error_message: string; retry_at: Date | null; failed_at: Date }[]> {
  const { rows } = await database.pool.query(
    "select * from legwork_private.failed_attempts where job_id = $1 order by failed_at",
    [id],
  );
  return rows;
}

const task = (options: string, body: string): string => `
  import { Discard, RetryAfter, Snooze, defineTask } from "legwork";
  let runs = 0;
  export default defineTask({ ${options} async run(payload, { job, signal, sql }) { runs += 1; ${body} } });`;

describe("a task", () => {
  it("that throws Discard fails its job at once, however many attempts are left", async () => {
    await workerOver(database.url, { "t.ts": task("", `throw new Discard("not worth it");`) });
    const id = await add("t");
    expect(await reaches(id, "failed")).toMatchObject({ attempts: 1, max_attempts: 25, error: "not worth it" });
    expect(await attempts(id)).toMatchObject([{ error_name: "Discard", retry_at: null }]);
  });

  it("that throws RetryAfter is retried at that time and uses an attempt", async () => {
    await workerOver(database.url, {
      "t.ts": task(
        `retry: { backoff: "fixed", delay: "1h" },`,
        `if (job.attempts === 1) throw new RetryAfter("300ms"); return runs;`,
      ),
    });
    const id = await add("t");
    expect(await reaches(id, "completed")).toMatchObject({ attempts: 2, result: 2 });
    const [first] = await attempts(id);
    expect(first!.retry_at!.getTime() - first!.failed_at.getTime()).toBe(300);
  });

  it("that snoozes returns to the queue without using an attempt or recording a failure", async () => {
    await workerOver(database.url, { "t.ts": task("", `if (runs < 3) throw new Snooze(200); return job.attempts;`) });
    const id = await add("t", {}, ", max_attempts => 1");
    expect(await reaches(id, "completed")).toMatchObject({ attempts: 1, result: 1, error: null });
    expect(await attempts(id)).toEqual([]);
  });

  it("is retried according to its policy: delays grow up to the maximum, and retries stop after the last attempt", async () => {
    await workerOver(database.url, {
      "t.ts": task(
        `retry: { attempts: 4, backoff: "exponential", delay: "1h", factor: 3, maxDelay: "5h" },`,
        `throw new Error("again " + job.attempts);`,
      ),
    });
    const id = await add("t");
    for (const [n, hours] of [1, 3, 5].entries()) {
      const { retry_at, failed_at } = await until(`attempt ${n + 1} has failed`, async () => (await attempts(id))[n]);
      // The failure time is the worker's estimate of the database's clock; the retry time comes from the database.
      expect((retry_at!.getTime() - failed_at.getTime()) / 3_600_000).toBeCloseTo(hours, 3);
      await database.pool.query("select legwork.retry_job($1)", [id]);
    }
    expect(await reaches(id, "failed")).toMatchObject({ attempts: 4, max_attempts: 4, error: "again 4" });
    expect((await attempts(id)).map(({ retry_at }) => retry_at !== null)).toEqual([true, true, true, false]);
  });

  it("is not retried for an error that its policy does not name, but is retried for a named error inside a cause", async () => {
    await workerOver(database.url, {
      "t.ts": task(
        `retry: { attempts: 3, backoff: "fixed", delay: 1, on: ["ECONNREFUSED"] },`,
        `throw payload.refused ? new TypeError("fetch failed", { cause: Object.assign(new Error("x"), { code: "ECONNREFUSED" }) }) : new Error("y");`,
      ),
    });
    const [once, often] = [await add("t", {}), await add("t", { refused: true })];
    expect(await reaches(once, "failed")).toMatchObject({ attempts: 1, max_attempts: 3 });
    expect(await reaches(often, "failed")).toMatchObject({ attempts: 3 });
  });

  it("that responds to its abort signal at its timeout fails with a TimeoutError", async () => {
    await workerOver(database.url, {
      "t.ts": task(
        `timeout: "100ms", retry: { attempts: 1 },`,
        `await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("stopped by " + signal.reason.name))));`,
      ),
    });
    const id = await add("t");
    expect(await reaches(id, "failed")).toMatchObject({ error: "The task took longer than 100 ms." });
    expect(await attempts(id)).toMatchObject([{ error_name: "TimeoutError" }]);
  });

  it("that ignores its timeout is abandoned after its grace period, and its late result is rejected", async () => {
    await workerOver(database.url, {
      "t.ts": task(
        `timeout: "100ms", grace: "200ms", retry: { attempts: 1 },`,
        `globalThis.timeoutTestBegan = performance.now(); await new Promise((resolve) => setTimeout(resolve, ${scaled(900)})); await sql\`select pg_notify('late', 'done')\`; return "late";`,
      ),
    });
    const listener = await database.pool.connect();
    onTestFinished(() => listener.release(true));
    const late = new Promise((resolve) => listener.once("notification", resolve));
    await listener.query("listen late");
    const id = await add("t");
    const job = await reaches(id, "failed");
    expect(job).toMatchObject({ error: "The task took longer than 100 ms.", result: null });
    // Measured by the clock of this process, in which the worker runs: a heartbeat may correct the worker's estimate of the database's clock, which
    // shifts the recorded times.
    expect(performance.now() - (globalThis as { timeoutTestBegan?: number }).timeoutTestBegan!).toBeGreaterThan(299);
    expect(job.finished_at!.getTime() - job.started_at!.getTime()).toBeLessThan(scaled(700));
    await late;
    expect(await getJob(database.pool, id)).toMatchObject({ state: "failed", result: null });
  });
});

describe("cancelling a running job", () => {
  it("aborts its signal within a second, and the failure that follows is recorded as cancelled and not retried", async () => {
    await workerOver(database.url, {
      "t.ts": task("", `await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))); `),
    });
    const id = await add("t");
    await reaches(id, "running");
    const asked = Date.now();
    expect(await cancelJob(database.pool, id, "wrong")).toBe("running");
    const job = await reaches(id, "cancelled");
    expect(job.finished_at!.getTime() - asked).toBeLessThan(scaled(1_000));
    expect(job).toMatchObject({ error: "Cancelled by postgres: wrong", attempts: 1 });
    expect(await attempts(id)).toMatchObject([{ error_name: "JobCancelled", retry_at: null }]);
    expect((await database.pool.query("select from graphile_worker._private_jobs")).rows).toEqual([]);
  });

  it("reaches a worker that missed the notification at its next heartbeat", async () => {
    await workerOver(database.url, {
      "t.ts": task("", `await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))); `),
    });
    const id = await add("t");
    await reaches(id, "running");
    await database.pool.query("insert into legwork_private.cancellations (job_id, reason) values ($1, 'quietly')", [id]);
    expect(await reaches(id, "cancelled")).toMatchObject({ error: "quietly" });
  });

  it("leaves it completed if it completes anyway", async () => {
    await workerOver(database.url, {
      "t.ts": task("", `await new Promise((resolve) => signal.addEventListener("abort", resolve)); return "done"; `),
    });
    const id = await add("t");
    await reaches(id, "running");
    await cancelJob(database.pool, id);
    expect(await reaches(id, "completed")).toMatchObject({ result: "done" });
  });
});

describe("pausing", () => {
  it("prevents jobs that a worker has fetched ahead from starting, and loses no jobs", async () => {
    await workerOver(
      database.url,
      { "t.ts": task(`queue: "q",`, `await new Promise((resolve) => setTimeout(resolve, 150)); return Date.now();`) },
      { concurrency: 1, localQueueSize: 50 },
    );
    const { rows } = await database.pool.query("select (graphile_worker.add_job('t')).id from generate_series(1, 20)");
    await reaches(rows[0].id, "completed");
    await pauseQueue(database.pool, "q", "to see");
    const paused = Date.now();
    await until("all remaining jobs are paused", async () => {
      const states = (await database.pool.query("select distinct state from legwork.jobs order by state")).rows.map(
        (row) => row.state,
      );
      return states.join() === "paused,completed";
    });
    const { rows: started } = await database.pool.query("select max(started_at) as last from legwork_private.finished_jobs");
    expect(started[0].last.getTime() - paused).toBeLessThan(300);
    await resumeQueue(database.pool, "q");
    for (const { id } of rows) expect(await reaches(id, "completed")).toMatchObject({ attempts: 1 });
    expect((await database.pool.query("select from legwork_private.failed_attempts")).rows).toEqual([]);
  });
});

it("a declared limit applies across two workers and by key, and a manual change to it survives a worker's start", async () => {
  const tasks = {
    "t.ts": task(
      `concurrency: { limit: 2, key: (p) => p.user.id },`,
      `await sql\`insert into spans values (\${job.id}, \${payload.user.id}, clock_timestamp())\`;
       await new Promise((resolve) => setTimeout(resolve, 20));
       await sql\`update spans set ended_at = clock_timestamp() where id = \${job.id}\`;`,
    ),
  };
  await database.pool.query("create table spans (id bigint, key text, started_at timestamptz, ended_at timestamptz)");
  const first = await workerOver(database.url, tasks);
  await workerOver(database.url, tasks);
  await database.pool.query(
    "select graphile_worker.add_job('t', json_build_object('user', json_build_object('id', n % 3))) from generate_series(1, 60) n",
  );
  await until(
    "all jobs have run",
    async () => (await database.pool.query("select from legwork_private.finished_jobs")).rows.length === 60,
  );
  const { rows } = await database.pool.query(
    `select max(n)::int as most from (
       select (select count(*) from spans b where b.key = a.key and b.started_at <= a.started_at and b.ended_at > a.started_at) as n from spans a) x`,
  );
  expect(rows).toEqual([{ most: 2 }]);
  await database.pool.query("select legwork.limit_concurrency(7, task => 't', key => 'user.id')");
  await first.stop();
  await workerOver(database.url, tasks);
  expect((await database.pool.query("select limits from legwork.tasks where name = 't'")).rows).toEqual([
    { limits: [{ kind: "concurrency", max: 7, key: "user.id" }] },
  ]);
  await database.pool.query("select legwork.reset_limits('t')");
  expect((await database.pool.query("select limits from legwork.tasks where name = 't'")).rows).toEqual([
    { limits: [{ kind: "concurrency", max: 2, key: "user.id" }] },
  ]);
});
