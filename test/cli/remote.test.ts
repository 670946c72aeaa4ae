import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { localOperations } from "../../src/cli/operations/local.ts";
import type { Operations } from "../../src/cli/operations/operations.ts";
import { remoteOperations } from "../../src/cli/operations/remote.ts";
import type { Server } from "../../src/server/server.ts";
import { type CliResult, legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { makeToken, restToken, startRest } from "../support/rest.ts";

const database = testDatabase();
let server: Server;
let jobs: string[];

beforeAll(async () => {
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "notify/email", "queue": "mail"}, {"name": "other"}]')`,
  );
  const { rows } = await database.pool.query(
    `select legwork.enqueue('notify/email', '{"sent_at": "yesterday"}', correlation_id => 'c')::text as id from generate_series(1, 6)`,
  );
  jobs = rows.map(({ id }) => id);
  await database.pool.query("select graphile_worker.permanently_fail_jobs($1::bigint[], 'refused')", [jobs.slice(0, 2)]);
  await database.pool.query("select graphile_worker.complete_jobs($1::bigint[])", [jobs.slice(2, 3)]);
  await database.pool.query("select legwork_private.record_output('[]', $1)", [
    JSON.stringify([{ job_id: jobs[5], attempt: 1, at: Date.now(), level: "info", message: "hello", fields: { a: 1 } }]),
  ]);
  server = await startRest(database);
});
afterAll(async () => {
  await server.stop();
});

const remote = async (parameters: readonly string[], environment: Record<string, string> = {}): Promise<CliResult> =>
  await legwork(parameters, { LEGWORK_URL: server.url, LEGWORK_TOKEN: restToken, ...environment });

/** The operations behind the commands, through a server and directly. */
const there = (token = restToken): Operations => remoteOperations(server.url, token);
const here = (): Operations => localOperations(database.pool);

describe("a command reads the same from a server as from the database:", () => {
  const reads: [string, (operations: Operations) => Promise<unknown>][] = [
    ["jobs", (operations) => operations.listJobs({ limit: 20 })],
    ["filtered jobs", (operations) => operations.listJobs({ state: "failed", error: "REFUSED", queue: "mail", limit: 1 })],
    ["the next page", (operations) => operations.listJobs({ before: jobs[4] ?? "", limit: 2 })],
    ["the oldest first", (operations) => operations.listJobs({ order: "oldest", after: jobs[0] ?? "", limit: 2 })],
    [
      "jobs by time",
      (operations) =>
        operations.listJobs({ createdAfter: new Date("2020-01-01"), createdBefore: new Date("2099-01-01"), limit: 5 }),
    ],
    ["a job", (operations) => operations.getJob(jobs[5] ?? "")],
    ["a job's log", (operations) => operations.logsAfter(jobs[5] ?? "")],
    ["the end of a job's log", (operations) => operations.lastLogs(jobs[5] ?? "", 1)],
    ["a job's steps", (operations) => operations.listSteps(jobs[5] ?? "")],
    ["an explanation", (operations) => operations.explainJob(jobs[5] ?? "")],
    [
      "failed groups",
      (operations) => operations.listFailedGroups({ failedAfter: new Date("2020-01-01"), failedBefore: new Date("2099-01-01") }),
    ],
    ["queues", (operations) => operations.listQueues()],
    ["tasks", (operations) => operations.listTasks()],
    ["workers", (operations) => operations.listWorkers()],
    ["the overview", (operations) => operations.readOverview()],
    ["a preview of cancelling", (operations) => operations.cancelJobs({ queue: "mail" }, { preview: true })],
    ["a preview of retrying", (operations) => operations.retryJobs({ error: "refused" }, { preview: true })],
    ["the doctor's checks", async (operations) => (await operations.diagnose()).map(({ check }) => check).toSorted()],
    [
      "a preview of a schedule",
      (operations) => operations.previewSchedule({ every: "90m" }, { startsAt: new Date("2030-01-01T00:00:00Z"), count: 3 }),
    ],
  ];
  it.each(reads)("%s", async (_name, read) => {
    expect(await read(there())).toEqual(await read(here()));
  });

  it("schedules and workflows", async () => {
    const at = new Date("2030-01-01T00:00:00Z");
    const made = await there().schedule("nightly", "other", {
      cron: "30 2 * * *",
      timezone: "Europe/Berlin",
      startsAt: at,
      payload: { a_at: "x" },
    });
    expect(made).toEqual(await here().getSchedule("nightly"));
    expect(made).toMatchObject({ nextAt: expect.any(Date), startsAt: at, payload: { a_at: "x" } });
    expect(await there().listSchedules({})).toEqual([made]);
    expect(await there().disableSchedule("nightly")).toBe(true);
    expect(await there().disableSchedule("nightly")).toBe(false);
    expect(await there().enableSchedule("nightly")).toEqual(made.nextAt);
    const ran = await there().runSchedule("nightly");
    expect(ran).toMatch(/^\d+$/);
    // A job is returned with the schedule that enqueued it, also in its explanation.
    const job = await there().getJob(ran);
    expect(job).toEqual(await here().getJob(ran));
    expect(job).toMatchObject({ schedule: "nightly", scheduleDueAt: expect.any(Date) });
    expect(await there().getJob(jobs[0] ?? "")).toMatchObject({ schedule: null, scheduleDueAt: null });
    const due = job.scheduleDueAt?.toISOString();
    expect((await remote(["explain", ran])).stdout).toContain(`Schedule 'nightly' enqueued it for ${due}.`);
    expect((await remote(["job", ran])).stdout).toContain(`nightly, due ${due}`);
    expect((await remote(["explain", jobs[5] ?? ""])).stdout).not.toContain("Schedule");
    expect(await there().listScheduleRuns("nightly", { limit: 5 })).toEqual(
      await here().listScheduleRuns("nightly", { limit: 5 }),
    );
    await there().unschedule("nightly");
    expect(await there().listSchedules({})).toEqual([]);
    const steps = { a: { task: "other" }, b: { task: "other", dependsOn: ["a"] } };
    const id = await there().startWorkflow("w", steps, { deadline: at });
    expect(await there().getWorkflow(id)).toEqual(await here().getWorkflow(id));
    expect(await there().listWorkflows({ name: "w" })).toEqual(await here().listWorkflows({ name: "w" }));
    expect(await there().cancelWorkflow(id, "wrong")).toBe("cancelled");
    await there().retryWorkflow(id, {});
    expect(await here().getWorkflow(id)).toMatchObject({ state: "running" });
  });

  it("batches", async () => {
    const list = [{ task: "other", payload: { n: 1 }, runAt: "2030-01-01T00:00:00Z" }, { task: "notify/email" }];
    const options = {
      description: "mails",
      callback: { task: "other", payload: { last_one: true } },
      correlationId: "of a batch",
    };
    const id = await there().enqueueBatch(list, options);
    const batch = await there().getBatch(id);
    expect(batch).toEqual(await here().getBatch(id));
    expect(batch).toMatchObject({ state: "running", description: "mails", total: 2, correlationId: "of a batch" });
    expect(await here().getJob(batch.callbackJobId ?? "")).toMatchObject({ task: "other", payload: { last_one: true } });
    const second = await here().enqueueBatch([{ task: "other" }], { tenant: "acme" });
    expect((await there().listBatches({})).map((one) => one.id)).toEqual([second, id]);
    expect(await there().listBatches({ tenant: "acme" })).toEqual(await here().listBatches({ tenant: "acme" }));
    expect((await there().listBatches({ before: second, limit: 1 })).map((one) => one.id)).toEqual([id]);
    expect(await there().listBatches({ state: "failed" })).toEqual([]);
    const acme = await makeToken(database, "operator", "acme");
    expect((await there(acme).listBatches({})).map((one) => one.id)).toEqual([second]);
    await expect(there(acme).getBatch(id)).rejects.toMatchObject({ code: "LW404" });
    await expect(there().getBatch("x")).rejects.toMatchObject({ code: "LW400" });
    for (const operations of [there(), here()]) {
      await expect(operations.enqueueBatch([], {})).rejects.toMatchObject({ code: "LW400" });
      await expect(operations.enqueueBatch([{ task: "othr" }], {})).rejects.toMatchObject({ code: "LW404" });
    }
  });

  it("legwork batch starts, lists and shows batches, with and without a server", async () => {
    const direct = async (...parameters: string[]): Promise<CliResult> =>
      await legwork(parameters, { DATABASE_URL: database.url });
    for (const run of [async (...parameters: string[]) => await remote(parameters), direct]) {
      const started = await run(
        "batch",
        "start",
        '[{"task": "other"}, {"task": "other"}]',
        "--description",
        "month's end",
        "--json",
      );
      const { id } = JSON.parse(started.stdout);
      expect(started).toMatchObject({ code: 0, stderr: "" });
      const { rows } = await database.pool.query("select id from legwork.jobs where correlation_id = $1 order by id", [
        `batch:${id}`,
      ]);
      await database.pool.query(
        "select graphile_worker.complete_jobs(array[$1]::bigint[]), graphile_worker.permanently_fail_jobs(array[$2]::bigint[], 'broken')",
        [rows[0].id, rows[1].id],
      );
      const shown = (await run("batch", "show", id)).stdout;
      expect(shown).toContain(`Batch ${id}  month's end  failed  100%`);
      expect(shown).toContain("2: 1 completed, 1 failed");
      expect(shown).toContain(`legwork jobs --correlation-id batch:${id}`);
      expect((await run("batch", "list", "--state", "failed", "--limit", "1")).stdout).toMatch(
        /month's end.*failed.*1\/2, 1 not.*100%/,
      );
    }
    expect(await direct("batch", "start", "[")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("The jobs are not valid JSON"),
    });
    expect(await remote(["batch", "start", "[]"])).toMatchObject({ code: 2, stderr: expect.stringContaining("LW400") });
    expect(await direct("batch", "show", "999999")).toMatchObject({ code: 1, stderr: expect.stringContaining("LW404") });
    const piped = await legwork(["batch", "start", "-"], { DATABASE_URL: database.url }, '[{"task": "other"}]');
    expect(piped).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\n$/) });
  });
});

describe("through a server, a command", () => {
  it("enqueues, cancels, retries, discards, pauses, limits and signals", async () => {
    const at = new Date("2030-01-01T00:00:00Z");
    const id = await there().enqueue("other", { n: 1 }, { priority: -3, runAt: at, uniqueFor: "1h", dependsOn: [jobs[3] ?? ""] });
    expect(await here().getJob(id)).toMatchObject({ priority: -3, runAt: at, payload: { n: 1 } });
    expect(await there().sendSignal(id, "approval", { by: "ada" })).toBe(true);
    expect(await there().sendSignal(id, "approval", undefined)).toBe(false);
    expect(await there().cancelJob(id, "wrong")).toBe("cancelled");
    expect(await here().getJob(id)).toMatchObject({ error: "Cancelled by legwork up: wrong" });
    expect(await there().retryJob(jobs[0] ?? "")).toBe("pending");
    expect(await there().retryJobs({ task: "notify/email" }, { preview: false })).toEqual([jobs[1]]);
    const more = await here().enqueue("other", { user: { id: 42 } }, {});
    expect((await there().listJobs({ payload: "user.id:42", limit: 5 })).map((job) => job.id)).toEqual([more]);
    expect(await there().setPriority(more, -4)).toBe(0);
    const again = await there().rerunJob(id, { payload: { n: 2 } });
    expect(await here().getJob(again)).toMatchObject({ parentId: id, payload: { n: 2 } });
    expect(await there().cancelJobs({ ids: [more] }, { preview: false, reason: "all wrong" })).toEqual([more]);
    await there().pauseQueue("mail", "host is down");
    expect(await there().resumeQueue("mail")).toBe(true);
    expect(await there().resumeQueue("mail")).toBe(false);
    await there().pauseTask("other");
    expect(await there().resumeTask("other")).toBe(true);
    await there().limitRate(5, "1m", { task: "other", key: "n" });
    await there().limitConcurrency(3, { queue: "mail" });
    expect(await there().dropLimit("rate", { task: "other", key: "n" })).toBe(true);
    expect(await there().dropLimit("rate", { task: "other", key: "n" })).toBe(false);
    await there().resetLimits("other");
    await there().emergencyStop("help");
    expect(await there().resumeAll()).toBe(true);
    expect(await there().resumeAll()).toBe(false);
    const audit = await database.pool.query(
      "select distinct surface from legwork.audit_log where operation in ('cancel_job', 'pause', 'limit')",
    );
    expect(audit.rows).toEqual([{ surface: "rest" }]);
  });

  it("changes all matching jobs, in one request per chunk", async () => {
    await database.pool.query(
      `select legwork.enqueue_many((select jsonb_agg('{"task": "other", "correlation_id": "many"}'::jsonb) from generate_series(1, 2500)))`,
    );
    expect(await there().cancelJobs({ correlationId: "many" }, { preview: false })).toHaveLength(2_500);
    expect(await here().listJobs({ correlationId: "many", state: "pending", limit: 5 })).toEqual([]);
  });

  it("cannot do what its token does not allow", async () => {
    const token = await makeToken(database, "viewer");
    await expect(there(token).emergencyStop()).rejects.toMatchObject({ code: "LW403" });
  });
});

describe("the command line with a server", () => {
  it("prints the same as with the database", async () => {
    for (const parameters of [
      ["jobs", "--state", "completed", "--json"],
      ["job", jobs[5] ?? "", "--json"],
      ["queues", "--json"],
    ]) {
      const [asked, read] = await Promise.all([remote(parameters), legwork(parameters, { DATABASE_URL: database.url })]);
      expect(asked).toEqual(read);
      expect(asked).toMatchObject({ code: 0, stdout: expect.stringMatching(/"(runAt|pausedAt)"/) });
    }
    const added = await remote(["add", "other", '{"n": 1}']);
    expect(added).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^\d+\n$/) });
  });

  it.each([
    ["a missing token", ["jobs"], { LEGWORK_TOKEN: "" }, 1, "requires a token"],
    ["an invalid token", ["jobs"], { LEGWORK_TOKEN: "x" }, 1, "(LW401)"],
    ["an unreachable server", ["jobs", "--url", "http://127.0.0.1:1"], {}, 1, "does not respond"],
    ["an invalid URL", ["jobs", "--url", "127.0.0.1:4400"], {}, 2, "--url is not the URL of a server. (LW514)"],
    [
      "a URL with a password, which is not printed",
      ["jobs", "--url", "http://u:hunter2@127.0.0.1:1"],
      {},
      2,
      "--url is not the URL",
    ],
    ["an unknown task", ["add", "notify/emial"], {}, 1, "Did you mean 'notify/email'?"],
    ["a filter without an index", ["jobs", "--priority", "1"], {}, 2, "(LW400)"],
  ])("reports %s in one line, with the usual exit code", async (_name, parameters, environment, code, message) => {
    const result = await remote(parameters, environment);
    expect(result).toMatchObject({ code, stdout: "" });
    expect(result.stderr).toContain(message);
    expect(result.stderr).not.toMatch(/\n\s+at |hunter2/);
  });

  it("uses the database with --database-url, whatever LEGWORK_URL says", async () => {
    const result = await remote(["overview", "--json", "--database-url", database.url], { LEGWORK_URL: "http://127.0.0.1:1" });
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
    expect(await complete("completion", "")).toEqual(["bash", "zsh", "fish", "--help"]);
  });

  it.each(["zsh", "fish"])("prints every command for %s", async (shell) => {
    const { stdout, code } = await legwork(["completion", shell]);
    expect(code).toBe(0);
    for (const command of ["up", "worker", "jobs", "explain", "top"]) expect(stdout).toContain(command);
  });
});

it("the old name of a command names the new one", async () => {
  const { code, stderr } = await legwork(["top", "--every", "5s"], { DATABASE_URL: database.url });
  expect(code).toBe(2);
  expect(stderr).toContain("`top` is now `overview --watch 5s`. The old name will be removed in version 0.2.0.");
  expect(stderr).toContain("In a program, use `legwork overview --json`.");
});

it("--watch prints a list repeatedly", async () => {
  const child = spawn(process.execPath, ["bin/legwork.js", "overview", "--json", "--watch", "100ms"], {
    env: { PATH: process.env.PATH ?? "", DATABASE_URL: database.url },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let printed = "";
  child.stdout.on("data", (chunk) => (printed += String(chunk)));
  await until("the list is printed three times", () => (printed.match(/"running"/g) ?? []).length >= 3);
});
