import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { escapeIdentifier, escapeLiteral } from "pg";
import { beforeAll, describe, expect, it } from "vitest";
import { connectionString } from "../../src/db/database-url.ts";
import { createPool } from "../../src/db/pool.ts";
import { LegworkError } from "../../src/errors.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase, testLog } from "../support/database.ts";

const database = testDatabase();
const SCRIPT = fileURLToPath(new URL("../../bin/legwork.js", import.meta.url));
const ESCAPES = "\u001b[31mred\u001b]0;title\u0007\u009b2J\u202e";
const VISIBLE = String.raw`\u001b[31mred\u001b]0;title\u0007\u009b2J\u202e`;

/** Runs a command and closes one of its output streams. Resolves to its exit code and to what it wrote to the other one. */
async function unread(parameters: readonly string[], closed: "stdout" | "stderr"): Promise<{ code: unknown; other: string }> {
  const child = spawn(process.execPath, [SCRIPT, ...parameters], { env: { PATH: process.env.PATH, DATABASE_URL: database.url } });
  let other = "";
  child[closed].destroy();
  child[closed === "stdout" ? "stderr" : "stdout"].on("data", (chunk) => (other += String(chunk)));
  const [code] = await once(child, "close");
  return { code, other };
}

describe("the command line", () => {
  beforeAll(async () => {
    await database.pool.query("select legwork_private.register_tasks($1)", [
      JSON.stringify([{ name: "plain" }, { name: `task ${ESCAPES}` }]),
    ]);
  });

  it("exits silently if nothing reads its output", async () => {
    await database.pool.query("select legwork.enqueue('plain') from generate_series(1, 200)");
    const runs = await Promise.all([
      unread(["retry", "--help"], "stdout"),
      unread(["jobs", "--limit", "200", "--json"], "stdout"),
      unread(["jobs", "--watch", "100ms"], "stdout"),
      unread(["nonsense"], "stderr"),
    ]);
    expect(runs).toEqual([
      { code: 0, other: "" },
      { code: 0, other: "" },
      { code: 0, other: "" },
      { code: 2, other: "" },
    ]);
  });

  it("prints control characters in names, keys, errors and log lines as escapes", async () => {
    const { rows } = await database.pool.query(
      `with job as (select id from graphile_worker.add_job($1, '{}', job_key => $2, queue_name => $2, max_attempts => 1)),
         failed as (select f.id from job, graphile_worker.permanently_fail_jobs(array[job.id], $2) f),
         logged as (insert into legwork_private.job_logs (job_id, attempt, logged_at, level, message, fields)
           select id, 1, now(), 'info', $2, jsonb_build_object('field', $2::text) from job)
       select id from failed`,
      [`task ${ESCAPES}`, ESCAPES],
    );
    const environment = { DATABASE_URL: database.url };
    const [list, job, logs, failed, json] = await Promise.all([
      legwork(["jobs", "--limit", "1"], environment),
      legwork(["job", rows[0].id], environment),
      legwork(["job", rows[0].id, "--logs"], environment),
      legwork(["failed"], environment),
      legwork(["job", rows[0].id, "--json"], environment),
    ]);
    for (const { code, stdout, stderr } of [list, job, logs, failed, json]) {
      expect(stderr + String(code)).toBe("0");
      // oxlint-disable-next-line no-control-regex -- the characters that must not be printed
      expect(stdout).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
      expect(stdout).toContain(String.raw`\u001b[31mred`);
    }
    expect(job.stdout).toContain(`error       ${VISIBLE}`);
    expect(JSON.parse(json.stdout)).toMatchObject({ jobKey: ESCAPES, error: ESCAPES });
  });

  it("names the role to grant to a login without rights", async () => {
    const login = `stranger_${process.pid}`;
    await database.pool.query(`create role ${login} login password 'secret'`);
    try {
      const url = new URL(database.url);
      url.username = login;
      url.password = "secret";
      const { code, stderr } = await legwork(["jobs"], { DATABASE_URL: url.href });
      expect(code).toBe(1);
      expect(stderr).toContain("The database login may not do this: permission denied for schema legwork. (LW403)");
      expect(stderr).toContain("legwork_reader");
      expect(stderr).not.toContain("bug");
    } finally {
      await database.pool.query(`drop role ${login}`);
    }
  });

  it("accepts ids up to the largest", async () => {
    const environment = { DATABASE_URL: database.url };
    const id = "9223372036854775807";
    await database.pool.query(
      `insert into graphile_worker._private_jobs (id, task_id, payload) overriding system value
       select $1, id, '{}' from graphile_worker._private_tasks where identifier = 'plain'`,
      [id],
    );
    expect((await legwork(["job", id], environment)).stdout).toContain(`Job ${id}`);
    expect((await legwork(["job", "9223372036854775808"], environment)).stderr).toContain("LW400");
  });
});

describe("DATABASE_URL", () => {
  it("may contain any characters in the database, user and password, if they are percent-encoded", async () => {
    const [name, user, password] = ["a/b?c#d@e:f&g=h+i,j;k$ %41\u0001é", "u/?#@:&=+,;$\u0001", "p/?#@:&=+,;$ %41\u0001é"];
    await database.pool.query(`create role ${escapeIdentifier(user)} login password ${escapeLiteral(password)}`);
    await database.pool.query(`create database ${escapeIdentifier(name)} template template0`);
    const { host } = new URL(database.url);
    const urlWith = (secret: string): string =>
      `postgres://${encodeURIComponent(user)}:${encodeURIComponent(secret)}@${host}/${encodeURIComponent(name)}`;
    try {
      const pool = createPool(urlWith(password), { log: testLog });
      const { rows } = await pool.query(`select current_database() as name, current_user as "user"`);
      await pool.end();
      expect(rows).toEqual([{ name, user }]);
      // node-postgres normalizes every password, but Postgres does not normalize one that contains a control character.
      await database.pool.query(`alter role ${escapeIdentifier(user)} password ${escapeLiteral("\uFB01\u0001")}`);
      const { code, stderr } = await legwork(["jobs"], { DATABASE_URL: urlWith("\uFB01\u0001") });
      expect(code).toBe(1);
      expect(stderr).toContain("The driver normalizes this password");
    } finally {
      await database.pool.query(`drop database ${escapeIdentifier(name)} with (force)`);
      await database.pool.query(`drop role ${escapeIdentifier(user)}`);
    }
  });

  it.each([
    "postgres://ann:sec@ret:5432/@127.0.0.1:1/db",
    "postgres://ann:sec/ret@host/db",
    "postgres://ann:12?secret@host/db",
    "postgres://ann:12#secret@host/db",
    "postgres://ann:1234?x=secret@host/db",
    "postgres://ann:is@secret?x=y@host/db",
    "postgres://ann:is@secret#@host/db",
    "postgres://ann:sec\nret@host/db",
    "postgres://ann:5432#secret",
    "postgres:ann:secret@host/db",
    "host=localhost password=secret",
    "postgres://ann:secret@one,two:5432/db",
    "postgres://ann:secret@host:port/db",
    "mysql://ann:secret@host/db",
    "ann:secret",
  ])("'%s' is rejected in one line that shows no part of the URL", async (url) => {
    let error: unknown;
    try {
      connectionString(url);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(LegworkError);
    expect(error).toMatchObject({ code: "LW514", message: "DATABASE_URL is not a valid connection string." });
    expect((error as LegworkError).hint).not.toMatch(/sec|ret\b|ann/);
  });

  it("is rejected by every command, with exit code 2", async () => {
    const { code, stderr } = await legwork(["jobs"], { DATABASE_URL: "postgres://ann:sec@ret:5432/@127.0.0.1:1/db" });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^legwork: DATABASE_URL is not a valid connection string\. \(LW514\)\nhint: Write it as .*\n$/);
  });

  it.each([
    ["postgres://u:p@h:5432/db", "postgres://u:p@h:5432/db"],
    ["postgres://u:p%40ss@h/db?application_name=a%40b", "postgres://u:p%40ss@h/db?application_name=a%40b"],
    ["postgres://u:p@s,s w@h/db", "postgres://u:p@s,s w@h/db"],
    ["/var/run/postgresql db", "/var/run/postgresql db"],
    ["postgres://%2Fvar%2Frun/db", "postgres://%2Fvar%2Frun/db"],
    ["postgres://h/db?sslmode=require&x=1", "postgres://h/db?sslmode=verify-full&x=1"],
    ["postgres://h/db?uselibpqcompat=true&sslmode=require", "postgres://h/db?uselibpqcompat=true&sslmode=require"],
  ])("%s is passed to node-postgres as %s", (url, given) => {
    expect(connectionString(url)).toBe(given);
  });
});

describe("a name that cannot be in a URL", () => {
  it.each([
    ["a queue", 'select legwork_private.register_tasks(\'[{"name": "t", "queue": ".."}]\')'],
    ["a task", 'select legwork_private.register_tasks(\'[{"name": "."}]\')'],
    ["a schedule", "select legwork.schedule('..', 'plain', every => '1 hour')"],
    ["a signal", "select legwork.send_signal((select min(id) from legwork.jobs), '..')"],
  ])("is rejected for %s", async (_what, statement) => {
    await expect(database.pool.query(statement)).rejects.toMatchObject({ code: "LW400" });
  });
});
