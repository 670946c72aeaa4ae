import { describe, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { configure, oneWorker, runJob } from "../support/job.ts";

const database = testDatabase();
oneWorker(database);

async function select(text: string): Promise<Record<string, unknown>[]> {
  return (await database.pool.query(text)).rows;
}

/** 20 documents in each of five workspaces, half of them expired, and 10 without a workspace. */
async function documents(name: string, more = ""): Promise<string> {
  await database.pool.query(
    `create table ${name} (id int, workspace text, body text default repeat('x', 100), expires_at timestamptz);
     insert into ${name} (id, workspace, expires_at)
     select n, 'w' || n % 5, now() + case when n % 10 < 5 then interval '-1 hour' else interval '1 hour' end from generate_series(0, 99) n;
     insert into ${name} (id, expires_at) select n, now() - interval '1 hour' from generate_series(100, 109) n;
     ${more}`,
  );
  return name;
}

describe("retention/expire by groups", () => {
  it("deletes expired rows workspace by workspace, and counts rows and bytes for each", async () => {
    const table = await documents("plain");
    const job = await runJob(database, "retention/expire", {
      table,
      expiryColumn: "expires_at",
      batchSize: 4,
      groups: { column: "workspace", atOnce: 3 },
    });
    expect(job).toMatchObject({ state: "completed", result: { deleted: 60, batches: 18 } });
    const groups = job.result.groups.toSorted((a: { group: string | null }, b: { group: string | null }) =>
      (a.group ?? "") < (b.group ?? "") ? -1 : 1,
    );
    expect(groups.map(({ group, rows }: { group: string; rows: number }) => [group, rows])).toEqual([
      [null, 10],
      ["w0", 10],
      ["w1", 10],
      ["w2", 10],
      ["w3", 10],
      ["w4", 10],
    ]);
    // 24 bytes for the row header, 4 for id, 3 for workspace, 101 for body, and 8 for expires_at.
    expect(groups[1].bytes).toBe(10 * (24 + 4 + 3 + 101 + 8));
    expect(await select("select count(*)::int as count, bool_and(expires_at > now()) as valid from plain")).toEqual([
      { count: 50, valid: true },
    ]);
    expect((await runJob(database, "retention/expire", { table, expiryColumn: "expires_at" })).result.deleted).toBe(0);
  });

  it.each(["", "create index on %t (workspace)", "create index on %t (workspace, expires_at)"])(
    "processes only the given groups, with the index '%s'",
    async (index) => {
      const table = await documents("chosen");
      await database.pool.query(index.replace("%t", table) || "select 1");
      await database.pool.query(`create table if not exists workspaces (id text, active boolean, plan text);
        truncate workspaces; insert into workspaces values ('w0', true, 'free'), ('w1', true, 'paid'), ('w2', false, 'free'), ('w3', true, 'free')`);
      const groups = {
        column: "workspace",
        except: ["w3"],
        where: { table: "workspaces", equals: { active: true, plan: "free" } },
      };
      const job = await runJob(database, "retention/expire", { table, expiryColumn: "expires_at", groups });
      expect(job.result).toMatchObject({ deleted: 10, groups: [{ group: "w0", rows: 10 }] });
      const only = await runJob(database, "retention/expire", {
        table,
        expiryColumn: "expires_at",
        groups: { column: "workspace", only: ["w1", "w4", "gone"] },
      });
      expect(only.result.groups.map(({ group }: { group: string }) => group)).toEqual(["w1", "w4"]);
      await database.pool.query("drop table chosen");
    },
  );

  it("processes the given number of groups at a time", async () => {
    const table = await documents("watched");
    // Each batch counts the concurrent batches while it holds its rows.
    await database.pool.query(`
      create sequence most_at_once minvalue 0 start 0;
      create function watch() returns trigger language plpgsql as $$
      begin
        perform pg_sleep(0.02);
        perform setval('most_at_once', greatest((select last_value from most_at_once), (
          select count(*) from pg_locks l join pg_class c on c.oid = l.relation where c.relname = 'watched' and mode = 'RowExclusiveLock')));
        return null;
      end $$;
      create trigger watch after delete on watched for each statement execute function watch()`);
    await runJob(database, "retention/expire", {
      table,
      expiryColumn: "expires_at",
      batchSize: 2,
      groups: { column: "workspace", atOnce: 3 },
    });
    expect(await select("select last_value::int as most from most_at_once")).toEqual([{ most: 3 }]);
  });

  it("does not exceed its rate", async () => {
    const table = await documents("slow");
    const startedAt = performance.now();
    const job = await runJob(database, "retention/expire", {
      table,
      expiryColumn: "expires_at",
      rate: { rows: 20, per: "200ms" },
    });
    expect(job.result.deleted).toBe(60);
    // Before the task deletes the last 20 rows, it must have waited for the 40 rows before them.
    expect(performance.now() - startedAt).toBeGreaterThan(400);
  });

  it("reads a large table once, however many rows are deleted and wherever they are", async () => {
    await database.pool.query(
      `create table large as select n as id, now() - make_interval(hours => (n * 7919) % 1000) as created_at from generate_series(1, 50000) n;
       create index on large (created_at);
       analyze large`,
    );
    const [before] = await select("select count(*)::int as old from large where created_at < now() - interval '500 hours'");
    const job = await runJob(database, "retention/expire", { table: "large", olderThan: "500 hours", batchSize: 700 });
    expect(job.result.deleted).toBe(before?.old);
    const [few] = await select("select count(*)::int as old from large where created_at < now() - interval '495 hours'");
    await database.pool.query("vacuum analyze large");
    expect(
      (await runJob(database, "retention/expire", { table: "large", olderThan: "495 hours", batchSize: 30 })).result.deleted,
    ).toBe(few?.old);
  });

  it.each([
    ["two ages", { olderThan: "1 day", expiryColumn: "expires_at" }, "expected either olderThan or expiryColumn"],
    ["no age", {}, "expected either olderThan or expiryColumn"],
    [
      "a group by an unknown column",
      { olderThan: "1 day", groups: { column: "x" } },
      "groups.column: table 'public.wrong' has no column 'x'.",
    ],
    [
      "a condition on an unknown column",
      {
        olderThan: "1 day",
        groups: { column: "id", where: { table: "wrong", equals: { "x = 1 or 1": "1" } } },
      },
      "has no column 'x = 1 or 1'",
    ],
  ])("rejects %s", async (_what, payload, message) => {
    await database.pool.query("create table if not exists wrong (id int, created_at timestamptz, expires_at timestamptz)");
    const job = await runJob(database, "retention/expire", { table: "wrong", ...payload });
    expect(job.state).toBe("failed");
    expect(job.error).toContain(message);
  });

  it("processes only tables that the configuration allows", async () => {
    await database.pool.query(
      "create schema app; create table app.notes (created_at timestamptz); create table app_notes (created_at timestamptz)",
    );
    configure({ LEGWORK_ALLOWED_TABLES: "app.*" });
    expect((await runJob(database, "retention/expire", { table: "app.notes", olderThan: "1 day" })).state).toBe("completed");
    expect((await runJob(database, "retention/expire", { table: "app_notes", olderThan: "1 day" })).error).toBe(
      "table: LEGWORK_ALLOWED_TABLES does not allow 'public.app_notes'.",
    );
    configure({ LEGWORK_ALLOWED_TABLES: undefined });
    const job = await runJob(database, "retention/expire", { table: "app.notes", olderThan: "1 day" }, { tenant: "acme" });
    expect(job).toMatchObject({ state: "failed", attempts: 1 });
    expect(job.error).toContain("A tenant's job may not use any table");
  });
});

describe("retention/archive", () => {
  it("moves old rows, keeps the rest, and moves no row twice", async () => {
    await database.pool.query(`
      create table talks (id int generated always as identity, said text, twice text generated always as (said || said) stored, created_at timestamptz);
      create table talks_archive (archived_at timestamptz default now(), created_at timestamptz, said text, twice text generated always as (said || said) stored, id int);
      insert into talks (said, created_at) select 't' || n, now() - make_interval(days => n) from generate_series(1, 100) n`);
    const job = await runJob(database, "retention/archive", {
      table: "talks",
      into: "talks_archive",
      olderThan: "30 days",
      batchSize: 20,
    });
    expect(job).toMatchObject({ state: "completed", result: { archived: 71, batches: 4 } });
    expect(
      await select("select count(*)::int as count, min(id) as first, max(said) as said, max(twice) as twice from talks_archive"),
    ).toEqual([{ count: 71, first: 30, said: "t99", twice: "t99t99" }]);
    expect(await select("select count(*)::int as count from talks")).toEqual([{ count: 29 }]);
    const again = await runJob(database, "retention/archive", { table: "talks", into: "talks_archive", olderThan: "30 days" });
    expect(again.result.archived).toBe(0);
  });

  it("leaves a row in its table if the other table rejects it", async () => {
    await database.pool.query(`
      create table orders (id int, created_at timestamptz);
      create table old_orders (id int check (id <> 7), created_at timestamptz);
      insert into orders select n, now() - interval '1 year' from generate_series(1, 10) n`);
    const job = await runJob(database, "retention/archive", {
      table: "orders",
      into: "old_orders",
      olderThan: "1 day",
      batchSize: 5,
    });
    expect(job.state).toBe("failed");
    expect(job.error).toContain("old_orders_id_check");
    expect(
      await select("select (select count(*)::int from orders) as here, (select count(*)::int from old_orders) as there"),
    ).toEqual([{ here: 5, there: 5 }]);
  });

  it("does not lose rows if a trigger suppresses the insert", async () => {
    await database.pool.query(`
      create table picky (id int, created_at timestamptz); create table picky_archive (like picky);
      create function say_no() returns trigger language plpgsql as $$ begin return case when new.id = 3 then null else new end; end $$;
      create trigger say_no before insert on picky_archive for each row execute function say_no();
      insert into picky select n, now() - interval '1 year' from generate_series(1, 5) n`);
    const job = await runJob(database, "retention/archive", { table: "picky", into: "picky_archive", olderThan: "1 day" });
    expect(job.error).toContain("The other table did not accept all rows");
    expect(await select("select count(*)::int as count from picky")).toEqual([{ count: 5 }]);
  });

  it.each([
    ["itself", { into: "shape" }, "cannot be moved into their own table"],
    ["a table that lacks columns", { into: "lacking" }, "lacks columns of 'public.shape': b, created_at."],
    ["a table of Legwork", { into: "legwork.settings" }, "belongs to the system"],
  ])("refuses to move into %s", async (_what, payload, message) => {
    await database.pool.query(
      "create table if not exists shape (a int, b int, created_at timestamptz); create table if not exists lacking (a int)",
    );
    expect((await runJob(database, "retention/archive", { table: "shape", olderThan: "1 day", ...payload })).error).toContain(
      message,
    );
  });
});
