import { beforeEach, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";

const database = testDatabase();

beforeEach(async () => {
  await database.pool.query("update legwork.settings set value = '30 days' where name = 'history_retention'");
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.failed_attempts");
});

async function maintain(): Promise<{ step: string; relation: string }[]> {
  return (await database.pool.query("select * from legwork.maintain_history()")).rows;
}

/** The partition that holds a row of this age, or null. */
async function partitionAt(time: string): Promise<string> {
  await database.pool.query(
    `insert into legwork_private.finished_jobs (id, task, queue, state, priority, attempts, max_attempts, run_at, created_at, finished_at)
     values (1, 't', 'default', 'completed', 0, 1, 25, now(), now(), ${time})`,
  );
  const { rows } = await database.pool.query("select tableoid::regclass::text as partition from legwork_private.finished_jobs");
  await empty(database.pool, "legwork_private.finished_jobs");
  return rows[0].partition;
}

it("partitions for today and the coming days exist", async () => {
  expect(await partitionAt("now()")).toMatch(/^legwork_private\.finished_jobs_\d{8}$/);
  expect(await partitionAt("now() + interval '3 days'")).toMatch(/^legwork_private\.finished_jobs_\d{8}$/);
  expect(await maintain()).toEqual([]);
});

it("rows that arrived while a partition was missing move into it when it is created", async () => {
  const { rows: made } = await database.pool.query("select partition::text from legwork_private.history_partitions()");
  for (const { partition } of made) await database.pool.query(`drop table ${partition}`);
  await database.pool.query("select graphile_worker.add_job('t')");
  await database.pool.query("delete from graphile_worker._private_jobs");
  const partition = async (): Promise<string> =>
    (await database.pool.query("select tableoid::regclass::text as name from legwork_private.finished_jobs")).rows[0].name;
  expect(await partition()).toBe("legwork_private.finished_jobs_default");
  expect((await maintain()).map((row) => row.step)).toEqual(made.map(() => "created"));
  expect(await partition()).toMatch(/^legwork_private\.finished_jobs_\d{8}$/);
});

it("misplaced audit log entries and occurrences of schedules move too, and are not counted", async () => {
  for (const { partition } of (await database.pool.query("select partition::text from legwork_private.history_partitions()")).rows) {
    await database.pool.query(`drop table ${partition}`);
  }
  await database.pool.query("select legwork.pause_queue('default'), legwork.resume_queue('default')");
  await database.pool.query("insert into legwork_private.schedule_occurrences (schedule, due_at, last_due_at, state) values ('s', now(), now(), 'missed')");
  expect(new Set((await maintain()).map(({ step }) => step))).toEqual(new Set(["created"]));
  for (const table of ["audit_entries", "schedule_occurrences"]) {
    const { rows } = await database.pool.query(`select tableoid::regclass::text as partition from legwork_private.${table} limit 1`);
    expect(rows).toEqual([{ partition: expect.stringMatching(/_\d{8}$/) }]);
  }
});

it("a partition whose time has passed is dropped, and its failed jobs can no longer be retried", async () => {
  await database.pool.query("create table legwork.finished_jobs_old partition of legwork_private.finished_jobs for values from ('2020-01-01Z') to ('2020-02-01Z')");
  const { rows: [old] } = await database.pool.query("select (graphile_worker.add_job('t', run_at => '2020-01-10Z', max_attempts => 1)).id");
  const { rows: [young] } = await database.pool.query("select (graphile_worker.add_job('t', max_attempts => 1)).id");
  await database.pool.query("select graphile_worker.permanently_fail_jobs(array[$1, $2]::bigint[], 'x')", [old.id, young.id]);
  await database.pool.query("update legwork_private.finished_jobs set finished_at = '2020-01-10Z' where id = $1", [old.id]);
  expect(await maintain()).toEqual([{ step: "dropped", relation: "legwork.finished_jobs_old" }]);
  expect((await database.pool.query("select id from legwork.jobs")).rows).toEqual([{ id: young.id }]);
  expect((await database.pool.query("select id from graphile_worker._private_jobs")).rows).toEqual([{ id: young.id }]);
});

it("a session that reads the history for a long time is not interrupted, and does not block other sessions", async () => {
  await database.pool.query("create table legwork.finished_jobs_old partition of legwork_private.finished_jobs for values from ('2020-01-01Z') to ('2020-02-01Z')");
  const reader = await database.pool.connect();
  await reader.query("begin");
  await reader.query("select count(*) from legwork_private.finished_jobs");
  expect(await maintain()).toEqual([{ step: "busy", relation: "legwork.finished_jobs_old" }]);
  await database.pool.query("select graphile_worker.add_job('t')");
  await database.pool.query("delete from graphile_worker._private_jobs");
  await reader.query("commit");
  reader.release();
  expect(await maintain()).toEqual([{ step: "dropped", relation: "legwork.finished_jobs_old" }]);
});

it("the number of partitions remains small whatever the retention is", async () => {
  await database.pool.query("update legwork.settings set value = '2 years' where name = 'history_retention'");
  await maintain();
  const { rows } = await database.pool.query(
    "select max(upper_bound - lower_bound) as width from legwork_private.history_partitions() where parent = 'legwork_private.finished_jobs'::regclass",
  );
  expect(rows[0].width.days).toBe(31);
});

it("two processes that maintain the history at the same time do not wait for each other", async () => {
  const first = await database.pool.connect();
  await first.query("begin");
  await first.query("select legwork.maintain_history()");
  expect(await maintain()).toEqual([]);
  await first.query("rollback");
  first.release();
});

it.each([
  ["forever", "30 days"],
  ["-30 days", "30 days"],
  ["infinity", "1000 years"],
  ["0 days", "01:00:00"],
])("a retention of %s counts as %s, and recent partitions are not dropped", async (value, taken) => {
  const { rows: [before] } = await database.pool.query("select count(*)::int as partitions from legwork_private.history_partitions()");
  await database.pool.query("update legwork.settings set value = $1 where name = 'history_retention'", [value]);
  expect((await database.pool.query("select legwork_private.history_retention()::text as taken")).rows).toEqual([{ taken }]);
  await maintain();
  const { rows: [after] } = await database.pool.query("select count(*)::int as partitions from legwork_private.history_partitions()");
  expect(after.partitions).toBeGreaterThanOrEqual(before.partitions);
});
