import { beforeEach, expect, it } from "vitest";
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

async function one(sql: string, parameters: unknown[] = []): Promise<unknown> {
  const { rows } = await database.pool.query({ text: sql, values: parameters, rowMode: "array" });
  return rows[0]?.[0];
}

async function enqueue(dependsOn: readonly string[] = [], more = ""): Promise<string> {
  return String(await one(`select legwork.enqueue('t', depends_on => $1 ${more})`, [dependsOn]));
}

const state = (id: string): Promise<unknown> => one("select state from legwork.jobs where id = $1", [id]);
const error = (id: string): Promise<unknown> => one("select error from legwork.jobs where id = $1", [id]);
const tick = (): Promise<unknown> => one("select legwork.tick()");

async function contradictions(): Promise<unknown[]> {
  return (await database.pool.query("select problem, job_id from legwork.reconcile()")).rows;
}

async function run(id: string, how: "complete" | "fail" = "complete"): Promise<void> {
  for (;;) {
    const [job] = await worker.fetch(database.pool);
    if (job === undefined) throw new Error(`Job ${id} cannot be fetched.`);
    if (job.id !== id) {
      await worker.complete(database.pool, [job.id]);
      continue;
    }
    if (how === "complete") return await worker.complete(database.pool, [id]);
    await database.pool.query("update graphile_worker._private_jobs set max_attempts = attempts where id = $1", [id]);
    return await worker.fail(database.pool, [id]);
  }
}

it("a job waits until all its dependencies have completed, and becomes ready in the transaction that completes the last", async () => {
  const [a, b] = [await enqueue(), await enqueue()];
  const c = await enqueue([a, b]);
  expect(await state(c)).toBe("blocked");
  await tick();
  expect(await contradictions()).toEqual([]);
  await run(a);
  expect(await state(c)).toBe("blocked");
  await run(b);
  expect(await state(c)).toBe("pending");
  expect(await one("select count(*)::int from legwork_private.dependencies")).toBe(0);
  expect(await one("select count(*)::int from legwork_private.waiting_jobs")).toBe(0);
  expect(await contradictions()).toEqual([]);
  await run(c);
  expect(await state(c)).toBe("completed");
});

it("a failed dependency cancels the jobs that wait for it and all jobs that wait for those, with the reason", async () => {
  const a = await enqueue();
  const b = await enqueue([a]);
  const c = await enqueue([b]);
  const d = await enqueue([a], ", on_dependency_failure => 'run'");
  const e = await enqueue([c], ", on_dependency_failure => 'run'");
  await run(a, "fail");
  expect([await state(b), await state(c), await state(d), await state(e)]).toEqual(["cancelled", "cancelled", "pending", "pending"]);
  expect(await error(b)).toBe(`Cancelled because job ${a}, which it depends on, failed.`);
  expect(await error(c)).toBe(`Cancelled because job ${b}, which it depends on, was cancelled.`);
  expect(await one("select count(*)::int from legwork_private.dependencies")).toBe(0);
  expect(await contradictions()).toEqual([]);
});

it("a cancelled, expired or removed dependency counts as a failed one", async () => {
  const a = await enqueue();
  const b = await enqueue([a]);
  await one("select legwork.cancel_job($1)", [a]);
  expect(await state(b)).toBe("cancelled");
  const c = await enqueue([], ", expires_at => clock_timestamp() + interval '50 milliseconds'");
  const d = await enqueue([c]);
  await one("select pg_sleep(0.06)");
  await tick();
  expect(await state(d)).toBe("cancelled");
  expect(await error(d)).toContain("expired");
  const e = await enqueue([], ", job_key => 'k'");
  const f = await enqueue([e]);
  await one("select graphile_worker.remove_job('k')");
  expect(await state(f)).toBe("cancelled");
  expect(await contradictions()).toEqual([]);
});

it("a running dependency that is cancelled cancels its dependants once it has stopped", async () => {
  const a = await enqueue();
  const b = await enqueue([a]);
  await tick();
  await worker.fetch(database.pool);
  await one("select legwork.cancel_job($1)", [a]);
  expect(await state(b)).toBe("blocked");
  await worker.fail(database.pool, [a]);
  expect([await state(a), await state(b)]).toEqual(["cancelled", "cancelled"]);
  expect(await contradictions()).toEqual([]);
});

it("a dependency that has already ended takes effect at once, depending on how it ended", async () => {
  const a = await enqueue();
  await run(a);
  expect(await state(await enqueue([a]))).toBe("pending");
  const b = await enqueue();
  await one("select legwork.cancel_job($1)", [b]);
  const c = await enqueue([b]);
  expect(await state(c)).toBe("cancelled");
  expect(await error(c)).toContain(`job ${b}`);
  expect(await state(await enqueue([b], ", on_dependency_failure => 'run'"))).toBe("pending");
  const d = await enqueue();
  await run(d, "fail");
  expect(await state(await enqueue([d, a]))).toBe("cancelled");
  expect(await contradictions()).toEqual([]);
});

it("an unknown dependency, a younger dependency and an unknown policy are rejected", async () => {
  await expect(enqueue(["999999999"])).rejects.toMatchObject({ code: "LW404", message: expect.stringContaining("999999999") });
  const keyed = await enqueue([], ", job_key => 'k'");
  const a = await enqueue();
  await expect(enqueue([a], ", job_key => 'k'")).rejects.toMatchObject({ code: "LW409" });
  await expect(enqueue([keyed], ", job_key => 'k'")).rejects.toMatchObject({ code: "LW409" });
  await expect(enqueue([a], ", on_dependency_failure => 'wait'")).rejects.toMatchObject({ code: "LW400" });
  expect(await one("select count(*)::int from legwork_private.dependencies")).toBe(0);
});

it("enqueue_many accepts dependencies too", async () => {
  const a = await enqueue();
  const [b, c] = (
    await database.pool.query("select legwork.enqueue_many($1) as id", [
      JSON.stringify([{ task: "t", depends_on: [Number(a)] }, { task: "t" }]),
    ])
  ).rows.map((row) => row.id);
  expect([await state(b), await state(c)]).toEqual(["blocked", "pending"]);
});

it("a job that waits for another is explained, and counted as blocked", async () => {
  const a = await enqueue();
  const b = await enqueue([a]);
  const { rows } = await database.pool.query("select reason, detail, fix from legwork.explain_job($1)", [b]);
  expect(rows[0]).toEqual({
    reason: "dependency",
    detail: `It is waiting for job ${a} (t), which is pending.`,
    fix: `See why that job is not running: \`select * from legwork.explain_job(${a});\``,
  });
  expect(await one("select blocked::int from legwork.queues where name = 'default'")).toBe(1);
});

it.each([
  ["replaced by its key", "select graphile_worker.add_job('u', '{}', job_key => 'k')"],
  ["replaced except for its start time", "select graphile_worker.add_job('t', '{}', job_key => 'k', job_key_mode => 'preserve_run_at')"],
  ["rescheduled", "select graphile_worker.reschedule_jobs(array[$1::bigint], run_at => now())"],
  ["retried", "select legwork.retry_job($1)"],
])("a blocked job that is %s continues to wait", async (_, sql) => {
  const a = await enqueue();
  const b = await enqueue([a], ", job_key => 'k'");
  await database.pool.query(sql, sql.includes("$1") ? [b] : []);
  expect(await state(b)).toBe("blocked");
  expect(await one("select run_at = 'infinity' from graphile_worker._private_jobs where id = $1", [b])).toBe(true);
  await one("select legwork.pause_task('u'), legwork.pause_task('t')");
  await one("select legwork.resume_task('u'), legwork.resume_task('t')");
  expect(await state(b)).toBe("blocked");
  await tick();
  expect(await contradictions()).toEqual([]);
  await run(a);
  expect(await state(b)).toBe("pending");
});

it("a blocked job that permanently failed and is rescheduled waits again", async () => {
  const a = await enqueue();
  const b = await enqueue([a]);
  await database.pool.query("select graphile_worker.permanently_fail_jobs(array[$1::bigint], 'no')", [b]);
  expect(await state(b)).toBe("failed");
  await one("select legwork.retry_job($1)", [b]);
  expect(await state(b)).toBe("blocked");
  await run(a);
  expect(await state(b)).toBe("pending");
  expect(await contradictions()).toEqual([]);
});

it("when its last dependency has ended, a job still waits for pauses, limits and its start time", async () => {
  const a = await enqueue();
  const b = String(await one("select legwork.enqueue('u', depends_on => $1)", [[a]]));
  await one("select legwork.pause_task('u')");
  expect(await state(b)).toBe("blocked");
  await run(a);
  expect(await state(b)).toBe("paused");
  await one("select legwork.resume_task('u')");
  expect(await state(b)).toBe("pending");

  await one("select legwork.limit_concurrency(1, task => 'u')");
  const c = String(await one("select legwork.enqueue('u')"));
  expect(await state(c)).toBe("blocked");
  const d = await enqueue();
  const e = String(await one("select legwork.enqueue('u', depends_on => $1)", [[d]]));
  await one("select legwork.drop_limit('concurrency', task => 'u')");
  await one("select legwork.limit_concurrency(2, task => 'u')");
  expect(await one("select held from legwork_private.waiting_jobs where job_id = $1", [e])).toBe("dependency");
  expect(await one("select count(*)::int from legwork_private.slots")).toBe(2);
  const taken = (await worker.fetch(database.pool, 5)).map((job) => job.id);
  expect(taken.toSorted()).toEqual([b, c, d].toSorted());
  await worker.complete(database.pool, [d]);
  expect(await state(e)).toBe("blocked");
  expect(await one("select held from legwork_private.waiting_jobs where job_id = $1", [e])).toBe(null);
  await worker.complete(database.pool, [b]);
  expect(await state(e)).toBe("pending");

  const f = await enqueue();
  const g = String(await one("select legwork.enqueue('t', run_at => now() + interval '1 hour', depends_on => $1)", [[f]]));
  await run(f);
  expect(await state(g)).toBe("scheduled");
  expect(await one("select run_at <> 'infinity' from graphile_worker._private_jobs where id = $1", [g])).toBe(true);
  expect(await contradictions()).toEqual([]);
});

it("changed limits and pauses leave blocked jobs alone", async () => {
  const a = await enqueue();
  const b = await enqueue([a]);
  await one("select legwork.emergency_stop()");
  expect([await state(a), await state(b)]).toEqual(["paused", "blocked"]);
  await tick();
  await one("select legwork.resume_all()");
  await one("select legwork.limit_rate(1, '1 hour', task => 't')");
  await tick();
  expect(await contradictions()).toEqual([]);
  await run(a);
  expect(await state(b)).toBe("blocked");
  expect(await one("select held from legwork_private.waiting_jobs where job_id = $1", [b])).toBe(null);
  await one("select legwork.drop_limit('rate', task => 't')");
  expect(await state(b)).toBe("pending");
});

it("reconcile finds and repairs manual damage", async () => {
  const a = await enqueue();
  const b = await enqueue([a]);
  const c = await enqueue([a]);
  await tick();
  await database.pool.query("delete from legwork_private.dependencies where job_id = $1", [b]);
  // The triggers that would repair this at once are disabled.
  const vandal = await connection(database);
  await vandal.query("set session_replication_role = replica");
  await vandal.query("update graphile_worker._private_jobs set run_at = now() where id = $1", [c]);
  await vandal.query("delete from legwork_private.waiting_jobs where job_id = $1", [c]);
  expect((await contradictions()).length).toBeGreaterThan(0);
  await tick();
  expect([await state(b), await state(c)]).toEqual(["pending", "blocked"]);
  expect(await contradictions()).toEqual([]);
});

it("a repeatable read transaction that ends a job also releases dependants that it could not see", async () => {
  const a = await enqueue();
  await worker.fetch(database.pool);
  const repeatable = await connection(database);
  await repeatable.query("begin isolation level repeatable read");
  await repeatable.query("select 1 from legwork.jobs");
  const b = await enqueue([a]);
  await tick();
  await worker.complete(repeatable, [a]);
  await repeatable.query("commit");
  expect(await state(b)).toBe("blocked");
  await tick();
  expect(await state(b)).toBe("pending");
});

it("two dependencies that end at the same time release the job that waits for both", async () => {
  const [a, b] = [await enqueue(), await enqueue()];
  const c = await enqueue([a, b]);
  await tick();
  await worker.fetch(database.pool, 2);
  const [first, second] = [await connection(database), await connection(database)];
  await first.query("begin");
  await second.query("begin");
  await worker.complete(first, [a]);
  await worker.complete(second, [b]);
  await first.query("commit");
  expect(await state(c)).toBe("blocked");
  await second.query("commit");
  expect(await state(c)).toBe("pending");
});

it("an open transaction that has ended one dependency, or changed a waiting job, does not block other sessions", async () => {
  const [a, b] = [await enqueue(), await enqueue()];
  const c = await enqueue([a, b], ", job_key => 'k'");
  const d = await enqueue([b]);
  await tick();
  await worker.fetch(database.pool, 2);
  const [first, second, third] = [await connection(database), await connection(database), await connection(database)];
  await first.query("begin");
  await worker.complete(first, [a]);
  await second.query("begin");
  await second.query("select graphile_worker.add_job('t', job_key => 'k')");
  await third.query("set statement_timeout = '3s'");
  await worker.complete(third, [b]);
  expect(await state(d)).toBe("pending");
  await third.query("select legwork.tick()");
  await first.query("commit");
  await second.query("rollback");
  await tick();
  expect(await state(c)).toBe("pending");
  expect(await contradictions()).toEqual([]);
});

it("a dependency that ends while its dependant is being enqueued is noticed", async () => {
  const a = await enqueue();
  await worker.fetch(database.pool);
  const [enqueuer, finisher] = [await connection(database), await connection(database)];
  // The dependency ends after the other transaction has read its state, and commits first.
  await enqueuer.query("begin");
  const b = (await enqueuer.query("select legwork.enqueue('t', depends_on => array[$1::bigint]) as id", [a])).rows[0].id;
  await finisher.query("set statement_timeout = '3s'");
  await worker.complete(finisher, [a]);
  await enqueuer.query("commit");
  expect(await state(b)).toBe("blocked");
  await tick();
  expect(await state(b)).toBe("pending");

  // The dependency is ending, with its row locked, while the other transaction commits and the check runs.
  const c = await enqueue();
  expect((await worker.fetch(database.pool, 5)).length).toBe(2);
  await finisher.query("begin");
  await worker.complete(finisher, [c]);
  const d = await enqueue([c]);
  await tick();
  expect(await one("select count(*)::int from legwork_private.dependency_checks")).toBe(1);
  expect(await state(d)).toBe("blocked");
  await finisher.query("commit");
  await tick();
  expect(await state(d)).toBe("pending");

  // The same applies to a dependency that permanently fails, whose row stays.
  const e = await enqueue();
  await worker.fetch(database.pool, 5);
  await database.pool.query("update graphile_worker._private_jobs set max_attempts = attempts where id = $1", [e]);
  await finisher.query("begin");
  await worker.fail(finisher, [e]);
  const f = await enqueue([e]);
  await tick();
  expect(await one("select count(*)::int from legwork_private.dependency_checks")).toBe(1);
  await finisher.query("commit");
  await tick();
  expect(await state(f)).toBe("cancelled");
  expect(await contradictions()).toEqual([]);
});

it("a job that ends just after it was checked releases its dependants itself", async () => {
  const a = await enqueue();
  await worker.fetch(database.pool);
  const b = await enqueue([a]);
  const [checker, finisher] = [await connection(database), await connection(database)];
  await checker.query("begin");
  await checker.query("select legwork.tick()");
  const completed = worker.complete(finisher, [a]);
  await untilBlocked(database, finisher.backend);
  await checker.query("commit");
  await completed;
  expect(await state(b)).toBe("pending");
  expect(await one("select count(*)::int from legwork_private.dependency_checks")).toBe(0);
});
