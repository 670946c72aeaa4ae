import { beforeEach, expect, it, inject } from "vitest";
import { connection, untilBlocked } from "../support/connections.ts";
import { testDatabase } from "../support/database.ts";
import { resetLegwork } from "../support/reset-legwork.ts";
import { HandWorker } from "../support/hand-worker.ts";

const database = testDatabase();
const worker = new HandWorker("w");

beforeEach(async () => {
  await resetLegwork(database.pool);
  await database.pool.query('select legwork_private.register_tasks(\'[{"name": "t"}, {"name": "u"}]\')');
});

async function enqueue(key: string | null = null, task = "t"): Promise<string> {
  const { rows } = await database.pool.query("select id from graphile_worker.add_job($1, job_key => $2)", [task, key]);
  return rows[0].id;
}

async function one(sql: string, parameters: unknown[] = []): Promise<unknown> {
  const { rows } = await database.pool.query({ text: sql, values: parameters, rowMode: "array" });
  return rows[0]?.[0];
}

async function running(): Promise<number> {
  return (await one("select count(*)::int from graphile_worker._private_jobs where locked_at is not null")) as number;
}

async function contradictions(): Promise<unknown[]> {
  return (await database.pool.query("select problem, gate from legwork.reconcile()")).rows;
}

it("a job that is fetched while a limit is being created counts for the limit", async () => {
  await enqueue();
  await enqueue();
  const fetcher = await connection(database);
  const limiter = await connection(database);
  await fetcher.query("begin");
  expect(await worker.fetch(fetcher)).toHaveLength(1);
  const limited = limiter.query("select legwork.limit_concurrency(1, task => 't')");
  await untilBlocked(database, limiter.backend);
  await fetcher.query("commit");
  await limited;
  expect(await one("select count(*)::int from legwork_private.waiting_jobs")).toBe(1);
  expect(await contradictions()).toEqual([]);
  await database.pool.query("select legwork.tick()");
  expect(await worker.fetch(database.pool, 5)).toEqual([]);
  expect(await running()).toBe(1);
});

it("resuming and replacing a waiting job do not deadlock", async () => {
  await database.pool.query("select legwork.pause_task('t')");
  const id = await enqueue("k");
  const keyed = await connection(database);
  const resumer = await connection(database);
  await keyed.query("begin");
  await keyed.query("select from graphile_worker._private_jobs where id = $1 for update", [id]);
  const resumed = resumer.query("select legwork.resume_task('t')");
  await untilBlocked(database, resumer.backend);
  await keyed.query("select graphile_worker.add_job('t', job_key => 'k')");
  await keyed.query("commit");
  await resumed;
  await database.pool.query("select legwork.tick()");
  expect(await worker.fetch(database.pool)).toEqual([{ id, task: "t" }]);
});

it("an open transaction that has replaced a waiting job does not delay the others", async () => {
  await database.pool.query("select legwork.limit_concurrency(1, task => 't', key => 'k')");
  await database.pool.query("delete from legwork_private.limit_changes");
  await database.pool.query("select legwork.pause_task('t')");
  await enqueue("a");
  await database.pool.query("select graphile_worker.add_job('u', run_at => now())");
  const keyed = await connection(database);
  await keyed.query("begin");
  await keyed.query("select graphile_worker.add_job('t', job_key => 'a', payload => '{\"k\": 2}')");
  await database.pool.query("set statement_timeout = '3s'; select legwork.tick(); reset statement_timeout");
  await keyed.query("rollback");
});

it("an open transaction that has removed a limit does not prevent jobs from ending", async () => {
  await database.pool.query("select legwork.limit_concurrency(1, task => 't')");
  await enqueue();
  const [job] = await worker.fetch(database.pool);
  const dropper = await connection(database);
  const finisher = await connection(database);
  await dropper.query("begin");
  await dropper.query("select legwork.drop_limit('concurrency', task => 't')");
  await finisher.query("set statement_timeout = '3s'");
  await worker.complete(finisher, [job!.id]);
  await dropper.query("commit");
  await database.pool.query("select legwork.tick()");
  expect(await one("select count(*)::int from legwork_private.slots")).toBe(0);
});

it("an open transaction that has changed a rate limit's window does not prevent jobs from ending", async () => {
  await database.pool.query("select legwork.limit_rate(1, '1 minute', task => 't')");
  await enqueue();
  const [job] = await worker.fetch(database.pool);
  const changer = await connection(database);
  const finisher = await connection(database);
  await changer.query("begin");
  await changer.query("select legwork.limit_rate(1, '1 hour', task => 't')");
  await finisher.query("set statement_timeout = '3s'");
  await worker.complete(finisher, [job!.id]);
  await changer.query("commit");
});

it("an open transaction that has removed a rate limit does not prevent other jobs from starting", async () => {
  await database.pool.query(
    "select legwork.limit_rate(1, '1 millisecond', task => 't'), legwork.limit_concurrency(1, task => 'u')",
  );
  await enqueue();
  const [job] = await worker.fetch(database.pool);
  await worker.complete(database.pool, [job!.id]);
  const dropper = await connection(database);
  const other = await connection(database);
  await dropper.query("begin");
  await dropper.query("select legwork.drop_limit('rate', task => 't')");
  await other.query("set statement_timeout = '3s'");
  await other.query("select graphile_worker.add_job('t'), graphile_worker.add_job('u')");
  await other.query("select legwork.tick()");
  expect((await worker.fetch(other, 5)).map((fetched) => fetched.task)).toContain("u");
  await dropper.query("rollback");
});

it("a limit created after a repeatable read transaction began applies to the jobs which that transaction enqueues", async () => {
  const enqueuer = await connection(database);
  await enqueuer.query("begin isolation level repeatable read");
  await enqueuer.query("select 1 from legwork_private.limits");
  await database.pool.query("select legwork.limit_concurrency(1, task => 't')");
  await database.pool.query("select legwork.tick()");
  await enqueuer.query("select graphile_worker.add_job('t'), graphile_worker.add_job('t')");
  await enqueuer.query("commit");
  await database.pool.query("select legwork.tick()");
  expect(await worker.fetch(database.pool, 5)).toHaveLength(1);
});

it("an emergency stop also stops a job whose task is new, even while a transaction in another database is open", async () => {
  const elsewhere = await connection({ url: inject("serverUrl") });
  await elsewhere.query("begin");
  await elsewhere.query("select pg_current_xact_id()");
  const enqueuer = await connection(database);
  await enqueuer.query("begin");
  await enqueuer.query("select graphile_worker.add_job('brand-new')");
  await database.pool.query("select legwork.emergency_stop()");
  await enqueuer.query("commit");
  await database.pool.query("select legwork.tick()");
  expect(await worker.fetch(database.pool, 5)).toEqual([]);
  await elsewhere.query("commit");
  await database.pool.query("select legwork.resume_all()");
  expect(await worker.fetch(database.pool, 5)).toHaveLength(1);
});

it("a waiting job that permanently failed runs after it is rescheduled", async () => {
  await database.pool.query("select legwork.pause_task('t')");
  const id = await enqueue();
  await database.pool.query("select graphile_worker.permanently_fail_jobs(array[$1::bigint], 'no')", [id]);
  expect(await one("select isfinite(run_at) from legwork.jobs where id = $1", [id])).toBe(true);
  await database.pool.query("select graphile_worker.reschedule_jobs(array[$1::bigint], attempts => 0)", [id]);
  await database.pool.query("select legwork.resume_task('t')");
  await database.pool.query("select legwork.tick()");
  expect(await worker.fetch(database.pool)).toEqual([{ id, task: "t" }]);
});

it("a cancelled job that is returned to the queue unfinished does not start again", async () => {
  const id = await enqueue();
  await worker.fetch(database.pool);
  await database.pool.query("select legwork.cancel_job($1)", [id]);
  await worker.giveBack(database.pool, [id]);
  expect(await worker.fetch(database.pool)).toEqual([]);
  expect(await one("select state from legwork.jobs where id = $1", [id])).toBe("cancelled");
});

it("a job that a dead worker may have started counts for its rate limit", async () => {
  await database.pool.query("select legwork.limit_rate(1, '1 hour', task => 't')");
  await enqueue();
  await enqueue();
  await database.pool.query("select graphile_worker.add_job('u')");
  await database.pool.query("select legwork_private.worker_beat('w', 'host', 1, 1, '{t}', '{}')");
  const fetched = await worker.fetch(database.pool, 2);
  const told = fetched.find((job) => job.task === "u")!;
  await database.pool.query("select legwork_private.worker_beat('w', 'host', 1, 2, '{t,u}', array[$1::bigint])", [told.id]);
  await database.pool.query(
    "update legwork_private.worker_processes set seen_at = now() - interval '1 minute', suspected_at = now() - interval '1 minute'",
  );
  await database.pool.query("select legwork_private.recover_jobs()");
  await database.pool.query("select legwork.tick()");
  expect((await worker.fetch(database.pool, 2)).map((job) => job.task)).not.toContain("t");
});

it("a job that is enqueued while others are being admitted is not missed", async () => {
  await database.pool.query("select legwork.limit_concurrency(5, task => 't')");
  const holder = await connection(database);
  const enqueuer = await connection(database);
  await holder.query("begin");
  await holder.query("select pg_advisory_xact_lock(legwork_private.admission_lock())");
  const enqueued = enqueuer.query("select graphile_worker.add_job('t')");
  await Promise.race([enqueued, untilBlocked(database, enqueuer.backend)]);
  await holder.query("commit");
  await enqueued;
  expect(await worker.fetch(database.pool)).toHaveLength(1);
});
