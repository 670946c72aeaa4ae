import { expect, it } from "vitest";
import { connection } from "../support/connections.ts";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

/** How many entries of a table or an index have been read so far. */
async function reads(statistic: string): Promise<number> {
  await database.pool.query("select pg_stat_force_next_flush()");
  return Number((await database.pool.query(`select (select ${statistic}) as read`)).rows[0].read);
}

const JOBS = 2_000;
const addJobs = (task: string): string =>
  `select from graphile_worker.add_jobs(array(
     select row('${task}', '{}', null, null, null, null, null, null)::graphile_worker.job_spec from generate_series(1, ${JOBS})))`;

it("retrying many limited jobs reads each wakeup a few times, and not once for each job", async () => {
  await database.pool.query("select graphile_worker.add_job('t')");
  await database.pool.query("select legwork.limit_concurrency(5, task => 't')");
  await database.pool.query(addJobs("t"));
  await database.pool.query("select graphile_worker.permanently_fail_jobs(array(select id from graphile_worker._private_jobs))");
  await database.pool.query("select legwork.tick()");
  const before = await reads("sum(idx_tup_read) from pg_stat_user_indexes where relname = 'wakeups'");
  const client = await connection(database);
  expect((await client.query("select legwork.retry_jobs('{}')")).rows.length).toBeGreaterThan(JOBS);
  await client.query("select pg_stat_force_next_flush()");
  const after = await reads("sum(idx_tup_read) from pg_stat_user_indexes where relname = 'wakeups'");
  expect((after - before) / JOBS).toBeLessThan(100);
  expect((await database.pool.query("select * from legwork.reconcile()")).rows).toEqual([]);
});

it("failing many jobs while statistics say that the history is empty does not read the whole history for each job", async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await database.pool.query("truncate legwork_private.finished_jobs");
  const client = await connection(database);
  await client.query("vacuum analyze");
  await client.query(addJobs("u"));
  const statistic = "sum(seq_tup_read) from pg_stat_user_tables where relname ~ 'finished_jobs'";
  const before = await reads(statistic);
  await client.query("select graphile_worker.permanently_fail_jobs(array(select id from graphile_worker._private_jobs))");
  await client.query("select pg_stat_force_next_flush()");
  expect(((await reads(statistic)) - before) / JOBS).toBeLessThan(100);
});
