import { beforeAll, describe, expect, test } from "vitest";
import { listJobs } from "../../src/jobs/read-jobs.ts";
import { whileConfined } from "../../src/db/confinement.ts";
import type { Queryable } from "../../src/db/pool.ts";
import { testDatabase } from "../support/database.ts";
import { HandWorker } from "../support/hand-worker.ts";

const database = testDatabase();
const WAITING = 5_000;

beforeAll(async () => {
  // Thousands of jobs of the task `busy` are waiting. None belongs to the tenant acme, which has as many jobs of another task. Three jobs run.
  await database.pool.query(
    `select count(*) from graphile_worker.add_jobs(array(
       select row(case when n % 2 = 0 then 'busy' else 'other' end, '{}', null, now() + interval '1 hour', null, null, null,
         case when n % 2 = 1 then array['tenant:acme'] end)::graphile_worker.job_spec from generate_series(1, $1) n))`,
    [WAITING],
  );
  await database.pool.query("select graphile_worker.add_job('rare', '{}') from generate_series(1, 3)");
  await new HandWorker("hand").fetch(database.pool, 3);
  await database.pool.query("vacuum analyze graphile_worker._private_jobs");
});

interface Plan {
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly Plans?: readonly Plan[];
}

/** The number of rows that a statement read, whether it returned them or not. */
function lookedAt(plan: Plan): number {
  const own = plan.Plans === undefined ? plan["Actual Rows"] : 0;
  const here = (own + (plan["Rows Removed by Filter"] ?? 0)) * plan["Actual Loops"];
  return here + (plan.Plans ?? []).reduce((sum, part) => sum + lookedAt(part), 0);
}

/** Explains every statement that `work` sends, and returns the rows that they read. */
async function rowsLookedAt(client: Queryable, work: (client: Queryable) => Promise<unknown>): Promise<number> {
  let rows = 0;
  const explaining = {
    query: async (text: string, values: unknown[]) => {
      const { rows: plans } = await client.query(`explain (analyze, format json) ${text}`, values);
      rows += lookedAt(plans[0]["QUERY PLAN"][0].Plan);
      return await client.query(text, values);
    },
  };
  await work(explaining);
  return rows;
}

describe("with thousands of waiting jobs", () => {
  test("running jobs are found without reading the waiting ones", async () => {
    const running = await listJobs(database.pool, { state: "running", limit: 10 });
    expect(running.map(({ task }) => task)).toEqual(["rare", "rare", "rare"]);
    expect(await rowsLookedAt(database.pool, (client) => listJobs(client, { state: "running", limit: 10 }))).toBeLessThan(100);
  });

  test("jobs of another task, or of an unknown task, are found without reading the waiting ones", async () => {
    const rare = await listJobs(database.pool, { task: "rare", limit: 10 });
    expect(rare).toHaveLength(3);
    expect(await rowsLookedAt(database.pool, (client) => listJobs(client, { task: "rare", limit: 10 }))).toBeLessThan(100);
    expect(await listJobs(database.pool, { task: "nothing", limit: 10 })).toEqual([]);
    expect(await rowsLookedAt(database.pool, (client) => listJobs(client, { task: "nothing", limit: 10 }))).toBeLessThan(100);
  });

  test("a tenant's jobs of a task with thousands of other tenants' jobs are found without reading those, or the tenant's other jobs", async () => {
    const client = await database.pool.connect();
    try {
      await client.query("begin; set local legwork.confined_to = 'acme'");
      const looked = await whileConfined(client, () =>
        rowsLookedAt(client, async (explaining) => {
          expect(await whileConfined(explaining, () => listJobs(explaining, { task: "busy", limit: 10 }))).toEqual([]);
        }),
      );
      expect(looked).toBeLessThan(100);
    } finally {
      await client.query("rollback");
      client.release();
    }
  });

  test("attempts and failed groups are found without reading the waiting jobs", async () => {
    const statements = [
      "select * from legwork.attempts where state = 'running' order by job_id desc, attempt desc limit 10",
      "select * from legwork.failed_groups",
    ];
    for (const statement of statements)
      expect(await rowsLookedAt(database.pool, (client) => client.query(statement, []))).toBeLessThan(100);
  });

  test("ended jobs of a task are still found after graphile-worker has deleted the task", async () => {
    const { rows } = await database.pool.query("select id from graphile_worker.add_job('gone', '{}')");
    await database.pool.query("select graphile_worker.complete_jobs(array[$1::bigint])", [rows[0].id]);
    await database.pool.query("delete from graphile_worker._private_tasks where identifier = 'gone'");
    expect((await listJobs(database.pool, { task: "gone", limit: 10 })).map(({ id }) => id)).toEqual([rows[0].id]);
  });
});

test.each([
  [{ "tenant:acme": true, "tenants:no": true }, "tenant", "acme"],
  [{ 'tenant:a "quoted" b\\c, "tenant:x': true }, "tenant", 'a "quoted" b\\c, "tenant:x'],
  [{ "tenant:": true }, "tenant", ""],
  [{ "tenant:ü:€": true, "x:1": true }, "tenant", "ü:€"],
  [{ "x:tenant:acme": true }, "tenant", null],
  [{ [`tenant:${"x".repeat(300)}`]: true }, "tenant", "x".repeat(256)],
  [[], "tenant", null],
  ["tenant:acme", "tenant", null],
  [null, "tenant", null],
])("in the flags %j, %s has the value %j", async (flags, name, value) => {
  const { rows } = await database.pool.query("select legwork_private.flag_value($1::jsonb, $2) as value", [JSON.stringify(flags), name]);
  expect(rows[0].value).toBe(value);
});
