import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { runMigrations } from "graphile-worker";
import { beforeEach, describe, expect, inject, it, onTestFinished } from "vitest";
import { migrate } from "../../src/db/migrate.ts";
import { previewUpgrade } from "../../src/db/upgrade-graphile-worker.ts";
import { createPool, transaction } from "../../src/db/pool.ts";
import { type Migration, schemaFiles } from "../../src/db/schema-files.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { quietLogger } from "../support/plain-worker.ts";

const database = testDatabase({ empty: true });
const files = schemaFiles();

beforeEach(async () => {
  if (inject("serverUrl") !== "") await database.pool.query("drop schema if exists legwork, legwork_private, legwork_tenant, legwork_confined, graphile_worker cascade");
});

async function tables(): Promise<string[]> {
  const { rows } = await database.pool.query(
    "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('legwork', 'legwork_private', 'graphile_worker') order by 1",
  );
  return rows.map((row) => row.name);
}

describe("migrating", () => {
  it("an empty database installs graphile-worker's schema and Legwork's, once", async () => {
    const { applied } = await migrate(database.pool, testLog);
    expect(applied).toEqual(files.migrations.map(({ name }) => name));
    expect(await migrate(database.pool, testLog)).toEqual({ applied: [], definitions: [], repaired: [] });
  });

  it("from ten processes at once is done once", async () => {
    const script = fileURLToPath(new URL("../support/migrate-process.ts", import.meta.url));
    const results = await Promise.all(
      Array.from({ length: 10 }, () => promisify(execFile)(process.execPath, [script, database.url])),
    );
    const counts = results.map(({ stdout }) => Number(stdout)).toSorted((a, b) => a - b);
    expect(counts).toEqual([...Array(9).fill(0), files.migrations.length]);
  });

  it("a database with jobs keeps them, and shows those that have failed", async () => {
    await runMigrations({ pgPool: database.pool });
    await database.pool.query("select graphile_worker.add_job('old', '{\"n\": 1}'), graphile_worker.add_job('bad', job_key => 'b')");
    await database.pool.query("select graphile_worker.permanently_fail_jobs(array(select id from graphile_worker.jobs where key = 'b'), 'gone')");
    await migrate(database.pool, testLog);
    const { rows } = await database.pool.query("select task, state, error, payload from legwork.jobs order by task");
    expect(rows).toEqual([
      { task: "bad", state: "failed", error: "gone", payload: {} },
      { task: "old", state: "pending", error: null, payload: { n: 1 } },
    ]);
  });

  it("a database in use interrupts none of the transactions that add and change jobs", async () => {
    await runMigrations({ pgPool: database.pool });
    const writers = createPool(database.url, { log: testLog, name: "writers", max: 6 });
    onTestFinished(() => writers.end());
    await writers.query("select graphile_worker.add_job('later', '{}', run_at => 'tomorrow', job_key => case i when 1 then 'k' end) from generate_series(1, 2000) i");
    let isMigrated = false;
    let committed = 0;
    // Both in the order of add_job, which writes the tasks first, and in the opposite order.
    const writing = Array.from({ length: 6 }, async (_, index) => {
      while (!isMigrated) {
        await transaction(writers, async (client) => {
          if (index === 0) await client.query("update graphile_worker._private_jobs set priority = 1 where key = 'k'");
          for (const task of ["a", "b"]) await client.query("select graphile_worker.add_job($1, '{}', 'q' || $2)", [task, index]);
        });
        committed += 1;
        await delay(10);
      }
    });
    const migrated = migrate(database.pool, testLog).finally(() => (isMigrated = true));
    await expect(Promise.all([migrated, ...writing])).resolves.toBeDefined();
    const { rows } = await database.pool.query("select count(*)::int as jobs from legwork.jobs where task in ('a', 'b')");
    expect(rows).toEqual([{ jobs: 2 * committed }]);
    expect(committed).toBeGreaterThan(20);
  });

  it("gives the jobs that an earlier Legwork version enqueued for tenants' tokens the current form of keys, and leaves every other key alone", async () => {
    await runMigrations({ pgPool: database.pool });
    await database.pool.query(
      `select graphile_worker.add_job('t', queue_name => v.serial_key, job_key => v.job_key, flags => v.flags)
       from (values ('acme:import', 'acme:s', array['tenant:acme']), ('a%3Ab:c', null, array['tenant:a:b']), ('raw', 'raw', array['tenant:acme']),
         ('acme:none', 'acme:none', null), ('acme:', null, array['tenant:acme'])) as v (job_key, serial_key, flags)`,
    );
    await migrate(database.pool, testLog);
    const { rows } = await database.pool.query("select key, queue_name, job_key, serial_key from graphile_worker.jobs k join legwork.jobs j using (id) order by id");
    expect(rows).toEqual([
      { key: "tenant~acme:import", queue_name: "tenant~acme:s", job_key: "import", serial_key: "s" },
      { key: "tenant~a%3Ab:c", queue_name: null, job_key: "c", serial_key: null },
      { key: "raw", queue_name: "raw", job_key: "raw", serial_key: "raw" },
      { key: "acme:none", queue_name: "acme:none", job_key: "acme:none", serial_key: "acme:none" },
      { key: "acme:", queue_name: null, job_key: "acme:", serial_key: null },
    ]);
  });

  it("rejects a file that was changed after it was applied, and changes nothing", async () => {
    await migrate(database.pool, testLog);
    const [first, ...rest] = files.migrations as [Migration];
    const changed = [{ ...first, checksum: "other" }, ...rest];
    await expect(migrate(database.pool, testLog, { ...files, migrations: changed })).rejects.toMatchObject({
      code: "LW511",
      message: `Migration ${first.name} differs from the one that was applied to the database.`,
    });
  });

  it("rejects a database that a newer version migrated", async () => {
    await migrate(database.pool, testLog);
    await database.pool.query("insert into legwork.migrations (id, name, checksum) values (999999, '999999_future', 'x')");
    await expect(migrate(database.pool, testLog)).rejects.toMatchObject({
      code: "LW511",
      message: expect.stringContaining("newer version"),
    });
  });

  it("rolls back all of Legwork's objects if it fails halfway", async () => {
    const broken = { ...files, migrations: [...files.migrations, { id: 9999, name: "9999_broken", sql: "select 1 / 0", after: "", checksum: "x" }] };
    await expect(migrate(database.pool, testLog, broken)).rejects.toMatchObject({ code: "22012" });
    expect((await tables()).filter((name) => name.startsWith("legwork"))).toEqual([]);
  });

  it("rejects an older graphile-worker schema that is in use, changes nothing, and upgrades it on request", async () => {
    await runMigrations({ pgPool: database.pool, logger: quietLogger });
    await database.pool.query("select graphile_worker.add_job('old')");
    // This is the schema of graphile-worker 0.13 and older. The upgrade adds the column, which locks the table.
    await database.pool.query("delete from graphile_worker.migrations where id = 20");
    await database.pool.query("alter table graphile_worker.migrations drop column breaking");
    // If another process were installing it, this one would wait.
    await database.pool.query("update graphile_worker.migrations set ts = ts - interval '1 minute'");
    const before = await tables();
    await expect(migrate(database.pool, testLog)).rejects.toMatchObject({
      code: "LW510",
      message: expect.stringContaining("is at migration 19"),
      hint: expect.stringContaining("legwork migrate --upgrade-graphile-worker"),
    });
    expect(await tables()).toEqual(before);
    expect(await previewUpgrade(database.pool)).toEqual({
      migration: 19,
      versions: "0.17",
      isRefused: false,
      workers: [],
      jobs: { running: 0, due: 1, later: 0, failed: 0 },
    });
    // Workers of older versions could not record how this job ends.
    await database.pool.query("update graphile_worker._private_jobs set locked_at = now(), locked_by = 'old'");
    await database.pool.query("update graphile_worker.migrations set id = id - 30 where id > 15");
    expect(await previewUpgrade(database.pool)).toMatchObject({ versions: "0.14 or 0.15", isRefused: true, jobs: { running: 1 } });
    await expect(migrate(database.pool, testLog, files, { upgradeGraphileWorker: true })).rejects.toMatchObject({
      code: "LW409",
      message: expect.stringMatching(/^1 job is running under graphile-worker 0\.14 or 0\.15/),
    });
    await database.pool.query("update graphile_worker._private_jobs set locked_at = null, locked_by = null");
    await database.pool.query("update graphile_worker.migrations set id = id + 30 where id < 0");
    const { applied } = await migrate(database.pool, testLog, files, { upgradeGraphileWorker: true });
    expect(applied.length).toBeGreaterThan(0);
    expect((await database.pool.query("select max(id) as id from graphile_worker.migrations")).rows).toEqual([{ id: 20 }]);
    expect((await database.pool.query("select task from legwork.jobs")).rows).toEqual([{ task: "old" }]);
  });

  it("reports a failure in graphile-worker's own migrations with its cause, and continues there when it is repeated", async () => {
    await database.pool.query(`
      create function public.forbid() returns event_trigger language plpgsql as $$ begin
        if exists (select from pg_event_trigger_ddl_commands() where object_identity = 'graphile_worker._private_tasks') then
          raise exception 'Table names must not begin with an underscore';
        end if;
      end $$;
      create event trigger legwork_test_forbid on ddl_command_end execute function public.forbid()`);
    try {
      await expect(migrate(database.pool, testLog)).rejects.toMatchObject({
        code: "LW510",
        message: "graphile-worker's own migrations failed: Table names must not begin with an underscore.",
      });
    } finally {
      await database.pool.query("drop event trigger legwork_test_forbid; drop function public.forbid()");
    }
    expect(await tables()).toContain("graphile_worker.migrations");
    expect((await migrate(database.pool, testLog)).applied.length).toBeGreaterThan(0);
  });

  it("rejects a job table that lacks a column", async () => {
    await runMigrations({ pgPool: database.pool });
    await database.pool.query("alter table graphile_worker._private_jobs rename column flags to marks");
    await expect(migrate(database.pool, testLog)).rejects.toMatchObject({
      code: "LW510",
      message: "graphile_worker._private_jobs lacks the columns flags.",
    });
  });
});

describe("a database that cannot be used", () => {
  const failures: [string, (url: URL) => void, string][] = [
    ["nothing listens", (url) => (url.port = "1"), "Nothing is listening at 127.0.0.1:1/"],
    ["no such database", (url) => (url.pathname = "/nowhere"), "has no database 'nowhere'"],
    ["no SSL", (url) => url.searchParams.set("sslmode", "require"), "does not support SSL connections."],
    ["no such host", (url) => (url.hostname = "nowhere.invalid"), "cannot be found"],
  ];
  it.each(failures)("%s: is reported in one line", async (_name, change, message) => {
    const url = new URL(database.url);
    change(url);
    const pool = createPool(url.href, { log: testLog });
    try {
      await expect(migrate(pool, testLog)).rejects.toMatchObject({ code: "LW503", message: expect.stringContaining(message) });
    } finally {
      await pool.end();
    }
  });
});
