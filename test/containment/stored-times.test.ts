import { afterAll, beforeAll, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { rest, restToken, startRest } from "../support/rest.ts";

const database = testDatabase();
let server: Server;
const ids: Record<string, string> = {};

/** Times that another client can store: graphile-worker's own function accepts any time. */
const TIMES = { never: "infinity", always: "-infinity", far: "290000-01-01Z", before: "0044-03-15 BC", ordinary: "2030-01-01Z" };

beforeAll(async () => {
  server = await startRest(database);
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "t"}]')`);
  for (const [name, time] of Object.entries(TIMES)) {
    const { rows } = await database.pool.query("select id from graphile_worker.add_job('t', run_at => $1)", [time]);
    ids[name] = rows[0].id;
  }
});
afterAll(async () => {
  await server.stop();
});

// oxlint-disable-next-line typescript/no-explicit-any -- the result of any query
async function ask(query: string): Promise<{ data: any; errors?: unknown }> {
  const response = await fetch(server.graphqlUrl, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${restToken}` },
    body: JSON.stringify({ query }),
  });
  // oxlint-disable-next-line typescript/no-explicit-any
  return (await response.json()) as { data: any; errors?: unknown };
}

it("GraphQL shows each time as it is, in a list and in a single job", async () => {
  const list = await ask("{ jobs(first: 50) { nodes { id runAt } } }");
  expect(list.errors).toBeUndefined();
  const shown = Object.fromEntries(list.data.jobs.nodes.map(({ id, runAt }: { id: string; runAt: string }) => [id, runAt]));
  expect(shown[ids.never!]).toBe("infinity");
  expect(shown[ids.always!]).toBe("-infinity");
  expect(shown[ids.far!]).toMatch(/^290000-01-01T00:00:00/);
  expect(shown[ids.before!]).toBe("0044-03-15T00:00:00+00:00 BC");
  expect(shown[ids.ordinary!]).toBe("2030-01-01T00:00:00.000000+00:00");
  expect((await ask(`{ job(id: "${ids.never}") { runAt state } }`)).data).toEqual({
    job: { runAt: "infinity", state: "scheduled" },
  });
});

it("REST shows each time as it is, in a list and in a single job", async () => {
  const list = await rest(server, "GET", "/jobs?limit=50");
  expect(list.status).toBe(200);
  const shown = Object.fromEntries(list.body.items.map(({ id, runAt }: { id: string; runAt: string }) => [id, runAt]));
  expect(shown).toMatchObject({ [ids.never!]: null, [ids.always!]: "-infinity", [ids.far!]: "290000-01-01T00:00:00+00" });
  for (const id of Object.values(ids)) expect((await rest(server, "GET", `/jobs/${id}`)).status).toBe(200);
});

it.each([
  ["the database", () => ({ DATABASE_URL: database.url })],
  ["a server", () => ({ LEGWORK_URL: server.url, LEGWORK_TOKEN: restToken })],
])("the CLI shows each time as it is, from %s", async (_from, environment) => {
  const [never, far, list] = await Promise.all([
    legwork(["job", ids.never!], environment()),
    legwork(["job", ids.far!], environment()),
    legwork(["jobs"], environment()),
  ]);
  expect([never.code, never.stdout]).toEqual([0, expect.stringContaining("infinity (never)")]);
  expect([far.code, far.stdout]).toEqual([0, expect.stringContaining("in the year 290000")]);
  expect([list.code, list.stdout]).toEqual([0, expect.stringMatching(/never[^]*/)]);
  expect(list.stdout).toContain("in the year 290000");
});

it("explain says when the job starts, or that it never does", async () => {
  const detail = async (id: string): Promise<string> =>
    (await database.pool.query("select string_agg(detail, ' ') as it from legwork.explain_job($1)", [id])).rows[0].it;
  expect(await detail(ids.never!)).toContain("Its run_at is infinity, so it never starts automatically.");
  expect(await detail(ids.far!)).toContain("It is due at the year 290000.");
});

it("statistics, the doctor, alerts and metrics work while jobs have times such as infinity or the year 290000", async () => {
  await database.pool.query(
    "update graphile_worker._private_jobs set locked_at = now(), locked_by = 'w', attempts = 1 where id = $1",
    [ids.before],
  );
  await database.pool.query("delete from graphile_worker._private_jobs where id = $1", [ids.before]);
  await database.pool.query("update legwork_private.duties set due_at = clock_timestamp()");
  await database.pool.query("select legwork_private.run_duty(w.duty) from legwork_private.duties w");
  await database.pool.query("select legwork_private.roll_up()");
  await database.pool.query("select * from legwork.doctor()");
  expect((await database.pool.query("select sum(completed)::int as jobs from legwork_private.task_minutes")).rows).toEqual([
    { jobs: 1 },
  ]);
});
