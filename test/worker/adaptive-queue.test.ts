import { beforeEach, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();

const TASKS = {
  "short.ts": "export default async () => {};",
  "until-told.ts": `export default async (payload, { query }) => {
    while ((await query("select from told")).rowCount === 0) await new Promise((go) => setTimeout(go, 50));
  };`,
};
const adaptive = { localQueueSize: undefined, concurrency: 2 };

beforeEach(async () => {
  await database.pool.query(`
    drop table if exists told, fetches;
    create table told ();
    create table fetches (at timestamptz, worker text, unique (at, worker));
    delete from graphile_worker._private_jobs;
    delete from legwork_private.finished_jobs;
    create or replace function note_fetch() returns trigger language plpgsql security definer as $$
    begin
      insert into public.fetches values (new.locked_at, new.locked_by) on conflict do nothing;
      return null;
    end $$;
    drop trigger if exists note_fetch on graphile_worker._private_jobs;
    create trigger note_fetch after update on graphile_worker._private_jobs for each row when (old.locked_at is null and new.locked_at is not null) execute function note_fetch();
  `);
});

async function add(task: string, count: number): Promise<void> {
  await database.pool.query("select graphile_worker.add_job($1) from generate_series(1, $2)", [task, count]);
}

async function numberOf(query: string, values: unknown[] = []): Promise<number> {
  return (await database.pool.query(`select count(*)::int as n from ${query}`, values)).rows[0].n;
}

const LOCKED = "graphile_worker._private_jobs where locked_by is not null";

it("short jobs are fetched many at a time", async () => {
  await add("short", 2_000);
  await workerOver(database.url, TASKS, adaptive);
  await until("the jobs have ended", async () => (await numberOf("graphile_worker._private_jobs")) === 0);
  // With two jobs per fetch, there would be 1,000 fetches.
  expect(await numberOf("fetches")).toBeLessThan(200);
});

it("long jobs stay in the database until a slot is free, so that another worker can fetch them", async () => {
  await add("until-told", 5);
  await workerOver(database.url, TASKS, adaptive);
  await until("the worker's slots are taken", async () => (await numberOf(LOCKED)) >= 2);
  await workerOver(database.url, TASKS, adaptive);
  // A notification during a fetch makes graphile-worker fetch one more job, which returns to the queue after a second.
  await until(
    "both workers hold as many jobs as they have slots, and one job is left",
    async () => (await numberOf(LOCKED)) === 4 && (await numberOf("graphile_worker._private_jobs where locked_by is null")) === 1,
  );
  await database.pool.query("insert into told default values");
  await until("the jobs have ended", async () => (await numberOf("graphile_worker._private_jobs")) === 0);
});

it("long jobs that follow short ones return to the queue after a second, and none loses an attempt", async () => {
  await add("short", 2_000);
  await add("until-told", 400);
  await workerOver(database.url, TASKS, adaptive);
  await until(
    "the short jobs have ended",
    async () => (await numberOf("legwork.jobs where task = 'short' and state = 'completed'")) === 2_000,
  );
  await until("the worker holds only the jobs that it runs", async () => (await numberOf(LOCKED)) === 2);
  expect(await numberOf("graphile_worker._private_jobs where locked_by is null and attempts > 0")).toBe(0);
  await workerOver(database.url, TASKS, adaptive);
  await until("both workers run two jobs", async () => (await numberOf(LOCKED)) === 4);
  await database.pool.query("insert into told default values");
  await until("the jobs have ended", async () => (await numberOf("graphile_worker._private_jobs")) === 0);
  expect(await numberOf("legwork.jobs where task = 'until-told' and state = 'completed' and attempts = 1")).toBe(400);
  expect(await numberOf("(select worker from fetches group by worker) w")).toBe(2);
});
