import { afterAll, beforeAll, expect, it } from "vitest";
import pg from "pg";
import { testDatabase } from "../support/database.ts";
import { HandWorker } from "../support/hand-worker.ts";

const database = testDatabase();
const worker = new HandWorker("w");
/** A role that may call one function of the application, and has no rights on graphile-worker or Legwork. */
const ROLE = `legwork_test_enqueuer_${process.pid}_${Date.now()}`;
let client: pg.Client;

beforeAll(async () => {
  await database.pool.query("select legwork_private.register_tasks('[{\"name\": \"t\"}]')");
  await database.pool.query(`
    create role ${ROLE} login password 'enqueuer';
    create function public.ask(n integer, key text default null) returns bigint language sql volatile security definer set search_path = pg_catalog, pg_temp
      return legwork.enqueue('t', jsonb_build_object('n', n), job_key => key);
    grant execute on function public.ask to ${ROLE};
    grant connect on database ${new URL(database.url).pathname.slice(1)} to ${ROLE}`);
  const url = new URL(database.url);
  url.username = ROLE;
  url.password = "enqueuer";
  client = new pg.Client({ connectionString: url.href });
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await database.pool.query(`drop owned by ${ROLE}; drop role ${ROLE}`);
});

it("a role that may only enqueue can enqueue jobs of limited and paused tasks", async () => {
  await database.pool.query("select legwork.limit_concurrency(1, task => 't')");
  await client.query("select public.ask(1), public.ask(2)");
  expect(await worker.fetch(database.pool, 5)).toHaveLength(1);
  await database.pool.query("select legwork.pause_task('t')");
  await client.query("select public.ask(3)");
  expect((await database.pool.query("select state from legwork.jobs order by id")).rows.map((row) => row.state)).toEqual([
    "running",
    "paused",
    "paused",
  ]);
  await database.pool.query("select legwork.resume_task('t')");
});

it("a role that may only enqueue cannot read or change anything else", async () => {
  for (const statement of [
    "select * from legwork.jobs",
    "select * from legwork.steps",
    "select * from legwork_private.step_secrets",
    "select * from graphile_worker._private_jobs",
    "select legwork.limit_concurrency(100, task => 't')",
    "select legwork.send_signal(1, 'go')",
    "select legwork.cancel_job(1)",
    "select legwork.tick()",
  ]) {
    await expect(client.query(statement)).rejects.toMatchObject({ code: "42501" });
  }
});

it("a role that may only enqueue cannot bypass a limit with its own settings", async () => {
  await client.query("select public.ask(7, 'k')");
  await client.query("set legwork.admitting = 'on'");
  await client.query("select public.ask(8, 'k')");
  expect(await worker.fetch(database.pool, 5)).toEqual([]);
});
