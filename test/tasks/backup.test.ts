import { readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { beforeEach, describe, expect, it } from "vitest";
import { connection } from "../support/connections.ts";
import { testDatabase } from "../support/database.ts";
import { configure, endedJob, type EndedJob, runJob, TASKS } from "../support/job.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver, workerProcess } from "../support/worker.ts";

const database = testDatabase();
const otherDatabase = testDatabase();
let folder = "";

beforeEach(async () => {
  folder = await directoryOf({});
  configure({ LEGWORK_ALLOWED_FOLDERS: folder });
  await database.pool.query("drop schema if exists shop cascade; create schema shop");
});

async function select(text: string): Promise<Record<string, unknown>[]> {
  return (await database.pool.query(text)).rows;
}

async function backUp(tables: string[], more: Record<string, unknown> = {}): Promise<EndedJob> {
  return await runJob(database, "backup/tables", { tables, folder, ...more });
}

async function restore(more: Record<string, unknown> = {}): Promise<EndedJob> {
  return await runJob(database, "backup/restore", { folder, ...more });
}

/** Rows with values that are hard to write to a file. */
async function difficult(): Promise<void> {
  await database.pool.query(
    `
    create table shop.items (
      id bigint generated always as identity primary key, name text, doc jsonb, price numeric, size float8, picture bytea, at timestamptz,
      took interval, tags text[], double numeric generated always as (price * 2) stored);
    insert into shop.items (name, doc, price, size, picture, at, took, tags) values
      (E'tab\\tnew\\nline\\\\N "quoted" \\\\.', '{"a": [1, null]}', 'NaN', 'Infinity', '\\x00ff0a', '2026-02-29 12:00+05'::timestamptz, '1 mon -3 days', '{a,NULL,"b,c"}'),
      (null, null, null, null, null, null, null, null),
      ('', '""', 0.10, 0.1 + 0.2, '', 'infinity', '0', '{}'),
      ('\\.', 'null', 1e100, '-0', '\\x5c2e', '1800-01-01', '1 year', '{{1,2},{3,4}}');
    insert into shop.items (name, price) select repeat('x', n % 50), n / 7.0 from generate_series(1, 5000) n`.replace(
      "2026-02-29",
      "2024-02-29",
    ),
  );
}

describe("backup/tables and backup/restore", () => {
  it("restore the same rows, to other tables and in place, and continue sequences", async () => {
    await difficult();
    await database.pool.query(`
      create table shop.sales (item bigint references shop.items, day date) partition by range (day);
      create table shop.sales_a partition of shop.sales for values from ('2026-01-01') to ('2026-02-01');
      create table shop.sales_b partition of shop.sales for values from ('2026-02-01') to ('2026-03-01');
      insert into shop.sales select n, date '2026-01-01' + n from generate_series(1, 50) n`);
    const job = await backUp(["shop.sales", "shop.items"]);
    expect(job).toMatchObject({
      state: "completed",
      result: {
        verified: true,
        removed: [],
        tables: [
          { table: "shop.sales", rows: 50 },
          { table: "shop.items", rows: 5_004 },
        ],
      },
    });
    const files = await readdir(join(folder, job.result.backup));
    expect(files.toSorted()).toEqual(["0001-shop.sales.copy.gz", "0002-shop.items.copy.gz", "manifest.json"]);
    expect(gunzipSync(await readFile(join(folder, job.result.backup, "0001-shop.sales.copy.gz"))).toString()).toContain(
      "1\t2026-01-02\n",
    );

    // Restores into another table, next to the existing one.
    await database.pool.query("create table shop.items_of_may (like shop.items including all)");
    const beside = await restore({ tables: { "shop.items": "shop.items_of_may" } });
    expect(beside).toMatchObject({
      state: "completed",
      result: {
        backup: job.result.backup,
        verified: true,
        tables: [{ table: "shop.items_of_may", from: "shop.items", rows: 5_004 }],
      },
    });
    expect(await select("select count(*)::int as differing from (table shop.items except table shop.items_of_may) d")).toEqual([
      { differing: 0 },
    ]);
    expect(await select("insert into shop.items_of_may (name) values ('next') returning id::int")).toEqual([{ id: 5_005 }]);

    // Restores in place, after a loss. The tables are in the wrong order for their foreign key.
    const before = await select("select md5(string_agg(i::text, '' order by id)) as hash from shop.items i");
    await database.pool.query("truncate shop.sales, shop.items restart identity");
    expect((await restore()).result.tables.map(({ table }: { table: string }) => table)).toEqual(["shop.items", "shop.sales"]);
    expect(await select("select md5(string_agg(i::text, '' order by id)) as hash from shop.items i")).toEqual(before);
    expect(await select("select tableoid::regclass::text as part, count(*)::int from shop.sales group by 1 order by 1")).toEqual([
      { part: "shop.sales_a", count: 30 },
      { part: "shop.sales_b", count: 20 },
    ]);
  });

  it("restore rows into another database", async () => {
    await difficult();
    await backUp(["shop.items"]);
    await otherDatabase.pool.query(`create schema shop;
      create table shop.items (tags text[], took interval, at timestamptz, picture bytea, size float8, price numeric, doc jsonb, name text, more int, id bigint primary key)`);
    // This database has another time zone and date style, with which the same rows have a different text form.
    await otherDatabase.pool.query(
      `do $$ begin execute format('alter database %I set timezone = %L', current_database(), 'Asia/Tokyo'); execute format('alter database %I set datestyle = %L', current_database(), 'German'); end $$`,
    );
    const job = await runJob(otherDatabase, "backup/restore", { folder });
    expect(job).toMatchObject({ state: "completed", result: { verified: true, tables: [{ table: "shop.items", rows: 5_004 }] } });
    const rows =
      "select md5(string_agg(row(id, name, doc, price, size, picture, extract(epoch from at), took, tags)::text, '' order by id)) as hash from shop.items";
    expect((await otherDatabase.pool.query(rows)).rows).toEqual(await select(rows));
  });

  it("read all tables from the same snapshot", async () => {
    await database.pool.query(`create table shop.a as select 1 as n; create table shop.b as select 1 as n`);
    const holder = await connection(database);
    await holder.query("begin; lock table shop.b in access exclusive mode");
    await workerOver(database.url, [TASKS]);
    const { rows } = await database.pool.query("select legwork.enqueue('backup/tables', $1) as id", [
      JSON.stringify({ tables: ["shop.a", "shop.b"], folder }),
    ]);
    await until(
      "the first table is written",
      async () => (await select("select from pg_locks where not granted and relation = 'shop.b'::regclass")).length > 0,
    );
    await holder.query("insert into shop.b values (2); commit");
    const job = await until("the job ends", () => endedJob(database, rows[0].id));
    expect(job.result.tables).toMatchObject([{ rows: 1 }, { rows: 1 }]);
  });

  it("leave no backup when the worker is killed; the job then runs again and creates one complete backup", async () => {
    await database.pool.query(`
      create table shop.a as select n, repeat('x', 100) as x from generate_series(1, 1000) n;
      create table shop.b as select 1 as n`);
    const holder = await connection(database);
    await holder.query("begin; lock table shop.b in access exclusive mode");
    const worker = await workerProcess(database, TASKS, { LEGWORK_ALLOWED_FOLDERS: folder });
    const { rows } = await database.pool.query("select legwork.enqueue('backup/tables', $1) as id", [
      JSON.stringify({ tables: ["shop.a", "shop.b"], folder }),
    ]);
    const partial = `.partial-${rows[0].id}-1`;
    await until(
      "the first table is written",
      async () => (await select("select from pg_locks where not granted and relation = 'shop.b'::regclass")).length > 0,
    );
    worker.kill("SIGKILL");
    expect(await readdir(folder)).toEqual([partial]);
    expect(await readdir(join(folder, partial))).toEqual(["0001-shop.a.copy.gz"]);
    expect((await restore()).error).toBe("name: the folder has no complete backup named 'backup'.");
    expect((await restore({ backup: "partial-1-1" })).error).toContain("is not a complete backup");
    await holder.query("commit");
    await workerOver(database.url, [TASKS]);
    const job = await until("the job ends on another worker", () => endedJob(database, rows[0].id), 20_000);
    expect(job).toMatchObject({ state: "completed", result: { tables: [{ rows: 1_000 }, { rows: 1 }] } });
    expect(await readdir(folder)).toEqual([job.result.backup]);
  });

  it("leave no files after a cancellation, and no connection that is still copying", async () => {
    await database.pool.query(
      "create table shop.wide as select n, repeat(md5(n::text), 100) as x from generate_series(1, 100000) n",
    );
    await workerOver(database.url, [TASKS]);
    const { rows } = await database.pool.query("select legwork.enqueue('backup/tables', $1) as id", [
      JSON.stringify({ tables: ["shop.wide"], folder, compression: 9 }),
    ]);
    const copies =
      "select from pg_stat_activity where state = 'active' and query like 'copy (%' and datname = current_database()";
    await until("the job is copying", async () => (await select(copies)).length === 1);
    await database.pool.query("select legwork.cancel_job($1)", [rows[0].id]);
    await until("the job ends", () => endedJob(database, rows[0].id));
    await until("the copy has ended", async () => (await select(copies)).length === 0);
    await until("no files are left", async () => (await readdir(folder)).length === 0);
  });

  it("remove old backups with the same name, but keep the newest one, and do not touch other backups", async () => {
    await database.pool.query("create table shop.a as select 1 as n");
    const first = (await backUp(["shop.a"])).result.backup;
    const other = (await backUp(["shop.a"], { name: "backup-other" })).result.backup;
    const aged = async (backup: string): Promise<void> => {
      const path = join(folder, backup, "manifest.json");
      const manifest = JSON.parse(await readFile(path, "utf8"));
      await writeFile(path, JSON.stringify({ ...manifest, createdAt: "2020-01-01T00:00:00.000Z" }));
    };
    await aged(first);
    await aged(other);
    const kept = await backUp(["shop.a"], { keepFor: "30 days", keepAtLeast: 2 });
    expect(kept.result.removed).toEqual([]);
    const last = await backUp(["shop.a"], { keepFor: "30 days" });
    expect(last.result.removed).toEqual([first]);
    expect(new Set(await readdir(folder))).toEqual(new Set([kept.result.backup, last.result.backup, other]));
  });

  it.each([
    ["with a changed byte", ""],
    ["whose file is cut off", "is not a complete backup"],
    ["without a manifest", "is not a complete backup"],
    ["whose file was replaced", "is damaged"],
  ])("restore nothing from a backup %s", async (what, message) => {
    await database.pool.query("create table shop.a as select n, md5(n::text) as x from generate_series(1, 3000) n");
    const { backup } = (await backUp(["shop.a"])).result;
    const file = join(folder, backup, "0001-shop.a.copy.gz");
    if (what.includes("byte")) {
      const content = await readFile(file);
      content.writeUInt8(content.readUInt8(content.length >> 1) ^ 1, content.length >> 1);
      await writeFile(file, content);
    } else if (what.includes("cut")) await truncate(file, (await stat(file)).size - 1);
    else if (what.includes("manifest")) await rm(join(folder, backup, "manifest.json"));
    else {
      const path = join(folder, backup, "manifest.json");
      const manifest = JSON.parse(await readFile(path, "utf8"));
      manifest.tables[0].sha256 = "0".repeat(64);
      await writeFile(path, JSON.stringify(manifest));
    }
    const job = await restore({ backup, into: "replace" });
    expect(job.state).toBe("failed");
    expect(job.error).toContain(message);
    expect(await select("select count(*)::int as count from shop.a")).toEqual([{ count: 3_000 }]);
  });

  it("replace the rows of a table only on request", async () => {
    await database.pool.query("create table shop.a as select 1 as n");
    await backUp(["shop.a"]);
    await database.pool.query("update shop.a set n = 2");
    expect((await restore()).error).toContain("shop.a has rows.");
    expect(await select("table shop.a")).toEqual([{ n: 2 }]);
    expect((await restore({ into: "replace" })).state).toBe("completed");
    expect((await restore({ into: "replace" })).state).toBe("completed");
    expect(await select("table shop.a")).toEqual([{ n: 1 }]);
  });

  it("disable triggers while rows are restored, and return them to their previous state afterwards", async () => {
    await database.pool.query(`
      create table shop.a as select 1 as n; create table shop.log (n int);
      create function shop.note() returns trigger language plpgsql as $$ begin insert into shop.log values (new.n); return new; end $$;
      create trigger on_it after insert on shop.a for each row execute function shop.note();
      create trigger off_it after insert on shop.a for each row execute function shop.note();
      alter table shop.a disable trigger off_it`);
    await backUp(["shop.a"]);
    await restore({ into: "replace" });
    expect(await select("table shop.log")).toEqual([]);
    expect(await select("select tgname, tgenabled from pg_trigger where tgrelid = 'shop.a'::regclass order by 1")).toEqual([
      { tgname: "off_it", tgenabled: "D" },
      { tgname: "on_it", tgenabled: "O" },
    ]);
    await restore({ into: "replace", triggers: "on" });
    expect(await select("table shop.log")).toEqual([{ n: 1 }]);
  });

  it.each([
    ["a table that lacks a column", { tables: { "shop.a": "shop.other" } }, "cannot store column 'n' of type integer"],
    ["a table that is not in the backup", { tables: { "shop.none": "shop.other" } }, "the backup has no table 'shop.none'"],
    ["a folder with ..", { backup: ".." }, "backup: expected a name"],
    ["a foreign folder", { backup: "etc/passwd" }, "backup: expected a name"],
  ])("reject %s", async (_what, payload, message) => {
    await database.pool.query("create table shop.a as select 1 as n; create table shop.other (m int)");
    await backUp(["shop.a"]);
    expect((await restore(payload)).error).toContain(message);
  });

  it("write only to folders that the configuration allows", async () => {
    await database.pool.query("create table shop.a as select 1 as n");
    const elsewhere = await directoryOf({});
    expect((await backUp(["shop.a"], { folder: elsewhere })).error).toContain("LEGWORK_ALLOWED_FOLDERS");
    expect(await readdir(elsewhere)).toEqual([]);
    const below = join(folder, "new", "daily");
    expect((await backUp(["shop.a"], { folder: below })).state).toBe("completed");
    expect(await readdir(below)).toHaveLength(1);
  });
});
