import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync } from "node:fs";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { beforeAll, describe, expect, it } from "vitest";
import { createProgram } from "../../src/cli/main.ts";
import { type CliResult, legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { directoryOf } from "../support/worker.ts";

const database = testDatabase();
const program = await createProgram();

beforeAll(async () => {
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "notify/email", "payload_schema": {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}}]')`,
  );
});

/** Runs a command whose standard output is a full disk. */
async function intoFullDisk(parameters: readonly string[]): Promise<{ code: number | null; stderr: string }> {
  const full = openSync("/dev/full", "w");
  const script = fileURLToPath(new URL("../../bin/legwork.js", import.meta.url));
  const child = spawn(process.execPath, [script, ...parameters], {
    env: { PATH: process.env["PATH"] ?? "", LEGWORK_LOG_LEVEL: "warn", DATABASE_URL: database.url },
    stdio: ["ignore", full, "pipe"],
  });
  closeSync(full);
  const [stderr, [code]] = await Promise.all([text(child.stderr as Readable), once(child, "close")]);
  return { code: code as number | null, stderr };
}

const run = (...parameters: string[]): Promise<CliResult> => legwork(parameters, { DATABASE_URL: database.url });

it("commands in a new database say what there is not", async () => {
  expect((await run("stats")).stdout).toBe("No job has ended in the last hour.\n");
  expect((await run("explain", "1")).stderr).toContain("\nhint: No job has been enqueued yet.\n");
});

describe("legwork add", () => {
  it("prints the id of the job it enqueued, which legwork job shows", async () => {
    const added = await run(
      "add",
      "notify/email",
      '{"to": "a@b.c"}',
      "--priority",
      "-3",
      "--tenant",
      "acme",
      "--run-at",
      "2030-01-01T00:00:00Z",
    );
    expect(added).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^\d+\n$/) });
    const shown = await run("job", added.stdout.trim(), "--json");
    expect(JSON.parse(shown.stdout)).toMatchObject({
      task: "notify/email",
      payload: { to: "a@b.c" },
      priority: -3,
      tenant: "acme",
      state: "scheduled",
      runAt: "2030-01-01T00:00:00.000Z",
    });
    expect((await run("job", added.stdout.trim())).stdout).toContain("notify/email  scheduled");
  });

  it("reads the payload from stdin", async () => {
    const added = await legwork(["add", "notify/email", "-", "--json"], { DATABASE_URL: database.url }, '{"to": "stdin"}');
    expect(added.code).toBe(0);
    const { rows } = await database.pool.query("select payload from legwork.jobs where id = $1", [JSON.parse(added.stdout).id]);
    expect(rows).toEqual([{ payload: { to: "stdin" } }]);
  });
});

describe("legwork add with limits", () => {
  it("prints the id of an existing job", async () => {
    const first = await run("add", "notify/email", '{"to": "unique"}', "--unique-for", "1h");
    expect(first.code).toBe(0);
    expect((await run("add", "notify/email", '{"to": "unique"}', "--unique-for", "1h")).stdout).toBe(first.stdout);
  });

  it("says when to retry after the quota was exceeded", async () => {
    const limited = (): Promise<CliResult> =>
      run("add", "notify/email", '{"to": "x"}', "--rate-limit", "1", "--rate-per", "10m", "--rate-key", "cli");
    expect((await limited()).code).toBe(0);
    const refused = await limited();
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toMatch(
      /^legwork: 'cli' is limited to 1 job per 10 minutes; the next one may be enqueued at \S+Z\. \(LW429\)\n/,
    );
    expect(refused.stderr).toMatch(/\nhint: Nothing was enqueued\. Try again in (9|10) min\.\n$/);
  });

  it("takes the other options", async () => {
    const added = await run(
      "add",
      "notify/email",
      '{"to": "x"}',
      "--job-key",
      "cli",
      "--debounce",
      "1h",
      "--overlap",
      "serial",
      "--expires-at",
      "2099-01-01T00:00:00Z",
    );
    const { rows } = await database.pool.query(
      "select state, serial_key, (select expires_at from legwork_private.expirations e where e.job_id = j.id) from legwork.jobs j where id = $1",
      [added.stdout.trim()],
    );
    expect(rows).toEqual([{ state: "scheduled", serial_key: "job_key:cli", expires_at: new Date("2099-01-01Z") }]);
  });
});

describe("legwork job", () => {
  const lines = (id: string): object[] =>
    Array.from({ length: 12 }, (_, n) => ({
      job_id: id,
      attempt: 1,
      at: Date.now(),
      level: "info",
      message: `line ${n + 1}`,
      fields: n === 11 ? { done: true } : null,
    }));
  const add = async (): Promise<string> => {
    const { stdout } = await run("add", "notify/email", '{"to": "a@b.c"}');
    const id = stdout.trim();
    await database.pool.query("select legwork_private.record_output($1, $2)", [
      JSON.stringify([{ job_id: id, attempt: 0, percent: 40, message: "Reading", at: Date.now() }]),
      JSON.stringify(lines(id)),
    ]);
    return id;
  };

  it("shows a job's progress and last log lines, and all lines on request", async () => {
    const id = await add();
    const shown = (await run("job", id)).stdout;
    expect(shown).toContain("progress    40%  Reading\n");
    expect(shown).toMatch(/--logs shows all\)\n {4}\S+Z {2}info {3}line 3\n/);
    expect(shown).toMatch(/line 12 {2}\{"done":true\}\n$/);
    const all = (await run("job", id, "--logs")).stdout.trimEnd().split("\n");
    expect(all).toHaveLength(12);
    expect(all[0]).toMatch(/^\S+Z {2}info {3}line 1$/);
    const json = JSON.parse((await run("job", id, "--json")).stdout);
    expect(json).toMatchObject({ progress: 40, progressMessage: "Reading" });
    expect(json.logList.map((line: { message: string }) => line.message).slice(0, 2)).toEqual(["line 3", "line 4"]);
    expect(JSON.parse((await run("job", id, "--json", "--logs")).stdout).logList).toHaveLength(12);
  });

  it("follows the log until the job has ended", async () => {
    const id = await add();
    const followed = run("job", id, "--follow");
    // The command reads the lines and the job, and then waits. Once it was seen idle at two different times, it has completed a cycle.
    const looks = new Set<number>();
    await until("the command has polled", async () => {
      const { rows } = await database.pool.query(
        `select query_start from pg_stat_activity where application_name = 'legwork cli' and datname = current_database()
           and state = 'idle' and query_start < clock_timestamp() - interval '150 milliseconds'`,
      );
      for (const { query_start: start } of rows) looks.add(start.getTime());
      return looks.size > 1;
    });
    await database.pool.query("select legwork_private.record_output('[]', $1)", [
      JSON.stringify([{ job_id: id, attempt: 1, at: Date.now(), level: "warn", message: "a later one" }]),
    ]);
    await database.pool.query("select graphile_worker.complete_jobs(array[$1::bigint])", [id]);
    const { stdout, code } = await followed;
    expect(code).toBe(0);
    expect(stdout.trimEnd().split("\n")).toHaveLength(13);
    expect(stdout).toMatch(/warn {3}a later one\n$/);
  });
});

describe("legwork jobs", () => {
  it("lists jobs newest first, filtered and in pages", async () => {
    const ids: number[] = [];
    for (const n of [1, 2, 3])
      ids.push(Number((await run("add", "notify/email", JSON.stringify({ to: `${n}` }), "--correlation-id", "page")).stdout));
    const page = JSON.parse((await run("jobs", "--correlation-id", "page", "--limit", "2", "--json")).stdout);
    expect(page.map((job: { id: string }) => Number(job.id))).toEqual([ids[2], ids[1]]);
    const next = JSON.parse((await run("jobs", "--correlation-id", "page", "--before", page[1].id, "--json")).stdout);
    expect(next.map((job: { id: string }) => Number(job.id))).toEqual([ids[0]]);
    expect((await run("jobs", "--state", "failed")).stdout).toBe("No jobs.\n");
    const table = (await run("jobs", "--limit", "2")).stdout;
    expect(table).toMatch(/^ID +TASK +STATE/);
    expect(table).toContain(`More: legwork jobs --before ${ids[1]}`);
  });
});

describe("legwork failed", () => {
  it("says how to retry a group, and how to run a job whose payload does not match", async () => {
    const fail = (error: string): Promise<unknown> =>
      database.pool.query(
        "select graphile_worker.permanently_fail_jobs(array[(graphile_worker.add_job('notify/email', run_at => now() + interval '1 day')).id], $1)",
        [error],
      );
    await fail("refused");
    const refused = (await run("failed")).stdout;
    expect(refused).toMatch(/\nTo retry a group: legwork retry --fingerprint FINGERPRINT \[--preview\]\n$/);
    await fail("The payload does not match task 'notify/email': to: expected a string.");
    expect((await run("failed")).stdout).toMatch(
      /\[--preview\]\nA retry keeps the payload\. To run a job with another one: legwork rerun ID --payload '\{…\}' --discard\n$/,
    );
  });
});

describe("an error", () => {
  const mistakes: [string, string[], Record<string, string>, number, string][] = [
    ["an unknown command", ["jbos"], {}, 2, "Did you mean jobs?"],
    ["an unknown option", ["jobs", "--stat", "failed"], {}, 2, "Did you mean --state?"],
    ["an unknown state", ["jobs", "--state", "fialed"], {}, 2, "Did you mean 'failed'?"],
    ["a missing argument", ["add"], {}, 2, "Missing required argument 'task'"],
    [
      "an unknown task",
      ["add", "notify/emial"],
      {},
      1,
      "There is no task named 'notify/emial'. (LW404)\nhint: Did you mean 'notify/email'?",
    ],
    ["bad JSON", ["add", "notify/email", "{to: 1}"], {}, 2, "The payload is not valid JSON"],
    [
      "an invalid payload",
      ["add", "notify/email", '{"to": 1}'],
      {},
      1,
      "to: Invalid input: expected string, received number. (LW422)",
    ],
    ["a job that does not exist", ["job", "999999"], {}, 1, "No job has id 999999. (LW404)"],
    ["an invalid id", ["job", "abc"], {}, 2, "'abc' is not a job id."],
    ["an invalid time", ["add", "notify/email", "--run-at", "tomorrow"], {}, 2, "Expected a time"],
    ["an invalid number", ["jobs", "--limit", "many"], {}, 2, "a whole number from 1 to 500"],
    [
      "a missing database",
      ["jobs"],
      { DATABASE_URL: "", LEGWORK_DATA_DIR: "/nowhere" },
      1,
      "DATABASE_URL is not set, and no `legwork up` is running in /nowhere. (LW503)",
    ],
    ["an invalid URL", ["jobs"], { DATABASE_URL: "mysql://x" }, 2, "DATABASE_URL: expected postgres://"],
    [
      "an unreachable database",
      ["jobs"],
      { DATABASE_URL: "postgres://u:secret@127.0.0.1:1/x" },
      1,
      "Nothing is listening at 127.0.0.1:1/x. (LW503)",
    ],
    [
      "a missing tasks directory",
      ["worker", "--tasks", "/nowhere"],
      {},
      1,
      "The tasks directory /nowhere does not exist. (LW515)",
    ],
    [
      "a concurrency of 0",
      ["worker", "--concurrency", "0"],
      {},
      2,
      "'0' is not a valid value for --concurrency. Expected a whole number from 1",
    ],
    [
      "an invalid duration",
      ["worker", "--shutdown-timeout", "soon"],
      {},
      2,
      "'soon' is not a valid value for --shutdown-timeout. Expected a duration",
    ],
    ["dropping the history without --yes", ["migrate", "--uninstall"], {}, 2, "deletes the whole history"],
    ["a preview without an upgrade", ["migrate", "--preview"], {}, 2, "describes the upgrade"],
    ["upgrading and uninstalling", ["migrate", "--uninstall", "--yes", "--upgrade-graphile-worker"], {}, 2, "cannot be combined"],
    ["a task that does not exist, in a filter", ["jobs", "--task", "notify/emial"], {}, 1, "Did you mean 'notify/email'?"],
    [
      "a queue that does not exist, in a filter",
      ["cancel", "--queue", "defalt"],
      {},
      1,
      "There is no queue named 'defalt'. (LW404)",
    ],
    ["an unknown type of target", ["audit", "--target-type", "jobb"], {}, 2, "Did you mean 'job'?"],
    ["a payload that is null", ["add", "notify/email", "null"], {}, 1, "expected object, received null. (LW422)"],
    ["a job that never existed", ["job", "999999"], {}, 1, "hint: No job has had this id yet"],
    [
      "a report that cannot be written",
      ["report", "--out", "/nonexistent/report.md"],
      {},
      2,
      "/nonexistent/report.md cannot be written: no such file or directory. (LW400)",
    ],
    ["a setting that is not a number", ["worker"], { LEGWORK_CONCURRENCY: "x" }, 2, "it is 'x'; it must be a number. (LW514)"],
    ["a setting that is too small", ["worker"], { LEGWORK_CONCURRENCY: "0" }, 2, "it is '0'; it must be at least 1. (LW514)"],
    ["a preset that does not exist", ["worker", "-C", "/nonexistent/a.ts"], {}, 2, "/nonexistent/a.ts does not exist. (LW514)"],
    ["discarding without saying which jobs", ["discard"], {}, 2, "For example `legwork discard 42`"],
    ["resuming without saying what", ["resume"], {}, 2, "For example `legwork resume mail`"],
  ];
  it.each(mistakes)(
    "for %s is one clear message without a stack trace",
    async (_what, parameters, environment, code, message) => {
      const result = await legwork(parameters, { DATABASE_URL: database.url, ...environment });
      expect(result.stderr).toContain(message);
      expect(result.code).toBe(code);
      expect(result.stderr).not.toMatch(/\n\s+at |secret/);
      expect(result.stderr.trim().split("\n").length).toBeLessThanOrEqual(2);
      expect(result.stdout).toBe("");
    },
  );

  it.runIf(existsSync("/dev/full"))("for output that cannot be written is one message, also while it is repeated", async () => {
    for (const parameters of [["help"], ["jobs", "--json"], ["overview", "--watch", "200ms"]]) {
      const { code, stderr } = await intoFullDisk(parameters);
      expect({ code, stderr }).toEqual({ code: 1, stderr: "legwork: The output cannot be written: no space left on device.\n" });
    }
  });

  it("for a database that was never migrated says that it must be migrated", async () => {
    await database.pool.query("create database legwork_cli_empty");
    const url = new URL(database.url);
    url.pathname = "/legwork_cli_empty";
    const result = await legwork(["jobs"], { DATABASE_URL: url.href });
    await database.pool.query("drop database legwork_cli_empty");
    expect(result).toMatchObject({ code: 1, stderr: expect.stringContaining("Run `legwork migrate` first.") });
  });

  it("for a crontab that cannot be read names the file", async () => {
    const directory = await directoryOf({ "tasks/a.mjs": "export default async () => {};", crontab: "every day at noon" });
    const result = await legwork(["worker", "--tasks", `${directory}/tasks`, "--crontab", `${directory}/crontab`], {
      DATABASE_URL: database.url,
    });
    expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining(`The crontab ${directory}/crontab cannot be read`) });
  });
});

describe("legwork --help", () => {
  const everyCommand = (command: Command, path: string[] = []): string[][] => [
    path,
    ...command.commands.flatMap((subcommand) => everyCommand(subcommand, [...path, subcommand.name()])),
  ];
  it.each(everyCommand(program).map((command) => [command]))("%j shows examples", async (command) => {
    const result = await run(...command, "--help");
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(result.stdout).toContain("Examples:\n  $ ");
  });
});
