import { beforeEach, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { resetLegwork } from "../support/reset-legwork.ts";
import { HandWorker } from "../support/hand-worker.ts";

const database = testDatabase();
const dead = new HandWorker("dead");
const next = new HandWorker("next");

beforeEach(async () => {
  await database.pool.query("select legwork.drop_limit('concurrency', task => name) from legwork_private.limits");
  await resetLegwork(database.pool);
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "t"}]')`);
});

/** Enqueues jobs in one request, like a batch or a transaction, so that all have the same start time. */
async function enqueue(count: number, fields = {}): Promise<string[]> {
  const { rows } = await database.pool.query("select legwork.enqueue_many((select jsonb_agg($1::jsonb) from generate_series(1, $2))) as id", [
    { task: "t", ...fields },
    count,
  ]);
  return rows.map(({ id }) => id);
}

/** The worker reports that it runs these jobs, and then stops sending heartbeats. */
async function die(running: readonly string[]): Promise<void> {
  await database.pool.query("select legwork_private.worker_beat('dead', 'host', 1, 10, array['t'], $1)", [running]);
  await database.pool.query("update legwork_private.worker_processes set seen_at = seen_at - interval '10 seconds', suspected_at = seen_at - interval '5 seconds'");
  await database.pool.query("select legwork_private.recover_jobs()");
}

/** The jobs that the other worker starts one after the other, each completed before the next. */
async function startsNext(): Promise<string[]> {
  const started: string[] = [];
  for (;;) {
    const [job] = await next.fetch(database.pool);
    if (job === undefined) return started;
    started.push(job.id);
    await next.complete(database.pool, [job.id]);
  }
}

const ids = (jobs: readonly { id: string }[]): string[] => jobs.map(({ id }) => id).toSorted((a, b) => Number(a) - Number(b));

it("a dead worker's jobs start before all jobs that were due at the same time or later: first the ones that it ran, then those it had fetched ahead", async () => {
  const all = await enqueue(30);
  const later = await enqueue(5);
  // Frees space in the table, so that the changed rows are stored elsewhere: their position must not matter.
  await database.pool.query("vacuum graphile_worker._private_jobs");
  const held = ids(await dead.fetch(database.pool, 10));
  expect(held).toEqual(all.slice(0, 10));
  // The jobs that ran are not the first ones, so that the order depends on the heartbeat.
  const running = held.slice(4, 7);
  await die(running);
  expect(await startsNext()).toEqual([...running, ...held.slice(0, 4), ...held.slice(7), ...all.slice(10), ...later]);
});

it("a job that was fetched before a more urgent one arrived runs after that one", async () => {
  const [first, second] = await enqueue(2);
  const held = ids(await dead.fetch(database.pool));
  expect(held).toEqual([first]);
  const [urgent] = await enqueue(1, { priority: -1 });
  await die(held);
  expect(await startsNext()).toEqual([urgent, first, second]);
});

it("a job that a stopping worker returns to the queue keeps its place, whatever kind of worker it is and however it returns the job", async () => {
  for (const giveBack of [
    async () => void (await database.pool.query("select legwork_private.worker_stopped('dead')")),
    async (held: string[]) => void (await database.pool.query("select legwork_private.give_back_jobs('dead', $1)", [held])),
    async (held: string[]) => await dead.giveBack(database.pool, held),
    async () => void (await database.pool.query("select graphile_worker.force_unlock_workers(array['dead'])")),
  ]) {
    const all = await enqueue(20);
    await database.pool.query("vacuum graphile_worker._private_jobs");
    const held = ids(await dead.fetch(database.pool, 5));
    await giveBack(held);
    const started = await startsNext();
    // Jobs that a plain worker has returned start in any order among themselves.
    expect(ids(started.slice(0, 5).map((id) => ({ id })))).toEqual(all.slice(0, 5));
    expect(started.slice(5)).toEqual(all.slice(5));
  }
});

it("jobs of a limited task keep their place in the waiting room", async () => {
  await database.pool.query("select legwork.limit_concurrency(6, task => 't')");
  const all = await enqueue(20);
  const held = ids(await dead.fetch(database.pool, 6));
  expect(held).toEqual(all.slice(0, 6));
  await die(held.slice(0, 2));
  expect(ids(await next.fetch(database.pool, 20))).toEqual(held);
});

it("a dead worker's job with a serial key is the next one with that key", async () => {
  const all = await enqueue(10, { serial_key: "one at a time" });
  const held = ids(await dead.fetch(database.pool));
  await die(held);
  expect((await startsNext())[0]).toBe(held[0]);
  expect(held[0]).toBe(all[0]);
});

it("a job that was returned to the queue shows the requested start time, to within a few milliseconds", async () => {
  const runAt = "2026-01-01T00:00:00.000Z";
  const [id] = await enqueue(1, { run_at: runAt });
  await dead.fetch(database.pool);
  await die([id ?? ""]);
  const { rows } = await database.pool.query("select run_at, state from legwork.jobs where id = $1", [id]);
  expect(rows[0].state).toBe("pending");
  expect(Math.abs(rows[0].run_at - Date.parse(runAt))).toBeLessThanOrEqual(3);
});
