import { beforeAll, beforeEach, expect, it } from "vitest";
import { transaction } from "../../src/db/pool.ts";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

beforeAll(async () => {
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "mail", "queue": "q"}, {"name": "other"}]')`);
});
beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await database.pool.query("delete from legwork_private.queue_counts");
});

/** Adds this many jobs that may start, for one tenant or without a tenant. */
async function add(task: string, count: number, tenant: string | null = null): Promise<void> {
  await database.pool.query(
    `select graphile_worker.add_jobs(array(
       select row($1, '{}'::json, null, null, 2, null, null, case when $3::text is not null then array['tenant:' || $3] end)::graphile_worker.job_spec
       from generate_series(1, $2::int)))`,
    [task, count, tenant],
  );
}

/** The row of the queue q in the view, for all tenants or for one. */
async function see(tenant = ""): Promise<{ pending: number; failed: number; counted: boolean }> {
  return await transaction(database.pool, async (client) => {
    await client.query("select set_config('legwork.confined_to', $1, true)", [tenant]);
    const { rows } = await client.query(
      "select pending::int, failed::int, counted_at is not null as counted from legwork.queues where name = 'q'",
    );
    return rows[0];
  });
}

it("a small number of jobs, including failed ones, is counted again for each query", async () => {
  await add("mail", 3);
  await database.pool.query("update graphile_worker._private_jobs set attempts = max_attempts where id = (select min(id) from graphile_worker._private_jobs)");
  await database.pool.query("select legwork_private.sample_queues()");
  expect(await see()).toEqual({ pending: 2, failed: 1, counted: false });
  await add("mail", 1);
  expect(await see()).toEqual({ pending: 3, failed: 1, counted: false });
});

it("more than 2,000 jobs are counted in the background, and shown with the time of the count", async () => {
  await add("mail", 2_001);
  await add("other", 2);
  expect(await see()).toEqual({ pending: 2_001, failed: 0, counted: false });
  await database.pool.query("select legwork_private.sample_queues()");
  await add("mail", 1);
  expect(await see()).toEqual({ pending: 2_001, failed: 0, counted: true });
  const { rows } = await database.pool.query("select name, pending::int, oldest is not null as waits from legwork.queues order by 1");
  expect(rows).toEqual([
    { name: "default", pending: 2, waits: true },
    { name: "q", pending: 2_001, waits: true },
  ]);
});

it("jobs whose stored count is too old are counted again for each query", async () => {
  await add("mail", 2_001);
  await database.pool.query("select legwork_private.sample_queues()");
  await database.pool.query("update legwork_private.queue_counts set valid_until = now() - interval '1 second'");
  await add("mail", 1);
  expect(await see()).toEqual({ pending: 2_002, failed: 0, counted: false });
});

it("a tenant with few jobs gets a fresh count, a tenant with many jobs gets a stored count, and neither count includes the other tenant's jobs", async () => {
  await add("mail", 2_001, "big");
  await add("mail", 2, "small");
  await database.pool.query("select legwork_private.sample_queues()");
  await add("mail", 1, "big");
  await add("mail", 1, "small");
  expect(await see("big")).toEqual({ pending: 2_001, failed: 0, counted: true });
  expect(await see("small")).toEqual({ pending: 3, failed: 0, counted: false });
  expect(await see("none")).toEqual({ pending: 0, failed: 0, counted: false });
  expect(await see()).toEqual({ pending: 2_003, failed: 0, counted: true });
});

it("jobs with a correlation id are found by an index among many live ones", async () => {
  await add("mail", 2_001, "big");
  await database.pool.query("select legwork.enqueue('mail', correlation_id => 'order-17')");
  await database.pool.query("analyze graphile_worker._private_jobs");
  const { rows } = await database.pool.query("explain select id from legwork.jobs where correlation_id = 'order-17' order by id desc limit 50");
  expect(rows.map((row) => row["QUERY PLAN"]).join("\n")).toContain("_legwork_correlation");
});
