import { beforeAll, expect, inject, it } from "vitest";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

/** Enough jobs to fill several hundred pages of the tables and their indexes. */
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

/** Returns the jobs of a task that may run. */
async function released(task: string): Promise<string[]> {
  const { rows } = await database.pool.query(
    "select id from graphile_worker.jobs where task_identifier = $1 and run_at <> 'infinity'",
    [task],
  );
  return rows.map(({ id }) => id);
}

/** Returns how many rows of the jobs and of the waiting room, and entries of their indexes, a transaction reads. */
async function entriesRead(work: (client: { query: (text: string) => Promise<unknown> }) => Promise<void>): Promise<number> {
  const client = await database.pool.connect();
  const read = async (): Promise<number> => {
    const { rows } = await client.query(
      `select sum(pg_stat_get_xact_tuples_returned(r.oid))::int as entries
       from (values ('graphile_worker._private_jobs'::regclass), ('legwork_private.waiting_jobs'::regclass)) t (oid)
       cross join lateral (select t.oid union all select i.indexrelid from pg_index i where i.indrelid = t.oid) r`,
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
  const first = await released(task);
  expect(first).toHaveLength(SLOTS);
  const entries = await entriesRead(async (client) => {
    await client.query(`delete from graphile_worker._private_jobs where id in (${first.join()})`);
  });
  expect(await released(task)).toHaveLength(SLOTS);
  expect(entries).toBeLessThan(2_000);
});

it("limit_use reads only the lines of the limits that it shows", async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await database.pool.query(
    `select graphile_worker.add_jobs(array(
       select row(t, '{"user": 1}', null, null, null, null, null, null)::graphile_worker.job_spec
       from (values ('one', $1::int), ('two', 100)) v (t, jobs), generate_series(1, v.jobs)))`,
    [JOBS],
  );
  await database.pool.query("vacuum (analyze)");
  const use = "select kind, key, in_use::int, waiting::int from legwork.limit_use('task', 'two')";
  const { rows } = await database.pool.query(use);
  expect(rows).toEqual([
    { kind: "concurrency", key: null, in_use: SLOTS, waiting: 100 - SLOTS },
    { kind: "concurrency", key: "user", in_use: SLOTS, waiting: 100 - SLOTS },
  ]);
  expect(await entriesRead(async (client) => void (await client.query(use)))).toBeLessThan(2_000);
});
