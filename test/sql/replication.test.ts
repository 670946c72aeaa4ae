import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { HandWorker } from "../support/hand-worker.ts";

const database = testDatabase();
const run = async (text: string, values: unknown[] = []) => (await database.pool.query(text, values)).rows;
const worker = new HandWorker("w");

// A publication rejects the same statements whatever wal_level is, and with or without a subscription.
beforeAll(async () => {
  if (inject("serverUrl") === "") return;
  await run("set client_min_messages = error; create publication everything for all tables");
  await run(`select legwork_private.register_tasks('[{"name": "a"}, {"name": "limited"}]')`);
});
afterAll(async () => {
  if (inject("serverUrl") !== "") await run("drop publication everything");
});

it("limited jobs run, and limits change, while a publication covers all tables", async () => {
  await run("select legwork.limit_concurrency(1, task => 'limited'), legwork.limit_rate(100, '1 minute', task => 'limited')");
  await run(`select legwork.enqueue_many('[{"task": "limited"}, {"task": "limited"}]')`);
  for (const _ of [1, 2]) {
    const jobs = await worker.fetch(database.pool, 10);
    expect(jobs).toHaveLength(1);
    await worker.complete(database.pool, jobs.map(({ id }) => id));
  }
  await run("select legwork.drop_limit('concurrency', task => 'limited'), legwork.drop_limit('rate', task => 'limited')");
  await run("select legwork.tick()");
  expect(await run("select state from legwork.jobs where task = 'limited'")).toEqual([1, 2].map(() => ({ state: "completed" })));
});

it("failed jobs are retried, and workflows and batches end", async () => {
  const [{ id }] = await run("select legwork.enqueue('a', max_attempts => 1) as id");
  await worker.fetch(database.pool);
  await worker.fail(database.pool, [id]);
  await run("select legwork.retry_job($1)", [id]);
  await worker.fetch(database.pool);
  await worker.complete(database.pool, [id]);
  await run(`select legwork.start_workflow('w', '[{"name": "one", "task": "a"}, {"name": "two", "task": "a", "depends_on": ["one"]}]')`);
  await run(`select legwork.enqueue_batch('[{"task": "a"}, {"task": "a"}]', callback => '{"task": "a"}')`);
  for (let jobs = await worker.fetch(database.pool, 10); jobs.length > 0; jobs = await worker.fetch(database.pool, 10)) {
    await worker.complete(database.pool, jobs.map((job) => job.id));
  }
  expect(await run("select state from legwork.workflows union all select state from legwork.batches")).toEqual([1, 2].map(() => ({ state: "completed" })));
});

it("partitions are created, filled from the default one and dropped, together with those of the audit log and the log lines", async () => {
  await run(`select legwork_private.record_output('[]', '[{"job_id": 1, "attempt": 1, "at": ${Date.now()}, "level": "info", "message": "x"}]')`);
  for (const { partition } of await run("select partition::text from legwork_private.history_partitions()")) await run(`drop table ${partition}`);
  await run(`select legwork_private.record_output('[]', '[{"job_id": 1, "attempt": 1, "at": ${Date.now()}, "level": "info", "message": "x"}]')`);
  await run("select legwork.enqueue('a'), legwork.enqueue('a'), legwork.pause_task('a')");
  await run("delete from graphile_worker._private_jobs");
  await run("update legwork.settings set value = '1 hour' where name like '%_retention'");
  await run("update legwork_private.finished_jobs_default set finished_at = now() - interval '1 year' where id = (select min(id) from legwork_private.finished_jobs_default)");
  const steps = await run("select step from legwork.maintain_history()");
  expect(new Set(steps.map(({ step }) => step))).toEqual(new Set(["created"]));
  // Rows of a new partition can be changed, like those of the default one.
  expect(await run("delete from legwork_private.finished_jobs returning tableoid::regclass::text ~ '_[0-9]{8}$' as is_new")).toContainEqual({ is_new: true });
  expect(await run("delete from legwork_private.job_logs returning message")).toEqual([{ message: "x" }]);
});
