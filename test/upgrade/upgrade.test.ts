import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { describeSchema } from "../../scripts/describe-schema.ts";
import { assertUsable, migrate, migrationScript } from "../../src/db/migrate.ts";
import { createPool } from "../../src/db/pool.ts";
import { schemaFiles, type SchemaFiles } from "../../src/db/schema-files.ts";
import { VERSION } from "../../src/version.ts";
import { legwork } from "../support/cli.ts";
import { databaseUrl, onServer, testDatabase, testLog } from "../support/database.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerProcess } from "../support/worker.ts";
import { NEXT, nextVersion } from "./next-version.ts";

const database = testDatabase();
let next: SchemaFiles;

beforeAll(async () => {
  next = await nextVersion();
});

const query = async (text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> =>
  (await database.pool.query(text, values)).rows;

/** The schema of a fresh installation from these files. */
async function freshSchema(files: SchemaFiles): Promise<string> {
  const name = `${new URL(database.url).pathname.slice(1)}_fresh`;
  await onServer(inject("serverUrl"), (client) => client.query(`create database ${name}`));
  const pool = createPool(databaseUrl(inject("serverUrl"), name), { log: testLog });
  try {
    await migrate(pool, testLog, files);
    return await describeSchema(pool);
  } finally {
    await pool.end();
    await onServer(inject("serverUrl"), (client) => client.query(`drop database ${name} with (force)`));
  }
}

/** Returns to this version, for the next test. Users cannot do that: they install the previous version on the new schema. */
async function reset(): Promise<void> {
  await database.pool.query("drop view if exists public.failures");
  await database.pool.query("drop schema if exists legwork, legwork_private, legwork_tenant, legwork_confined cascade");
  await migrate(database.pool, testLog);
}

describe("an upgrade", () => {
  afterEach(reset);

  it("results in the same schema as a fresh installation of the new version, is done once, and keeps the existing rows", async () => {
    await query('select legwork_private.register_tasks(\'[{"name": "a", "queue": "mail"}]\')');
    await query(
      "select legwork.enqueue('a', '{\"n\": 1}', serial_key => 's'), legwork.limit_concurrency(2, queue => 'mail'), legwork.pause_task('a')",
    );
    await query("select legwork.schedule('nightly', 'a', cron => '0 3 * * *')");
    await query('select legwork.start_workflow(\'w\', \'{"one": {"task": "a"}, "two": {"task": "a", "depends_on": ["one"]}}\')');
    const kept = async () => ({
      jobs: await query("select id, task, state, serial_key from legwork.jobs order by id"),
      schedules: await query("select name, cron, next_at from legwork.schedules"),
      settings: await query("select * from legwork.settings order by name"),
      limits: await query("select name, limits from legwork.queues order by name"),
    });
    const before = await kept();
    const result = await migrate(database.pool, testLog, next);
    expect(result.applied).toEqual(["9000_notes"]);
    expect(result.repaired).toEqual([]);
    expect(result.definitions).toEqual(
      expect.arrayContaining([
        "function legwork_private.describe_retry(text, text, boolean)",
        "view legwork.tasks",
        "view legwork_private.all_jobs",
        "view legwork.jobs",
        "view legwork_tenant.jobs",
        "function legwork.job_reruns(bigint)",
      ]),
    );
    // Objects that have not changed, and do not depend on a changed object, are left alone.
    expect(result.definitions).not.toContain("function legwork.pause_queue(text, text)");
    expect(result.definitions.filter((object) => object.startsWith("trigger "))).toEqual([]);
    expect(await kept()).toEqual(before);
    expect(await query("select id from legwork_private.notes")).toEqual([{ id: "1" }]);
    expect(await migrate(database.pool, testLog, next)).toEqual({ applied: [], definitions: [], repaired: [] });
    expect(await describeSchema(database.pool)).toBe(await freshSchema(next));
  });

  it(
    "loses no jobs and runs no job twice while a worker of the previous version continues, even if that worker is restarted",
    { timeout: scaled(90_000) },
    async () => {
      await query("create table if not exists ran (job_id bigint, at timestamptz default clock_timestamp())");
      const tasks = await directoryOf({
        "note.js":
          "export default async (payload, { job, query }) => void (await query('insert into ran (job_id) values ($1)', [job.id]));",
      });
      const ran = async () => Number((await query("select count(*) as n from ran"))[0]?.n);
      const first = await workerProcess(database, tasks);
      let enqueued = 0;
      let stop = false;
      const load = (async () => {
        while (!stop && enqueued < 2_000) {
          await query("select legwork.enqueue('note', jsonb_build_object('n', n)) from generate_series(1, 20) n");
          enqueued += 20;
          await delay(50);
        }
      })();
      await until("jobs run", async () => (await ran()) > 20, 30_000);
      await migrate(database.pool, testLog, next);
      const atUpgrade = await ran();
      await until("jobs run on the new schema", async () => (await ran()) > atUpgrade + 40, 30_000);
      first.kill("SIGTERM");
      await new Promise((resolve) => first.once("exit", resolve));
      // Starts this version again, on the schema of the next one. Downgrading works in the same way.
      await workerProcess(database, tasks);
      const atRestart = await ran();
      await until("jobs run after the restart", async () => (await ran()) > atRestart + 40, 30_000);
      stop = true;
      await load;
      await until(
        "every job has ended",
        async () => (await query("select from legwork.jobs where task = 'note' and finished_at is null limit 1")).length === 0,
        30_000,
      );
      expect(await query("select count(*)::int as ran, count(distinct job_id)::int as jobs from ran")).toEqual([
        { ran: enqueued, jobs: enqueued },
      ]);
      expect(await query("select state::text, count(*)::int from legwork.jobs where task = 'note' group by 1")).toEqual([
        { state: "completed", count: enqueued },
      ]);
      expect(await query("select distinct version from legwork.workers")).toEqual([{ version: VERSION }]);
    },
  );

  it("keeps users' grants on views and functions that it recreates, even if a function has a new parameter", async () => {
    const role = `legwork_test_${new URL(database.url).pathname.slice(-12)}`;
    await query(`create role ${role}`);
    onTestFinished(async () => void (await database.pool.query(`drop owned by ${role}; drop role ${role}`)));
    await query(
      `grant select on legwork.jobs, legwork.tasks to ${role}; grant execute on function legwork.change_setting to ${role}`,
    );
    await migrate(database.pool, testLog, next);
    const may = `select has_table_privilege($1, 'legwork.jobs', 'select') as jobs, has_table_privilege($1, 'legwork.tasks', 'select') as tasks,
      has_function_privilege($1, 'legwork.change_setting(text, text, text)', 'execute') as setting, has_table_privilege($1, 'legwork.jobs', 'insert') as more`;
    expect(await query(may, [role])).toEqual([{ jobs: true, tasks: true, setting: true, more: false }]);
  });

  it("stops before it changes anything if a user's view depends on an object to be recreated, and names the view", async () => {
    await query("create view public.failures as select id, task from legwork.jobs where state = 'failed'");
    const before = await describeSchema(database.pool);
    await expect(migrate(database.pool, testLog, next)).rejects.toMatchObject({
      code: "LW511",
      message: expect.stringMatching(
        /^The view public\.failures depends on the view \S+, which this version of Legwork changes\.$/,
      ),
      hint: expect.stringContaining("drop view public.failures"),
    });
    expect(await describeSchema(database.pool)).toBe(before);
    await query("drop view public.failures");
    expect((await migrate(database.pool, testLog, next)).applied).toEqual(["9000_notes"]);
  });

  it("can be done manually: after the output of --dry-run has been run unchanged, nothing is left to do", async () => {
    const before = await describeSchema(database.pool);
    const script = await migrationScript(database.pool, next);
    expect(await describeSchema(database.pool)).toBe(before);
    expect(script).toMatch(/^begin;\n[\s\S]*\ncommit;\n$/);
    await query(script);
    expect(await migrate(database.pool, testLog, next)).toEqual({ applied: [], definitions: [], repaired: [] });
    expect(await describeSchema(database.pool)).toBe(await freshSchema(next));
    expect(await migrationScript(database.pool, next)).toBe("");
  });

  it("waits for a table in short attempts, so that workers continue in between, and gives up without a change", async () => {
    const holder = await database.pool.connect();
    try {
      await holder.query(
        "begin; select from legwork.jobs limit 1; lock table legwork_private.task_definitions in access share mode",
      );
      const before = await describeSchema(database.pool);
      const refusal = migrate(database.pool, testLog, next, { patience: 1_000 }).catch((error: unknown) => error);
      // This statement waits for at most two seconds behind the migration.
      const begun = Date.now();
      await delay(300);
      await query('select legwork_private.register_tasks(\'[{"name": "late"}]\')');
      expect(Date.now() - begun).toBeLessThan(scaled(6_000));
      expect(await refusal).toMatchObject({ code: "LW409", message: expect.stringContaining("Nothing was changed.") });
      expect(await describeSchema(database.pool)).toBe(before);
    } finally {
      await holder.query("rollback");
      holder.release();
    }
  });
});

describe("versions", () => {
  afterEach(reset);

  it("an older version uses the schema of a newer one, and leaves it alone", async () => {
    await migrate(database.pool, testLog, next);
    const before = await describeSchema(database.pool);
    expect(await migrate(database.pool, testLog)).toEqual({ applied: [], definitions: [], repaired: [] });
    await assertUsable(database.pool);
    expect(await describeSchema(database.pool)).toBe(before);
    expect(await legwork(["jobs"], { DATABASE_URL: database.url })).toMatchObject({ code: 0, stderr: "" });
  });

  it("a schema that requires a newer version is rejected in one line, by the worker, migrate and other commands", async () => {
    await migrate(database.pool, testLog, await nextVersion({ minimum: "0.1.5" }));
    const refusal = {
      code: "LW511",
      message: `The database has the schema of Legwork ${NEXT}, which requires version 0.1.5 or newer; this is ${VERSION}.`,
      hint: `Install legwork@${NEXT}.`,
    };
    await expect(migrate(database.pool, testLog)).rejects.toMatchObject(refusal);
    await expect(assertUsable(database.pool)).rejects.toMatchObject(refusal);
    for (const command of [["jobs"], ["worker"], ["server", "--port", "0"]]) {
      const { code, stderr } = await legwork(command, { DATABASE_URL: database.url });
      expect({ code, stderr }).toEqual({ code: 1, stderr: `legwork: ${refusal.message} (LW511)\nhint: ${refusal.hint}\n` });
    }
  });

  it("a newer version that starts before the migration shows the command to run", async () => {
    await expect(assertUsable(database.pool, next)).rejects.toMatchObject({
      code: "LW511",
      message: `The database has the schema of Legwork ${schemaFiles().version}; this is ${NEXT}.`,
      hint: expect.stringContaining("legwork migrate"),
    });
  });

  it("a database before 0.1.0 is detected, and can be removed", async () => {
    await query("drop schema legwork, legwork_private, legwork_tenant, legwork_confined cascade");
    await query(
      "create schema legwork; create table legwork.migrations (id integer primary key, name text, checksum text, applied_at timestamptz default now()); insert into legwork.migrations values (1, '000001_history', 'x')",
    );
    await expect(migrate(database.pool, testLog)).rejects.toMatchObject({
      code: "LW511",
      message: expect.stringContaining("before 0.1.0"),
      hint: expect.stringContaining("legwork migrate --uninstall --yes"),
    });
    const { code, stderr } = await legwork(["jobs"], { DATABASE_URL: database.url });
    expect({ code, lines: stderr.trim().split("\n").length }).toEqual({ code: 1, lines: 2 });
    expect(stderr).toContain("before 0.1.0");
    expect(await legwork(["migrate", "--uninstall", "--yes"], { DATABASE_URL: database.url })).toMatchObject({ code: 0 });
  });
});
