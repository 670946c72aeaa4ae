import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { testDatabase } from "../support/database.ts";
import { plainJobs } from "../support/plain-jobs.ts";
import { empty } from "../support/empty.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver, workerProcess } from "../support/worker.ts";

const database = testDatabase();
const { add, state } = plainJobs(database);

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.failed_attempts, legwork_private.worker_processes");
  await database.pool.query("create table if not exists gates (name text primary key)");
  await empty(database.pool, "gates");
});

/** A task that runs until the gate with its name is opened in the database, and ignores its abort signal. */
const GATED = `
  import { defineTask } from "legwork";
  export default defineTask({ run: async ({ gate }, { sql, signal }) => {
    while ((await sql\`select from gates where name = \${gate}\`).length === 0) await new Promise((wake) => setTimeout(wake, 20));
    return { aborted: signal.aborted };
  } });`;

const open = (gate: string): Promise<unknown> => database.pool.query("insert into gates values ($1)", [gate]);

const SCRIPT = fileURLToPath(new URL("../../bin/legwork.js", import.meta.url));

const exitOf = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => child.once("exit", (code) => resolve(code)));

describe("stopping a worker", () => {
  it("lets running jobs finish, and returns to the queue the jobs that were only fetched", async () => {
    const worker = await workerOver(
      database.url,
      { "gated.ts": GATED },
      { concurrency: 1, localQueueSize: 5, shutdownTimeout: 20_000 },
    );
    const first = await add("gated", { gate: "a" });
    await until("the job runs", async () => (await state(first)) === "running");
    const second = await add("gated", { gate: "b" });
    const stopping = worker.stop();
    await open("a");
    expect(await stopping).toEqual([]);
    expect(await getJob(database.pool, first)).toMatchObject({ state: "completed", result: { aborted: false } });
    expect(await getJob(database.pool, second)).toMatchObject({ state: "pending", attempts: 0 });
    expect((await database.pool.query("select from legwork.workers")).rows).toEqual([]);
  });

  it("returns jobs that do not finish in time to the queue, without using an attempt", async () => {
    const worker = await workerOver(database.url, { "gated.ts": GATED }, { shutdownTimeout: 500 });
    const id = await add("gated", { gate: "never" }, ", max_attempts => 1");
    await until("the job runs", async () => (await state(id)) === "running");
    expect(await worker.stop()).toEqual([id]);
    expect(await getJob(database.pool, id)).toMatchObject({ state: "pending", attempts: 0 });
    await open("never");
  });

  it("returns a job that responds to its abort signal to the queue at once, without using an attempt", async () => {
    const worker = await workerOver(
      database.url,
      {
        "heeds.ts": `
          import { defineTask } from "legwork";
          export default defineTask({ run: (_payload, { signal }) => new Promise((_done, fail) => signal.addEventListener("abort", () => fail(signal.reason))) });`,
      },
      { shutdownTimeout: 1_000 },
    );
    const id = await add("heeds", {}, ", max_attempts => 1, queue_name => 's'");
    await until("the job runs", async () => (await state(id)) === "running");
    await worker.stop();
    expect(await getJob(database.pool, id)).toMatchObject({ state: "pending", attempts: 0, attempt_list: [] });
    expect(
      (await database.pool.query("select from graphile_worker._private_job_queues where locked_by is not null")).rows,
    ).toEqual([]);
  });

  it("by SIGTERM ends the process with code 0 once the running job has completed", async () => {
    const child = await workerProcess(database, await directoryOf({ "gated.ts": GATED }), {}, { stderr: "pipe" });
    let log = "";
    child.stderr?.on("data", (data) => (log += String(data)));
    const id = await add("gated", { gate: "a" });
    await until("the job runs", async () => (await state(id)) === "running");
    const exit = exitOf(child);
    child.kill("SIGTERM");
    await until("the log names the job", () => log.includes(`Stopping when 1 running job (${id}) has finished`));
    await open("a");
    expect(await exit).toBe(0);
    expect(await state(id)).toBe("completed");
  });

  it("by SIGTERM with --once ends the process within the shutdown timeout and returns the running job to the queue", async () => {
    const tasks = await directoryOf({ "gated.ts": GATED });
    const id = await add("gated", { gate: "never" }, ", max_attempts => 1");
    const child = spawn(
      process.execPath,
      [SCRIPT, "worker", "--once", "--tasks", tasks, "--crontab", "/dev/null", "--shutdown-timeout", "500ms"],
      { env: { ...process.env, DATABASE_URL: database.url }, stdio: ["ignore", "ignore", "pipe"] },
    );
    onTestFinished(() => void child.kill("SIGKILL"));
    let log = "";
    child.stderr.on("data", (data) => (log += String(data)));
    await until("the job runs", async () => (await state(id)) === "running", 20_000);
    const exit = exitOf(child);
    child.kill("SIGTERM");
    expect(await exit).toBe(0);
    expect(log).toContain("The worker has stopped. 1 unfinished job returned to the queue.");
    expect(await getJob(database.pool, id)).toMatchObject({ state: "pending", attempts: 0 });
  });

  it.each([[[]], [["--once"]]])(
    "by SIGTERM during its start (%j) ends the process with code 0 before it has taken a job",
    async (flags) => {
      const tasks = await directoryOf({
        "gated.ts": GATED,
        // Loading this file takes as long as the test needs.
        "slow.mjs": `
        import { existsSync, writeFileSync } from "node:fs";
        writeFileSync(new URL("loading", import.meta.url), "");
        while (!existsSync(new URL("go-on", import.meta.url))) await new Promise((wake) => setTimeout(wake, 20));
        export default async () => {};`,
      });
      const id = await add("slow");
      const child = spawn(process.execPath, [SCRIPT, "worker", ...flags, "--tasks", tasks, "--crontab", "/dev/null"], {
        env: { ...process.env, DATABASE_URL: database.url },
        stdio: ["ignore", "ignore", "pipe"],
      });
      onTestFinished(() => void child.kill("SIGKILL"));
      let log = "";
      child.stderr.on("data", (data) => (log += String(data)));
      await until("the tasks are being loaded", () => existsSync(join(tasks, "loading")), 20_000);
      const exit = exitOf(child);
      child.kill("SIGTERM");
      await until("the signal was received", () => log.includes("SIGTERM received. Stopping before startup is complete."));
      await writeFile(join(tasks, "go-on"), "");
      expect(await exit).toBe(0);
      expect(log).not.toContain("worker_ready");
      expect(await getJob(database.pool, id)).toMatchObject({ attempts: 0, attempt_list: [] });
      expect((await database.pool.query("select from legwork.workers")).rows).toEqual([]);
    },
  );

  it("by a second process signal does not wait for the running job, which runs elsewhere within 10 s", async () => {
    const tasks = await directoryOf({ "gated.ts": GATED });
    const child = await workerProcess(database, tasks);
    const id = await add("gated", { gate: "a" });
    await until("the job runs", async () => (await state(id)) === "running");
    const exit = exitOf(child);
    child.kill("SIGTERM");
    child.kill("SIGINT");
    expect(await exit).toBe(1);
    await open("a");
    await workerProcess(database, tasks);
    await until("the job has completed", async () => (await state(id)) === "completed", 10_000);
  });
});

it("a rejected promise that a task does not await does not stop the worker", async () => {
  const tasks = await directoryOf({
    "careless.mjs": "export default async () => { void Promise.reject(new Error('forgotten')); };",
    "fine.mjs": "export default async () => {};",
  });
  const child = await workerProcess(database, tasks);
  await add("careless", {});
  await until(
    "the careless job has ended",
    async () => (await database.pool.query("select from legwork_private.finished_jobs")).rows.length === 1,
  );
  const fine = await add("fine", {});
  await until("another job has completed", async () => (await state(fine)) === "completed");
  expect(child.exitCode).toBe(null);
});

describe("a worker that is killed", () => {
  it("has its jobs run elsewhere within 10 s, with the lost attempts recorded", async () => {
    const tasks = await directoryOf({ "gated.ts": GATED });
    const victim = await workerProcess(database, tasks);
    const ids = [
      await add("gated", { gate: "a" }, ", max_attempts => 1"),
      await add("gated", { gate: "a" }, ", queue_name => 's'"),
    ];
    await until("the worker's heartbeat reports the jobs as running", async () => {
      const { rows } = await database.pool.query("select from legwork.workers where pid = $1 and running @> $2::bigint[]", [
        victim.pid,
        ids,
      ]);
      return rows.length > 0;
    });
    await workerProcess(database, tasks);
    victim.kill("SIGKILL");
    const killed = performance.now();
    await open("a");
    for (const id of ids) await until("the job has completed", async () => (await state(id)) === "completed", 10_000);
    expect(performance.now() - killed).toBeLessThan(10_000);
    for (const id of ids) {
      expect((await getJob(database.pool, id)).attempt_list).toMatchObject([
        { state: "failed", error_name: "WorkerLost" },
        { state: "completed" },
      ]);
    }
  });

  it("that was only suspended does not complete jobs that other workers have taken over", async () => {
    const tasks = await directoryOf({ "gated.ts": GATED.replace("{ aborted: signal.aborted }", "{ pid: process.pid }") });
    const sleeper = await workerProcess(database, tasks);
    const id = await add("gated", { gate: "a" });
    await until("the job runs", async () => (await state(id)) === "running");
    const other = await workerProcess(database, tasks);
    sleeper.kill("SIGSTOP");
    await until(
      "the other worker runs the job",
      async () => {
        const { rows } = await database.pool.query(
          "select from legwork.workers where pid = $1 and running @> array[$2::bigint]",
          [other.pid, id],
        );
        return rows.length > 0;
      },
      12_000,
    );
    // The suspended worker continues, finds the gate open, and tries to complete its job. Meanwhile, the other worker is suspended.
    other.kill("SIGSTOP");
    await open("a");
    sleeper.kill("SIGCONT");
    await until("the first worker is idle", async () => {
      const { rows } = await database.pool.query(
        "select from legwork.workers where pid = $1 and running = '{}' and seen_at > clock_timestamp() - interval '2 seconds'",
        [sleeper.pid],
      );
      return rows.length > 0;
    });
    expect(await state(id)).toBe("running");
    other.kill("SIGCONT");
    await until("the job has completed", async () => (await state(id)) === "completed");
    expect((await getJob(database.pool, id)).result).toEqual({ pid: other.pid });
  });
});
