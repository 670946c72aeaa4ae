import { beforeAll, expect, inject, it } from "vitest";
import { fetchStatement, type Statement } from "../../src/worker/graphile/fetch-statement.ts";
import { recordStatements } from "../../src/worker/graphile/known-statements.ts";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

/** Enough jobs to fill several hundred pages of the table and its indexes. */
const JOBS = 20_000;

beforeAll(async () => {
  if (inject("serverUrl") === "") return;
  await database.pool.query(
    `select graphile_worker.add_jobs(array(
       select row('later', '{}', null, now() + interval '1 day', null, null, i % 3, null)::graphile_worker.job_spec from generate_series(1, ${JOBS}) i))`,
  );
  await database.pool.query("vacuum (analyze) graphile_worker._private_jobs");
});

/** Returns the number of pages that a statement reads when it is run for the second time. */
async function pagesOf(text: string, values: unknown[] = []): Promise<number> {
  await database.pool.query(text, values);
  const { rows } = await database.pool.query(`explain (analyze, buffers, format json) ${text}`, values);
  const [{ Plan: plan }] = rows[0]["QUERY PLAN"];
  return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"];
}

it("a fetch reads none of the jobs that are scheduled for later, and finds due jobs of every priority", async () => {
  const seen = new Map<string, string>();
  await recordStatements(seen);
  const original: Statement = { name: "get_job3", text: seen.get("get_job3") ?? "", values: [] };
  const { text } = fetchStatement(original);
  const { rows: tasks } = await database.pool.query("select array_agg(id) as ids from graphile_worker._private_tasks");
  const values = ["w", tasks[0].ids];
  // Checks that this test notices the difference: graphile-worker's own statement reads them all, except on Postgres 18, which has skip scans.
  const { rows: server } = await database.pool.query("select current_setting('server_version_num')::int as version");
  expect((await pagesOf(original.text, values)) > 100).toBe(server[0].version < 180_000);
  expect(await pagesOf(text, values)).toBeLessThan(40);
  await database.pool.query("select graphile_worker.add_job('later', priority => p::int) from unnest('{-32768, 1, 32767}'::int[]) p");
  const { rows } = await database.pool.query(text, values);
  expect(rows.map(({ priority }) => priority).toSorted((a, b) => a - b)).toEqual([-32_768, 1, 32_767]);
});

it("a worker's poll reads none of these jobs either, and returns when the next job of any priority is due", async () => {
  const poll = "select * from legwork_private.worker_poll('w', true)";
  const ask = async (): Promise<{ jobs_due: boolean; jobs_in: number | null }> => (await database.pool.query(poll)).rows[0];
  expect(await pagesOf(poll)).toBeLessThan(150);
  expect(await ask()).toMatchObject({ jobs_due: false, jobs_in: null });
  await database.pool.query("select graphile_worker.add_job('later', run_at => clock_timestamp() + interval '1.5 seconds', priority => 7)");
  const { jobs_due: isDue, jobs_in: due } = await ask();
  expect(isDue).toBe(false);
  expect(due).toBeGreaterThan(0);
  expect(due).toBeLessThanOrEqual(1_500);
  await database.pool.query("select graphile_worker.add_job('later', priority => -7)");
  expect((await ask()).jobs_due).toBe(true);
  await database.pool.query("delete from graphile_worker._private_jobs where priority in (7, -7)");
  // With more priorities than the poll reads, it returns true, and the fetch finds out whether a job is due.
  await database.pool.query(
    "select graphile_worker.add_job('later', run_at => now() + interval '1 day', priority => p) from generate_series(100, 160) p",
  );
  expect((await ask()).jobs_due).toBe(true);
});
