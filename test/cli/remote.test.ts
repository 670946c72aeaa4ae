import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { type CliResult, legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { makeToken, restToken, startRest } from "../support/rest.ts";

const database = testDatabase();
let server: Server;
let jobs: string[];

beforeAll(async () => {
  await database.pool.query(`select legwork.register_tasks('[{"name": "notify/email", "queue": "mail"}, {"name": "other"}]')`);
  const { rows } = await database.pool.query(
    `select legwork.enqueue('notify/email', '{"sent_at": "yesterday"}', correlation_id => 'c')::text as id from generate_series(1, 6)`,
  );
  jobs = rows.map(({ id }) => id);
  await database.pool.query("select graphile_worker.permanently_fail_jobs($1::bigint[], 'refused')", [jobs.slice(0, 2)]);
  await database.pool.query("select graphile_worker.complete_jobs($1::bigint[])", [jobs.slice(2, 3)]);
  await database.pool.query("select legwork.record_output('[]', $1)", [
    JSON.stringify([{ job_id: jobs[5], attempt: 1, at: Date.now(), level: "info", message: "hello", fields: { a: 1 } }]),
  ]);
  server = await startRest(database);
});
afterAll(async () => {
  await server.stop();
});

const remote = async (parameters: readonly string[], environment: Record<string, string> = {}): Promise<CliResult> =>
  await legwork(parameters, { LEGWORK_URL: server.url, LEGWORK_TOKEN: restToken, ...environment });

describe("asked of a server, a reading command prints what it prints from the database", () => {
  it.each([
    ["jobs", ["jobs", "--json"]],
    ["filtered jobs", ["jobs", "--state", "failed", "--error", "REFUSED", "--limit", "1", "--json"]],
    ["jobs by time", ["jobs", "--created-after", "2020-01-01T00:00:00Z", "--created-before", "2099-01-01T00:00:00Z", "--json"]],
    ["failed groups", ["failed", "--json"]],
    ["queues", ["queues"]],
    ["tasks", ["tasks", "--json"]],
    ["workers", ["workers"]],
    ["the overview", ["stats"]],
    ["a preview", ["cancel", "--queue", "mail", "--preview", "--json"]],
  ])("%s", async (_name, parameters) => {
    const [there, here] = await Promise.all([remote(parameters), legwork(parameters, { DATABASE_URL: database.url })]);
    expect(there).toMatchObject({ code: 0, stderr: "" });
    expect(there.stdout).toBe(here.stdout);
    expect(there.stdout.length).toBeGreaterThan(10);
  });

  it("one job, its log and why it does not run", async () => {
    const id = jobs[5] ?? "";
    for (const parameters of [
      ["job", id],
      ["job", id, "--json"],
      ["job", id, "--logs"],
      ["explain", id, "--json"],
    ]) {
      const there = await remote(parameters);
      expect([parameters, there.stdout]).toEqual([
        parameters,
        (await legwork(parameters, { DATABASE_URL: database.url })).stdout,
      ]);
    }
  });
});

describe("asked of a server, an acting command acts", () => {
  it("enqueues, cancels, retries, pauses and limits", async () => {
    const added = await remote(["add", "other", '{"n": 1}', "--priority", "-3", "--run-at", "2030-01-01T00:00:00Z"]);
    expect(added).toMatchObject({ code: 0, stderr: "" });
    const id = added.stdout.trim();
    expect((await remote(["cancel", id, "--reason", "wrong"])).stdout).toBe(`Job ${id}: cancelled.\n`);
    const { rows } = await database.pool.query("select priority, error from legwork.jobs where id = $1", [id]);
    expect(rows).toEqual([{ priority: -3, error: "Cancelled by postgres: wrong" }]);
    expect((await remote(["retry", "--task", "notify/email"])).stdout).toBe(`2 retried: ${jobs[0]}, ${jobs[1]}\n`);
    expect((await remote(["pause", "mail", "--reason", "host is down"])).stdout).toBe("Queue 'mail' is paused.\n");
    expect((await remote(["resume", "mail"])).stdout).toBe("Queue 'mail' is resumed.\n");
    expect((await remote(["resume", "mail"])).stdout).toBe("Queue 'mail' was not paused.\n");
    expect((await remote(["limit", "--task", "other", "--rate", "5/1m", "--key", "n"])).code).toBe(0);
    expect((await remote(["limit", "--task", "other", "--drop", "rate", "--key", "n"])).stdout).toContain("has no rate limit");
    const audit = await database.pool.query(
      "select distinct surface from legwork.audit_log where operation in ('cancel_job', 'pause', 'limit')",
    );
    expect(audit.rows).toEqual([{ surface: "rest" }]);
  });

  it.each([
    ["without a token", ["jobs"], { LEGWORK_TOKEN: "" }, 1, "A token for"],
    ["with a token that is none", ["jobs"], { LEGWORK_TOKEN: "x" }, 1, "(LW401)"],
    ["of a server that is not there", ["jobs", "--url", "http://127.0.0.1:1"], {}, 1, "does not answer"],
    ["of something that is no address", ["jobs", "--url", "127.0.0.1:4400"], {}, 2, "is no address of a server. (LW514)"],
    ["for a job that is not there", ["job", "999999"], {}, 1, "There is no job 999999. (LW404)"],
    ["for a task that is not there", ["add", "notify/emial"], {}, 1, "Did you mean 'notify/email'?"],
    ["for what no index serves", ["jobs", "--priority", "1"], {}, 2, "(LW400)"],
  ])("%s it says so in one line, with the code of everywhere", async (_name, parameters, environment, code, message) => {
    const result = await remote(parameters, environment);
    expect(result).toMatchObject({ code, stdout: "" });
    expect(result.stderr).toContain(message);
    expect(result.stderr).not.toMatch(/\n\s+at /);
  });

  it("what its token may not do, it does not do", async () => {
    const token = await makeToken(database, "viewer");
    expect(await remote(["stop", "--all"], { LEGWORK_TOKEN: token })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("(LW403)"),
    });
  });

  it("--database-url goes to the database, whatever LEGWORK_URL says", async () => {
    const result = await remote(["stats", "--json", "--database-url", database.url], { LEGWORK_URL: "http://127.0.0.1:1" });
    expect(result.code).toBe(0);
  });
});

describe("legwork completion", () => {
  it("completes commands, options and choices in bash", async () => {
    const { stdout: script } = await legwork(["completion", "bash"]);
    const complete = async (...typed: string[]): Promise<string[]> => {
      const words = typed.map((word) => `'${word}'`).join(" ");
      const { stdout } = await promisify(execFile)("bash", [
        "-c",
        `${script}\nCOMP_WORDS=(legwork ${words}); COMP_CWORD=${typed.length}; _legwork; printf '%s\\n' "\${COMPREPLY[@]}"`,
      ]);
      return stdout.trim().split("\n");
    };
    expect(await complete("ca")).toEqual(["cancel"]);
    expect(await complete("jobs", "--state", "ca")).toEqual(["cancelled"]);
    expect(await complete("jobs", "--task", "x", "--cre")).toEqual(["--created-after", "--created-before"]);
    expect(await complete("pause", "--rea")).toEqual(["--reason"]);
  });

  it.each(["zsh", "fish"])("prints every command for %s", async (shell) => {
    const { stdout, code } = await legwork(["completion", shell]);
    expect(code).toBe(0);
    for (const command of ["up", "worker", "jobs", "explain", "top"]) expect(stdout).toContain(command);
  });
});

it("a list that is watched is printed again and again", async () => {
  const watched = await promisify(execFile)(process.execPath, ["bin/legwork.js", "stats", "--json", "--watch", "100ms"], {
    env: { PATH: process.env.PATH ?? "", DATABASE_URL: database.url },
    timeout: 3_000,
  }).catch((error: { stdout: string }) => error);
  expect(watched.stdout.match(/"running"/g)?.length).toBeGreaterThan(2);
});
