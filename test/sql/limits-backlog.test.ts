import { beforeAll, expect, inject, it } from "vitest";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

/** As many as several hundred pages of the tables and their indexes. */
const JOBS = 20_000;
const SLOTS = 10;

beforeAll(async () => {
  if (inject("serverUrl") === "") return;
  await database.pool.query("select legwork_private.register_tasks($1)", [
    JSON.stringify([
      { name: "one", limits: [{ kind: "concurrency", max: SLOTS }] },
      { name: "two", limits: [{ kind: "concurrency", max: SLOTS }, { kind: "concurrency", key: ["user"], max: SLOTS }] },
    ]),
  ]);
});

/** Returns how many jobs of a task are free to run. */
async function released(task: string): Promise<number> {
  const { rows } = await database.pool.query("select count(*)::int as jobs from graphile_worker.jobs where task_identifier = $1 and run_at <> 'infinity'", [task]);
  return rows[0].jobs;
}

/** Returns how many entries of the indexes on jobs and on the waiting room a transaction reads. */
async function entriesRead(work: (client: { query: (text: string) => Promise<unknown> }) => Promise<void>): Promise<number> {
  const client = await database.pool.connect();
  const read = async (): Promise<number> => {
    const { rows } = await client.query(
      `select (pg_stat_force_next_flush() is null)::int, (
         select sum(pg_stat_get_xact_tuples_returned(i.indexrelid))::int from pg_index i
         where i.indrelid in ('graphile_worker._private_jobs'::regclass, 'legwork_private.waiting_jobs'::regclass)) as entries`,
    );
    return rows[0].entries;
  };
  try {
    await client.query("begin");
    const before = await read();
    await work(client);
    // What would run at the commit.
    await client.query("set constraints all immediate");
    const after = await read();
    await client.query("commit");
    return after - before;
  } finally {
    client.release();
  }
}

it.for(["one", "two"])("releasing a few of many jobs that wait for the limits of task %s reads none of the others", async (task) => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await database.pool.query(
    `select graphile_worker.add_jobs(array(
       select row($1, '{"user": 1}', null, null, null, null, null, null)::graphile_worker.job_spec from generate_series(1, $2::int)))`,
    [task, JOBS],
  );
  // With statistics that say that every waiting job is in one line.
  await database.pool.query("vacuum (analyze)");
  expect(await released(task)).toBe(SLOTS);
  const entries = await entriesRead(async (client) => {
    await client.query(
      `delete from graphile_worker._private_jobs where id in (select id from graphile_worker.jobs where task_identifier = '${task}' and run_at <> 'infinity')`,
    );
  });
  expect(await released(task)).toBe(SLOTS);
  expect(entries).toBeLessThan(2_000);
});
