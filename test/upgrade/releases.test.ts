import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { describeSchema } from "../../scripts/describe-schema.ts";
import { migrate } from "../../src/db/migrate.ts";
import { createPool } from "../../src/db/pool.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { BINARIES } from "../support/postgres-15.ts";

const directory = fileURLToPath(new URL("releases/", import.meta.url));
const releases = existsSync(directory) ? readdirSync(directory).filter((file) => file.endsWith(".sql.gz")) : [];

it("there is a database dump from every release", () => {
  expect(releases).toContain("0.1.0.sql.gz");
});

describe.each(releases)("a database from release %s, with rows of every kind", (file) => {
  const database = testDatabase({ empty: true });
  const fresh = testDatabase();

  it("becomes equal to a fresh installation, and keeps its rows", async ({ skip }) => {
    if (!existsSync(join(BINARIES, "psql"))) skip("Restoring a dump requires Debian's psql.");
    execFileSync(join(BINARIES, "psql"), ["--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--dbname", database.url], {
      input: gunzipSync(readFileSync(join(directory, file))),
      stdio: ["pipe", "ignore", "inherit"],
    });
    const query = async (text: string) => (await database.pool.query(text)).rows;
    const kept = async () => ({
      jobs: await query("select id, task, state, payload, error, tenant, run_at from legwork.jobs order by id"),
      attempts: await query(
        "select job_id, attempt, state, error_message from legwork.attempts order by job_id, attempt, started_at",
      ),
      workflows: await query("select id, name, state, total from legwork.workflows order by id"),
      steps: await query("select workflow_id, name, state from legwork.workflow_steps order by workflow_id, position"),
      schedules: await query("select name, task, next_at from legwork.schedules order by name"),
      batches: await query("select id, state, total from legwork.batches order by id"),
      limits: await query("select name, limits, paused_at from legwork.tasks order by name"),
      settings: await query("select name, value from legwork.settings order by name"),
    });
    /** The functions that workers, servers and commands of that release call, with their parameter names. */
    const callable = async () =>
      await query(`select p.pronamespace::regnamespace || '.' || p.proname as name, coalesce(p.proargnames[1:p.pronargs], '{}') as parameters, p.pronargdefaults as optional
        from pg_proc p join legwork_private.role_functions() f on f.function = p.proname
        where p.pronamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) group by p.oid, p.proname, p.pronamespace order by 1`);
    const called = await callable();
    expect(called.length).toBeGreaterThan(90);
    const before = await kept();
    expect(new Set(before.jobs.map(({ state }) => state)).size).toBe(10);
    const { repaired } = await migrate(database.pool, testLog);
    expect(repaired).toEqual([]);
    expect(await kept()).toEqual(before);
    // Each function can still be called in the same way, because new parameters have defaults.
    const now = await callable();
    const gone = called.filter(
      ({ name, parameters }) =>
        !now.some(
          (other) =>
            other.name === name &&
            parameters.every((parameter: string, index: number) => other.parameters[index] === parameter) &&
            other.parameters.length - parameters.length <= other.optional,
        ),
    );
    expect(gone).toEqual([]);
    // In a restored dump, conditions have different parentheses, and unnamed columns have names.
    const plain = (schema: string): string => schema.replaceAll(/[()]| AS \w+/g, "");
    expect(plain(await describeSchema(database.pool))).toBe(plain(await describeSchema(fresh.pool)));
    const pool = createPool(database.url, { log: testLog });
    try {
      const { rows } = await pool.query("select legwork.enqueue('free', '{}') as id");
      expect(Number(rows[0].id)).toBeGreaterThan(Math.max(...before.jobs.map(({ id }) => Number(id))));
    } finally {
      await pool.end();
    }
  });
});
