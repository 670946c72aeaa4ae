import type { ChildProcess } from "node:child_process";
import { beforeEach, describe, expect, it } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { testDatabase } from "../support/database.ts";
import { plainJobs } from "../support/plain-jobs.ts";
import { empty } from "../support/empty.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerProcess } from "../support/worker.ts";

const database = testDatabase();
const { state } = plainJobs(database);

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.failed_attempts, legwork_private.worker_processes");
  await database.pool.query("create table if not exists runs (job_id bigint, pid integer)");
  await empty(database.pool, "runs");
});

const TASKS = {
  // Blocks only after a first await, as most tasks would.
  "compute.ts": `
    import { defineTask } from "legwork";
    export default defineTask({ retry: { attempts: 2, backoff: "fixed", delay: "1h" }, run: async ({ ms }, { job, sql }) => {
      await sql\`insert into runs values (\${job.id}, \${process.pid})\`;
      const end = Date.now() + ms;
      while (Date.now() < end);
      return process.pid;
    } });`,
  "at-once.mjs": `
    export default async ({ ms }, { job, withPgClient }) => {
      const end = Date.now() + ms;
      while (Date.now() < end);
      await withPgClient((client) => client.query("insert into runs values ($1, $2)", [job.id, process.pid]));
    };`,
  "neighbor.ts": `
    import { defineTask } from "legwork";
    export default defineTask({ run: async ({ ms }, { job, sql, signal }) => {
      await sql\`insert into runs values (\${job.id}, \${process.pid})\`;
      await new Promise((wake) => setTimeout(wake, ms));
      if (signal.aborted) throw new Error("aborted: " + signal.reason.name);
    } });`,
};

async function add(task: string, ms: number): Promise<string> {
  const { rows } = await database.pool.query("select id from graphile_worker.add_job($1, $2)", [task, JSON.stringify({ ms })]);
  return rows[0].id;
}

async function timesRun(id: string): Promise<number> {
  const { rows } = await database.pool.query("select count(*)::int as runs from runs where job_id = $1", [id]);
  return rows[0].runs;
}

/** The lines that a worker has written to its log so far. */
function logOf(worker: ChildProcess): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = [];
  let rest = "";
  worker.stderr?.on("data", (data) => {
    const parts = `${rest}${data}`.split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) if (line.startsWith("{")) lines.push(JSON.parse(line));
  });
  return lines;
}

describe("a task that blocks the event loop for longer than the lease", () => {
  it.for(["compute", "at-once"] as const)(
    "(%s) runs once and completes, as do the worker's other jobs, and no worker is declared dead",
    { timeout: scaled(60_000) },
    async (task) => {
      const tasks = await directoryOf(TASKS);
      const workers = [
        await workerProcess(database, tasks, {}, { stderr: "pipe" }),
        await workerProcess(database, tasks, {}, { stderr: "pipe" }),
        await workerProcess(database, tasks, {}, { stderr: "pipe" }),
      ];
      const logs = workers.map((worker) => logOf(worker));
      const before = (await database.pool.query("select id from legwork.workers order by id")).rows;
      const neighbors = await Promise.all(Array.from({ length: 6 }, () => add("neighbor", 3_000)));
      await until("the other jobs run", async () => (await database.pool.query("select from runs")).rows.length === 6);
      const id = await add(task, 10_000);
      const { rows } = await until("the worker reports that its event loop is blocked", async () => {
        const found = await database.pool.query(
          "select pid, blocked_jobs, running from legwork.workers where blocked_since is not null",
        );
        return found.rows.length > 0 && found;
      });
      expect(rows[0].blocked_jobs).toEqual([id]);
      expect(rows[0].running).toContain(id);
      const reasons = await database.pool.query("select reason, detail from legwork.explain_job($1)", [id]);
      expect(reasons.rows).toMatchObject([
        { reason: "running" },
        { reason: "worker_blocked", detail: expect.stringContaining("of this job") },
      ]);
      for (const each of [id, ...neighbors])
        await until("the job has completed", async () => (await state(each)) === "completed", 25_000);
      for (const each of [id, ...neighbors]) expect(await timesRun(each)).toBe(1);
      expect((await database.pool.query("select error_name from legwork_private.failed_attempts")).rows).toEqual([]);
      expect((await database.pool.query("select id from legwork.workers order by id")).rows).toEqual(before);
      const said = logs.flat().find(({ event }) => event === "event_loop_blocked");
      expect(said).toMatchObject({
        level: "warn",
        jobId: id,
        task,
        msg: expect.stringContaining(`Busy in synchronous code of task ${task}`),
      });
      await until("the log reports the end of the block", () =>
        logs.flat().some(({ event, jobId }) => event === "event_loop_turns_again" && jobId === id),
      );
    },
  );

  it(
    "is killed with its worker after maxBlocked and loses an attempt, while the worker's other jobs lose none",
    async () => {
      const tasks = await directoryOf(TASKS);
      const victim = await workerProcess(database, tasks, { LEGWORK_MAX_BLOCKED: "3s" }, { stderr: "pipe" });
      const log = logOf(victim);
      const neighbors = [await add("neighbor", 1_000), await add("neighbor", 1_000)];
      await until("the other jobs run", async () => (await database.pool.query("select from runs")).rows.length === 2);
      const id = await add("compute", 60_000);
      await until("the process has ended", () => victim.signalCode === "SIGKILL", 20_000);
      expect((await getJob(database.pool, id)).attempt_list).toMatchObject([
        {
          state: "failed",
          error_name: "Blocked",
          error_message: expect.stringContaining("blocked its worker's event loop for 3 seconds"),
        },
      ]);
      expect(await state(id)).toBe("retrying");
      await until("the reason is in the log", () =>
        log.some(({ event, jobId }) => event === "event_loop_blocked_for_too_long" && jobId === id),
      );
      await workerProcess(database, tasks);
      for (const each of neighbors) {
        await until("the other job has completed", async () => (await state(each)) === "completed");
        expect(await getJob(database.pool, each)).toMatchObject({ attempts: 1, attempt_list: [{ state: "completed" }] });
      }
    },
    scaled(60_000),
  );
});

describe("a worker whose event loop is blocked", () => {
  it.for(["SIGKILL", "SIGSTOP"] as const)(
    "has its job running elsewhere within 10 s after %s",
    { timeout: scaled(60_000) },
    async (signal) => {
      const tasks = await directoryOf(TASKS);
      const victim = await workerProcess(database, tasks);
      const id = await add("compute", 120_000);
      await until("the job is recorded as running", async () => {
        const { rows } = await database.pool.query("select from legwork.workers where pid = $1 and running = array[$2::bigint]", [
          victim.pid,
          id,
        ]);
        return rows.length > 0;
      });
      await workerProcess(database, tasks);
      victim.kill(signal);
      await until("the other worker runs the job", async () => (await timesRun(id)) === 2, 10_000);
    },
  );
});
