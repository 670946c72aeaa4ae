import { describe, expect, it } from "vitest";
import { enqueue } from "../../src/jobs/enqueue.ts";
import { testDatabase } from "../support/database.ts";
import { oneWorker, TASKS } from "../support/job.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();

interface JobRow {
  state: string;
  attempts: number;
  result: { deleted: number; batches: number } | null;
  error: string | null;
}

/** Enqueues the task and resolves to its job's row once it has ended. */
async function expire(payload: Record<string, unknown>): Promise<JobRow> {
  const id = await enqueueRaw(payload);
  return await until("the job ends", () => ended(id));
}

/** Enqueues through SQL, without the payload validation of a TypeScript client. */
async function enqueueRaw(payload: Record<string, unknown>): Promise<string> {
  const { rows } = await database.pool.query("select legwork.enqueue('retention/expire', $1) as id", [JSON.stringify(payload)]);
  return rows[0].id;
}

async function ended(id: string): Promise<JobRow | undefined> {
  const { rows } = await database.pool.query<JobRow>(
    "select state, attempts, result, error from legwork.jobs where id = $1 and state in ('completed', 'failed')",
    [id],
  );
  return rows[0];
}

async function count(table: string): Promise<number> {
  const { rows } = await database.pool.query(`select count(*)::int as count from ${table}`);
  return rows[0].count;
}

/** Creates a table for one test, with rows that are 0, 1, 2 … days old. */
async function tableOf(name: string, rows: number, type = "timestamptz"): Promise<string> {
  await database.pool.query(
    `create table ${name} (id int, created_at ${type});
     insert into ${name} select n, now() - make_interval(days => n) from generate_series(0, ${rows - 1}) n`,
  );
  return name;
}

describe("retention/expire", () => {
  oneWorker(database);

  it("deletes rows that are older than the age, in batches, and nothing else", async () => {
    const table = await tableOf("events", 100);
    await database.pool.query("create index on events (created_at)");
    const job = await expire({ table, olderThan: "30 days", batchSize: 20 });
    // The rows with ages from 30 to 99 days: the row of exactly 30 days was older when the job ran.
    expect(job).toMatchObject({ state: "completed", result: { deleted: 70, batches: 4 } });
    const { rows } = await database.pool.query("select max(id) as oldest, count(*)::int as count from events");
    expect(rows).toEqual([{ oldest: 29, count: 30 }]);
  });

  it("reports no batches for a table without old rows", async () => {
    const table = await tableOf("fresh", 10);
    const job = await expire({ table, olderThan: "1 year" });
    expect(job.result).toEqual({ deleted: 0, batches: 0, bytes: 0 });
    expect(await count(table)).toBe(10);
  });

  it("leaves the remaining rows for the next run after maxBatches", async () => {
    const table = await tableOf("slowly", 50);
    const job = await expire({ table, olderThan: "12 hours", batchSize: 10, maxBatches: 2 });
    expect(job.result).toMatchObject({ deleted: 20, batches: 2 });
    expect(await count(table)).toBe(30);
  });

  it.each(["timestamp", "date"])("compares the age with a column of type %s", async (type) => {
    const table = await tableOf(`by_${type}`, 10, type);
    const job = await expire({ table, olderThan: "5 days 1 hour" });
    expect(job.state).toBe("completed");
    const { rows } = await database.pool.query(
      `select count(*)::int as count from ${table} where created_at < (now() - interval '5 days 1 hour')::${type}`,
    );
    expect(rows).toEqual([{ count: 0 }]);
    expect(await count(table)).toBeGreaterThanOrEqual(6);
  });

  it("keeps rows with a date until the whole day is too old", async () => {
    await database.pool.query("create table days (day date); insert into days select current_date - 1");
    const job = await expire({ table: "days", column: "day", olderThan: "24 hours" });
    expect(job.result?.deleted).toBe(0);
  });

  it("deletes from every partition and child table, each by its own row ids", async () => {
    await database.pool.query(`
      create table readings (id int, created_at timestamptz) partition by range (created_at);
      create table readings_old partition of readings for values from (minvalue) to (now() - interval '10 days');
      create table readings_new partition of readings for values from (now() - interval '10 days') to (maxvalue);
      create table readings_side (id int, created_at timestamptz);
      insert into readings select n, now() - make_interval(days => n) from generate_series(0, 29) n;
      create table parents (id int, created_at timestamptz);
      create table children () inherits (parents);
      insert into parents select n, now() - make_interval(days => n) from generate_series(0, 9) n;
      insert into children select n, now() - make_interval(days => n) from generate_series(0, 9) n`);
    expect((await expire({ table: "readings", olderThan: "5 days", batchSize: 3 })).result?.deleted).toBe(25);
    const { rows } = await database.pool.query("select id from readings order by id");
    expect(rows.map(({ id }) => id)).toEqual([0, 1, 2, 3, 4]);
    const id = await enqueueRaw({ table: "parents", olderThan: "5 days" });
    expect((await until("the second job ends", () => ended(id))).result?.deleted).toBe(10);
    expect(await count("only parents")).toBe(5);
    expect(await count("only children")).toBe(5);
  });

  it("quotes every name, so that a name is never run as a statement", async () => {
    await database.pool.query(`
      create schema "we ird";
      create table "we ird"."Ta""ble; drop table victims" ("when ""x""" timestamptz);
      create table victims (id int);
      insert into "we ird"."Ta""ble; drop table victims" values (now() - interval '2 days'), (now())`);
    const job = await expire({
      table: '"we ird"."Ta""ble; drop table victims"',
      column: 'when "x"',
      olderThan: "1 day",
    });
    expect(job.result).toMatchObject({ deleted: 1, batches: 1 });
    expect(await count("victims")).toBe(0);
  });

  it.each([
    ["an unknown table", { table: "app.no_such" }, "table: table 'app.no_such' does not exist."],
    ["a table that is a statement", { table: "x; drop table y" }, "table: table 'x; drop table y' does not exist."],
    ["a table with an invalid name", { table: "a..b" }, "table: table 'a..b' does not exist."],
    ["an unknown column", { table: "public.wrong", column: "made_at" }, "column: table 'public.wrong' has no column 'made_at'."],
    ["a column that is not a time", { table: "wrong", column: "id" }, "column: 'id' of 'public.wrong' is of type integer"],
    ["a system column", { table: "wrong", column: "xmin" }, "column: table 'public.wrong' has no column 'xmin'."],
    ["a view", { table: "wrong_view" }, "table: 'public.wrong_view' is not a table."],
    ["the catalog", { table: "pg_class" }, "table: 'pg_catalog.pg_class' belongs to the system"],
    [
      "Legwork's history",
      { table: "legwork_private.finished_jobs", column: "finished_at" },
      "table: 'legwork_private.finished_jobs' belongs",
    ],
    ["graphile-worker's jobs", { table: "graphile_worker._private_jobs" }, "table: 'graphile_worker._private_jobs' belongs"],
    ["an invalid age", { table: "wrong", olderThan: "a while" }, "olderThan: 'a while' is not a valid age"],
    ["an age of zero", { table: "wrong", olderThan: "0 days" }, "olderThan: '0 days' is not a positive age."],
    ["a negative age", { table: "wrong", olderThan: "-1 day" }, "olderThan: '-1 day' is not a positive age."],
    ["an infinite age", { table: "wrong", olderThan: "infinity" }, "olderThan: 'infinity'"],
    ["a batch size of 0", { table: "wrong", batchSize: 0 }, "batchSize: "],
    ["an unknown field", { table: "wrong", older_than: "1 day" }, "older_than"],
  ])("rejects %s at once and deletes nothing", async (_what, payload, message) => {
    await database.pool.query(`
      create table if not exists wrong (id int, created_at timestamptz default '2000-01-01');
      create or replace view wrong_view as select * from wrong;
      insert into wrong select 1 where not exists (select from wrong)`);
    const job = await expire({ olderThan: "1 day", ...payload });
    expect(job).toMatchObject({ state: "failed", attempts: 1, result: null });
    expect(job.error).toContain(message);
    expect(await count("wrong")).toBe(1);
  });

  it("skips a locked row and does not wait for it", async () => {
    const table = await tableOf("held", 10);
    const holder = await database.pool.connect();
    try {
      await holder.query("begin; select from held where id = 9 for update");
      const job = await expire({ table, olderThan: "12 hours", batchSize: 4 });
      expect(job).toMatchObject({ state: "completed", result: { deleted: 8, batches: 2 } });
    } finally {
      await holder.query("rollback");
      holder.release();
    }
    const { rows } = await database.pool.query("select id from held order by id");
    expect(rows).toEqual([{ id: 0 }, { id: 9 }]);
  });
});

describe("a worker that runs retention/expire", () => {
  it("fails its attempt when a row is still referenced, and keeps the earlier batches", async () => {
    await database.pool.query(`
      create table authors (id int primary key, created_at timestamptz);
      create table books (author int references authors);
      insert into authors select n, now() - make_interval(days => 100 - n) from generate_series(1, 5) n;
      insert into books values (5)`);
    await workerOver(database.url, [TASKS]);
    const id = await enqueue(
      database.pool,
      "retention/expire",
      { table: "authors", olderThan: "1 day", batchSize: 2 },
      { maxAttempts: 1 },
    );
    const job = await until("the job ends", () => ended(id));
    expect(job).toMatchObject({ state: "failed", attempts: 1 });
    expect(job.error).toContain("books_author_fkey");
    expect(await count("authors")).toBe(1);
  });

  it("stops after the current batch when its worker stops, and neither the batch nor the job is lost", async () => {
    const table = await tableOf("stopped", 50);
    // At its end, each batch waits for a lock that the test holds.
    await database.pool.query(`
      create function hold() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock_shared(4711); return null; end $$;
      create trigger hold after delete on stopped for each statement execute function hold()`);
    const gate = await database.pool.connect();
    await gate.query("select pg_advisory_lock(4711)");
    const worker = await workerOver(database.url, [TASKS], { shutdownTimeout: 500 });
    const id = await enqueue(database.pool, "retention/expire", { table, olderThan: "12 hours", batchSize: 10 });
    await until("the first batch waits", async () => {
      const { rows } = await gate.query("select from pg_locks where locktype = 'advisory' and objid = 4711 and not granted");
      return rows.length === 1;
    });
    const stopped = worker.stop();
    await until("the job is returned to the queue", async () => {
      const { rows } = await gate.query("select from legwork.jobs where id = $1 and state = 'pending'", [id]);
      return rows.length === 1;
    });
    await gate.query("select pg_advisory_unlock(4711)");
    gate.release();
    await stopped;
    await until("the task's connection is closed", async () => {
      const { rows } = await database.pool.query(
        "select from pg_stat_activity where datname = current_database() and application_name = 'legwork tasks'",
      );
      return rows.length === 0;
    });
    expect(await count(table)).toBe(40);
    await workerOver(database.url, [TASKS]);
    const job = await until("another worker ends the job", () => ended(id));
    expect(job).toMatchObject({ state: "completed", attempts: 1, result: { deleted: 39, batches: 4 } });
    expect(await count(table)).toBe(1);
  });
});
