import { beforeEach, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";

const database = testDatabase();

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.worker_processes, legwork_private.failed_attempts, legwork_private.finished_jobs");
});

async function beat(id: string, running: string[] = []): Promise<void> {
  await database.pool.query("select legwork_private.worker_beat($1, 'host', 1, 4, array['t'], $2)", [id, running]);
}

/** A job that a worker has fetched. */
async function heldBy(worker: string, options: { maxAttempts?: number; serialKey?: string } = {}): Promise<string> {
  const { rows } = await database.pool.query(
    "select id from graphile_worker.add_job('t', queue_name => $2, max_attempts => $1)",
    [options.maxAttempts ?? 25, options.serialKey],
  );
  await database.pool.query(
    "update graphile_worker._private_jobs set locked_by = $1, locked_at = now(), attempts = attempts + 1 where id = $2",
    [worker, rows[0].id],
  );
  await database.pool.query("update graphile_worker._private_job_queues set locked_by = $1, locked_at = now() where queue_name = $2", [
    worker, options.serialKey,
  ]);
  return rows[0].id;
}

async function silentFor(id: string, seconds: number): Promise<void> {
  await database.pool.query("update legwork_private.worker_processes set seen_at = clock_timestamp() - make_interval(secs => $2) where id = $1", [id, seconds]);
}

async function recover(): Promise<{ worker: string; jobs: number }[]> {
  return (await database.pool.query("select worker, jobs from legwork_private.recover_jobs()")).rows;
}

/** Backdates the time of the suspicion, so that the test does not have to wait, and checks again. */
async function laterLook(): Promise<{ worker: string; jobs: number }[]> {
  await database.pool.query("update legwork_private.worker_processes set suspected_at = suspected_at - interval '3 seconds'");
  return await recover();
}

it("a worker with a recent heartbeat keeps its jobs", async () => {
  await beat("w1");
  await heldBy("w1");
  await silentFor("w1", 4);
  expect(await recover()).toEqual([]);
  expect(await laterLook()).toEqual([]);
});

it("a silent worker is declared dead at the second check, and a job that it had only fetched returns to the queue without using an attempt", async () => {
  const id = await heldBy("w1", { maxAttempts: 1, serialKey: "s" });
  await beat("w1", [await heldBy("w1")]);
  await silentFor("w1", 6);
  expect(await recover()).toEqual([]);
  expect((await database.pool.query("select suspected from legwork.workers")).rows).toEqual([{ suspected: true }]);
  expect(await recover()).toEqual([]);
  expect(await laterLook()).toEqual([{ worker: "w1", jobs: 2 }]);
  const { rows } = await database.pool.query("select state, attempts from legwork.jobs where id = $1", [id]);
  expect(rows).toEqual([{ state: "pending", attempts: 0 }]);
  expect((await database.pool.query("select is_available from graphile_worker._private_job_queues where queue_name = 's'")).rows).toEqual([{ is_available: true }]);
  expect((await database.pool.query("select from legwork.workers")).rows).toEqual([]);
});

it("no job is lost when the database stalls and all workers send heartbeats afterwards", async () => {
  await beat("w1");
  await beat("w2");
  await heldBy("w1");
  await silentFor("w1", 60);
  await silentFor("w2", 60);
  await beat("w2");
  expect(await recover()).toEqual([]);
  await beat("w1");
  expect(await laterLook()).toEqual([]);
});

it("only jobs that the dead worker was running count as lost attempts", async () => {
  const running = await heldBy("w1");
  await heldBy("w1");
  await beat("w1", [running]);
  await silentFor("w1", 6);
  await recover();
  expect(await laterLook()).toEqual([{ worker: "w1", jobs: 2 }]);
  const { rows } = await database.pool.query("select job_id, attempt, error_name from legwork.attempts");
  expect(rows).toEqual([{ job_id: running, attempt: 1, error_name: "WorkerLost" }]);
});

it("a worker whose heartbeat is in progress is not declared dead", async () => {
  await beat("w1");
  await silentFor("w1", 6);
  await recover();
  await database.pool.query("update legwork_private.worker_processes set suspected_at = suspected_at - interval '3 seconds'");
  const speaking = await database.pool.connect();
  await speaking.query("begin");
  await speaking.query("select legwork_private.worker_beat('w1', 'host', 1, 4, array['t'], '{}')");
  expect(await recover()).toEqual([]);
  await speaking.query("commit");
  speaking.release();
  expect(await recover()).toEqual([]);
});

it("a worker that stops returns its jobs to the queue", async () => {
  await beat("w1");
  await heldBy("w1");
  expect((await database.pool.query("select cardinality(legwork_private.worker_stopped('w1')) as jobs")).rows).toEqual([{ jobs: 1 }]);
  expect((await database.pool.query("select state from legwork.jobs")).rows).toEqual([{ state: "pending" }]);
});

it("a job whose worker dies is run again, even after its last attempt, but fails after the third death", async () => {
  const id = await heldBy("w1", { maxAttempts: 1 });
  for (const worker of ["w1", "w2", "w3"]) {
    await database.pool.query("update graphile_worker._private_jobs set locked_by = $1, locked_at = now(), attempts = $3 where id = $2", [
      worker, id, Number(worker.slice(1)),
    ]);
    await beat(worker, worker === "w2" ? [] : [id]);
    await silentFor(worker, 6);
    await recover();
    expect(await laterLook()).toEqual([{ worker, jobs: 1 }]);
    const { rows } = await database.pool.query("select state, attempts from legwork.jobs where id = $1", [id]);
    expect(rows).toEqual([{ state: worker === "w3" ? "failed" : "pending", attempts: Number(worker.slice(1)) }]);
  }
  const { rows } = await database.pool.query("select attempt, error_name from legwork.attempts where job_id = $1 order by attempt", [id]);
  expect(rows).toEqual([1, 2, 3].map((attempt) => ({ attempt, error_name: "WorkerLost" })));
});

it("a job that was removed while it ran is not returned to the queue with its dead worker's other jobs", async () => {
  await database.pool.query("select graphile_worker.add_job('t', job_key => 'k')");
  await database.pool.query("update graphile_worker._private_jobs set locked_by = 'w1', locked_at = now(), attempts = 1");
  await database.pool.query("select graphile_worker.remove_job('k')");
  await database.pool.query("select legwork_private.worker_stopped('w1')");
  expect((await database.pool.query("select state from legwork.jobs")).rows).toEqual([{ state: "failed" }]);
});

it("a job whose row is locked does not delay the recovery of other workers' jobs", async () => {
  const held = await heldBy("w1");
  await heldBy("w2");
  for (const worker of ["w1", "w2"]) {
    await beat(worker);
    await silentFor(worker, 6);
  }
  await recover();
  const holder = await database.pool.connect();
  await holder.query("begin");
  await holder.query("update graphile_worker._private_jobs set priority = 1 where id = $1", [held]);
  expect(await laterLook()).toEqual([{ worker: "w2", jobs: 1 }]);
  await holder.query("rollback");
  holder.release();
  expect(await recover()).toEqual([{ worker: "w1", jobs: 1 }]);
});

it("when a worker is killed because a job blocked it, that job loses an attempt and the others return to the queue without using one", async () => {
  const culprit = await heldBy("w1", { serialKey: "s" });
  const other = await heldBy("w1", { maxAttempts: 1 });
  await beat("w1", [culprit, other]);
  const { rows } = await database.pool.query("select legwork_private.worker_blocked('w1', $1, 300, $2) as jobs", [culprit, [culprit, other]]);
  expect(rows).toEqual([{ jobs: 1 }]);
  const jobs = await database.pool.query("select id, attempts, locked_by, run_at > now() as later, last_error from graphile_worker._private_jobs order by id");
  expect(jobs.rows).toEqual([
    { id: culprit, attempts: 1, locked_by: null, later: true, last_error: "The task blocked its worker's event loop for 300 seconds. The worker was killed." },
    { id: other, attempts: 0, locked_by: null, later: false, last_error: null },
  ]);
  expect((await database.pool.query("select job_id, error_name from legwork_private.failed_attempts")).rows).toEqual([{ job_id: culprit, error_name: "Blocked" }]);
  expect((await database.pool.query("select locked_by from graphile_worker._private_job_queues")).rows).toEqual([{ locked_by: null }]);
  expect((await database.pool.query("select from legwork.workers")).rows).toEqual([]);
});

it("when the blocking job is unknown, running jobs stay with the worker until it is declared dead", async () => {
  const ids = [await heldBy("w1"), await heldBy("w1")];
  const ahead = await heldBy("w1");
  await beat("w1", ids);
  const { rows } = await database.pool.query("select legwork_private.worker_blocked('w1', null, 300, $1) as jobs", [ids]);
  expect(rows).toEqual([{ jobs: 1 }]);
  expect((await database.pool.query("select id from graphile_worker._private_jobs where locked_by is null")).rows).toEqual([{ id: ahead }]);
});

it("a worker's row shows when its event loop was blocked, and by which job", async () => {
  await database.pool.query("select legwork_private.worker_beat('w1', 'host', 1, 4, array['t'], array[7], 12, array[7])");
  expect(
    (await database.pool.query("select clock_timestamp() - blocked_since between '12 s' and '20 s' as since, blocked_jobs from legwork.workers")).rows,
  ).toEqual([{ since: true, blocked_jobs: ["7"] }]);
  await beat("w1");
  expect((await database.pool.query("select blocked_since, blocked_jobs from legwork.workers")).rows).toEqual([{ blocked_since: null, blocked_jobs: null }]);
});
