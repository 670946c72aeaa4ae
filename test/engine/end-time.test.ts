import { afterAll, beforeAll, expect, test } from "vitest";
import { createLegwork } from "../../src/embed.ts";
import type { Server } from "../../src/server/server.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { rest, startRest } from "../support/rest.ts";

const database = testDatabase();
let server: Server;
/** Jobs that were all created on the same day last week: failed just now, failed then, and completed just now. */
const jobs = { late: "", early: "", completed: "" };

beforeAll(async () => {
  server = await startRest(database);
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "notify/email", "queue": "mail"}]')`);
  for (const name of ["late", "early", "completed"] as const) {
    const { rows } = await database.pool.query("select legwork.enqueue('notify/email')::text as id");
    jobs[name] = rows[0].id;
  }
  await database.pool.query("update graphile_worker._private_jobs set created_at = now() - interval '7 days'");
  await database.pool.query("select graphile_worker.permanently_fail_jobs(array[$1::bigint, $2], 'HTTP 503 from api')", [
    jobs.late,
    jobs.early,
  ]);
  await database.pool.query("select graphile_worker.complete_jobs(array[$1::bigint])", [jobs.completed]);
  await database.pool.query("update legwork_private.finished_jobs set finished_at = now() - interval '6 days' where id = $1", [
    jobs.early,
  ]);
});
afterAll(() => server.stop());

test("a job that failed in the last ten minutes is found through every surface, however old it is", async () => {
  const tree = await createLegwork({ databaseUrl: database.url });
  const cli = async (...words: string[]): Promise<string[]> => {
    const { stdout, stderr } = await legwork([...words, "--json"], { DATABASE_URL: database.url });
    return (JSON.parse(stdout === "" ? stderr : stdout) as ({ id?: string; lastId?: string } | string)[]).map((row) =>
      typeof row === "string" ? row : (row.id ?? row.lastId ?? ""),
    );
  };
  const ids = (found: readonly { id: string }[]): string[] => found.map(({ id }) => id);
  const get = async (path: string): Promise<string[]> =>
    ((await rest(server, "GET", path)).body.items as { id?: string; lastId?: string }[]).map(
      ({ id, lastId }) => id ?? lastId ?? "",
    );
  const sql = async (text: string): Promise<string[]> =>
    (await database.pool.query(text)).rows.map((row) => String(Object.values(row)[0]));
  const hour = new Date(Date.now() - 3_600_000);
  try {
    expect({
      list: ids(await tree.jobs.list({ state: "failed", finishedSince: "10m" })),
      groups: (await tree.jobs.failedGroups({ failedSince: "10m" })).map(({ lastId, jobs: count }) => `${lastId} ${count}`),
      retry: await tree.jobs.retryMany({ failedSince: "10m" }, { preview: true }),
      rest: await get("/jobs?state=failed&finishedSince=10m"),
      restGroups: await get("/failed-groups?failedSince=10m"),
      cli: await cli("jobs", "--state", "failed", "--finished-since", "10m"),
      cliGroups: await cli("failed", "--since", "10m"),
      cliRetry: await cli("retry", "--failed-since", "10m", "--preview"),
      sql: await sql(`select legwork.retry_jobs('{"failed_since": "10 minutes"}', preview => true)`),
    }).toEqual({
      list: [jobs.late],
      groups: [`${jobs.late} 1`],
      retry: [jobs.late],
      rest: [jobs.late],
      restGroups: [jobs.late],
      cli: [jobs.late],
      cliGroups: [jobs.late],
      cliRetry: [jobs.late],
      sql: [jobs.late],
    });
    // Jobs match in whatever state they ended, and each bound also works alone.
    expect(ids(await tree.jobs.list({ finishedAfter: hour }))).toEqual([jobs.completed, jobs.late]);
    expect(ids(await tree.jobs.list({ finishedBefore: hour, order: "oldest" }))).toEqual([jobs.early]);
    expect(await get(`/jobs?finishedAfter=${hour.toISOString()}&order=oldest`)).toEqual([jobs.late, jobs.completed]);
    expect(await tree.jobs.rerunMany({ finishedSince: "10m" }, { preview: true })).toEqual([jobs.late, jobs.completed]);
    // The counts show when the group began and whether it still grows.
    const [group] = await tree.jobs.failedGroups();
    expect(group).toMatchObject({ jobs: "2", lastId: jobs.late });
    expect([group?.counts.length, group?.counts[0], group?.counts.at(-1)]).toEqual([24, 1, 1]);
    await expect(tree.jobs.list({ finishedSince: "soon" })).rejects.toMatchObject({ code: "LW400" });
    expect((await rest(server, "GET", "/jobs?finishedSince=soon")).status).toBe(400);
  } finally {
    await tree.stop();
  }
});

test("a page of the jobs that ended within a period reads an index, however many jobs there are", async () => {
  await database.pool.query(
    `insert into legwork_private.finished_jobs (id, task, queue, state, priority, attempts, max_attempts, run_at, created_at, finished_at)
     select 1000000 + n, 'notify/email', 'mail', case when n % 10 = 0 then 'failed' else 'completed' end::legwork.job_state, 0, 1, 1, t, t, t
     from (select n, now() - interval '20 hours' + n * interval '3 s' as t from generate_series(1, 20000) n) x`,
  );
  await database.pool.query("analyze legwork_private.finished_jobs");
  const plan = async (where: string): Promise<string> => {
    const { rows } = await database.pool.query(`explain select id from legwork.jobs where ${where} order by id desc limit 100`);
    return rows.map((row) => row["QUERY PLAN"]).join("\n");
  };
  expect(await plan("state = 'failed' and finished_at is not null and finished_at >= now() - interval '4 hours'")).toContain(
    "state_finished_at",
  );
  expect(await plan("finished_at >= now() - interval '10 minutes'")).toMatch(/Bitmap Index Scan on \S+finished_at/);
});
