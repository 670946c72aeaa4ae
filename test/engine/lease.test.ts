import type { ChildProcess } from "node:child_process";
import { describe, expect, it } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { testDatabase } from "../support/database.ts";
import { GATED, recordedJobs, SHORT } from "../support/recorded-jobs.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver, workerProcess } from "../support/worker.ts";

const database = testDatabase();
const { add, state, saysThatItRuns, open } = recordedJobs(database);

async function runsOf(id: string): Promise<number[]> {
  const { rows } = await database.pool.query("select pid from runs where job_id = $1 order by ctid", [id]);
  return rows.map((row) => row.pid);
}

async function stopAndContinue(sleeper: ChildProcess, meanwhile: () => Promise<void>): Promise<void> {
  sleeper.kill("SIGSTOP");
  await meanwhile();
  sleeper.kill("SIGCONT");
}

describe("a worker that was stopped for longer than its lease", () => {
  it(
    "aborts a job that another worker has taken over, and does not complete it",
    async () => {
      const tasks = await directoryOf({ "gated.ts": GATED });
      const sleeper = await workerProcess(database, tasks);
      const id = await add("gated", { gate: "a" });
      await until("the stopped worker runs the job", () => saysThatItRuns(sleeper.pid, [id]));
      const other = await workerProcess(database, tasks);
      await stopAndContinue(sleeper, () =>
        until("the other worker runs the job", () => saysThatItRuns(other.pid, [id]), 12_000).then(() => undefined),
      );
      await until("the signal has aborted", async () => {
        const { rows } = await database.pool.query("select aborted from runs where pid = $1", [sleeper.pid]);
        return rows[0]?.aborted === "LeaseLost";
      });
      other.kill("SIGSTOP");
      await open("a");
      await until("the stopped worker is idle", async () => {
        const { rows } = await database.pool.query(
          "select from legwork.workers where pid = $1 and running = '{}' and seen_at > clock_timestamp() - interval '500 ms'",
          [sleeper.pid],
        );
        return rows.length > 0;
      });
      expect(await state(id)).toBe("running");
      other.kill("SIGCONT");
      await until("the job has completed", async () => (await state(id)) === "completed");
      expect(await getJob(database.pool, id)).toMatchObject({ result: other.pid, attempts: 2 });
    },
    scaled(60_000),
  );

  it(
    "does not start a job that it had only fetched and that another worker has taken",
    async () => {
      const tasks = await directoryOf({ "gated.ts": GATED });
      const more = await directoryOf({ "gated.ts": GATED, "last.ts": SHORT });
      const sleeper = await workerProcess(database, more, { LEGWORK_CONCURRENCY: "1", LEGWORK_LOCAL_QUEUE_SIZE: "5" });
      // One statement enqueues all three, so that they are fetched together.
      const { rows: added } = await database.pool.query(
        "select (graphile_worker.add_job('gated', json_build_object('gate', gate))).id from unnest(array['first', 'a', 'a']) gate",
      );
      const [first, ...fetched] = added.map((row) => row.id) as [string, string, string];
      await until("the stopped worker runs one job and has fetched the others", async () => {
        const { rows } = await database.pool.query("select from graphile_worker._private_jobs where locked_by is not null");
        return rows.length === 3 && (await saysThatItRuns(sleeper.pid, [first]));
      });
      const other = await workerProcess(database, tasks);
      await stopAndContinue(sleeper, () =>
        until("the other worker runs the jobs", () => saysThatItRuns(other.pid, [first, ...fetched]), 12_000).then(
          () => undefined,
        ),
      );
      await until(
        "the stopped worker has sent a heartbeat",
        async () => (await database.pool.query("select from legwork.workers where pid = $1", [sleeper.pid])).rows.length > 0,
      );
      await open("first");
      await until("the first job has completed", async () => (await state(first)) === "completed");
      // The stopped worker skips the jobs that it had fetched, and then runs this one, whose task the other worker does not have.
      const last = await add("last");
      await until("the stopped worker has run the last job", async () => (await state(last)) === "completed");
      for (const id of fetched) expect(await runsOf(id)).toEqual([other.pid]);
      await open("a");
      for (const id of fetched) await until("the job has completed", async () => (await state(id)) === "completed");
    },
    scaled(60_000),
  );

  it(
    "does not start a job a second time while it still runs it",
    async () => {
      const tasks = await directoryOf({ "gated.ts": GATED });
      const sleeper = await workerProcess(database, tasks);
      const id = await add("gated", { gate: "a" });
      await until("the stopped worker runs the job", () => saysThatItRuns(sleeper.pid, [id]));
      // This worker recovers jobs of dead workers, but does not have the task.
      await workerOver(database.url, { "nothing.ts": SHORT });
      await stopAndContinue(sleeper, () =>
        until("the job was returned to the queue", async () => (await state(id)) === "pending", 12_000).then(() => undefined),
      );
      await until("the signal has aborted", async () => {
        const { rows } = await database.pool.query("select from runs where aborted = 'LeaseLost'");
        return rows.length > 0;
      });
      // This job is fetched after the first one.
      await add("gated", { gate: "b" });
      await open("b");
      await until(
        "a later job has completed",
        async () => (await database.pool.query("select from legwork_private.finished_jobs")).rows.length === 1,
      );
      expect(await runsOf(id)).toEqual([sleeper.pid]);
      await open("a");
      await until("the job has completed", async () => (await state(id)) === "completed", 20_000);
      expect(await runsOf(id)).toEqual([sleeper.pid, sleeper.pid]);
    },
    scaled(60_000),
  );
});

it(
  "no job is lost when the database stalls for longer than the lease",
  async () => {
    const tasks = await directoryOf({ "gated.ts": GATED });
    const workers = [await workerProcess(database, tasks), await workerProcess(database, tasks)];
    const ids = [await add("gated", { gate: "a" }), await add("gated", { gate: "a" }), await add("gated", { gate: "a" })];
    await until("all jobs run", async () => (await database.pool.query("select from runs")).rows.length === 3);
    const before = await database.pool.query("select id from legwork.workers order by id");
    const holder = await database.pool.connect();
    await holder.query("begin");
    await holder.query("lock table legwork_private.worker_processes in access exclusive mode");
    await holder.query("select pg_sleep(8)");
    await holder.query("commit");
    holder.release();
    // This is long enough for two checks of the leases.
    const beats = (await database.pool.query("select clock_timestamp() as now")).rows[0].now;
    await until("all workers have sent heartbeats for four seconds", async () => {
      const { rows } = await database.pool.query(
        "select min(seen_at) > $1::timestamptz + interval '4 seconds' as yes from legwork.workers",
        [beats],
      );
      return rows[0].yes;
    });
    expect((await database.pool.query("select id from legwork.workers order by id")).rows).toEqual(before.rows);
    await open("a");
    for (const id of ids) {
      await until("the job has completed", async () => (await state(id)) === "completed");
      expect(await runsOf(id)).toHaveLength(1);
    }
    expect((await database.pool.query("select from legwork_private.failed_attempts")).rows).toEqual([]);
    for (const worker of workers) expect(worker.exitCode).toBe(null);
  },
  scaled(60_000),
);
