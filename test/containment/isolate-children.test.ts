import type { JobHelpers } from "graphile-worker";
import { describe, expect, it, onTestFinished } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { DatabaseClock } from "../../src/worker/clock.ts";
import type { IsolatedResult } from "../../src/worker/isolate/isolated-result.ts";
import { Isolation } from "../../src/worker/isolate/isolation.ts";
import { JobOutput } from "../../src/worker/attempt/job-output.ts";
import { loadTasks } from "../../src/worker/load-tasks.ts";
import { Run } from "../../src/worker/attempt/run.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { add, end, isAlive, KINDS, task, workerForAll } from "../support/isolated.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver, workerProcess } from "../support/worker.ts";

const database = testDatabase();

describe("a process that crashes", () => {
  workerForAll(database, {
    signals: task("process", "process.kill(process.pid, payload.signal); await new Promise(() => {});"),
    here: task("here", "return 'fine';"),
    interrupted: task(
      "process",
      "process.kill(process.pid, 'SIGINT'); process.kill(process.pid, 'SIGTERM'); await new Promise((wake) => setTimeout(wake, 20)); return 'fine';",
    ),
    babbles: task(
      "process",
      "for (const said of ['ready', null, 1, {}, { type: 'line', level: 'no' }, { type: 'done' }]) process.send?.(said); await new Promise((wake) => setTimeout(wake, 20)); return 'said';",
    ),
    aborts: task("process", "process.abort();"),
  });

  it.each([
    ["signals", { signal: "SIGSEGV" }, "SIGSEGV"],
    ["signals", { signal: "SIGKILL" }, "SIGKILL"],
    ["aborts", {}, "SIGABRT"],
  ])("fails only its own attempt: %s %j", async (name, payload, signal) => {
    const [id, neighbor] = await Promise.all([add(database, name, payload), add(database, "here")]);
    expect(await end(database, id)).toMatchObject({ state: "failed", error: `The task's process exited with signal ${signal}.` });
    expect(await end(database, neighbor)).toMatchObject({ state: "completed" });
  });

  it("cannot confuse its worker with messages on its channel", async () => {
    expect(await end(database, await add(database, "babbles"))).toMatchObject({ state: "completed", result: "said" });
  });

  it("ignores the process signals that a terminal sends to all processes", async () => {
    expect(await end(database, await add(database, "interrupted"))).toMatchObject({ state: "completed", result: "fine" });
  });
});

describe.each(KINDS)("the %s pool", (kind) => {
  it("replaces a child after the configured number of jobs", async () => {
    await workerOver(
      database.url,
      { "who.ts": task(kind, "return `${process.pid}.${threadId}`;") },
      { concurrency: 1, isolateJobs: 2 },
    );
    const children: unknown[] = [];
    for (let n = 0; n < 4; n++) children.push((await end(database, await add(database, "who"))).result);
    expect(children[1]).toBe(children[0]);
    expect(children[2]).not.toBe(children[0]);
    expect(children[3]).toBe(children[2]);
  });

  it("ends a child when the worker stops, and the job returns to the queue without using an attempt", async () => {
    const worker = await workerOver(
      database.url,
      {
        "loop.ts": task(
          kind,
          "await sql`select pg_notify('x', '')`; progress(process.pid % 100, String(process.pid)); for (;;);",
        ),
      },
      { shutdownTimeout: 500 },
    );
    const id = await add(database, "loop");
    const pid = await until("the job runs", async () => (await getJob(database.pool, id)).progress_message, 20_000);
    await worker.stop();
    expect(kind === "process" && isAlive(Number(pid))).toBe(false);
    expect(await getJob(database.pool, id)).toMatchObject({ state: "pending", attempts: 0 });
    await database.pool.query("delete from graphile_worker._private_jobs");
  });
});

it("a process ends with its worker, even in an endless loop after the worker was killed", async () => {
  const worker = await workerProcess(
    database,
    await directoryOf({
      "loop.ts": task(
        "process",
        "progress(1, String(process.pid)); await new Promise((wake) => setTimeout(wake, 400)); for (;;);",
      ),
    }),
  );
  const id = await add(database, "loop");
  const pid = Number(await until("the job runs", async () => (await getJob(database.pool, id)).progress_message, 20_000));
  expect(isAlive(pid)).toBe(true);
  worker.kill("SIGKILL");
  await until("the process has ended", () => !isAlive(pid));
});

it.each(KINDS)("a %s ends when it has been idle for a while", async (kind) => {
  const tasks = await loadTasks([await directoryOf({ "noop.ts": task(kind, "return process.pid;") })], testLog);
  const clock = new DatabaseClock();
  const output = new JobOutput({ pool: database.pool, log: testLog });
  const isolation = new Isolation({
    databaseUrl: database.url,
    log: testLog,
    clock,
    output,
    concurrency: 1,
    memory: 512,
    jobs: 10,
    idle: 50,
  });
  onTestFinished(() => isolation.stop());
  const noop = tasks.get("noop");
  if (noop === undefined) throw new Error("The task was not loaded.");
  const helpers = { job: { id: "1", payload: {}, flags: null, attempts: 1 } } as unknown as JobHelpers;
  const run = new Run(noop, helpers, { pool: database.pool, log: testLog, clock, output, lease: undefined, isolation }, 0);
  const returned = (await run.execute({}, undefined)) as IsolatedResult;
  expect(isolation.size).toBe(1);
  await until("the child has ended", () => isolation.size === 0 && (kind === "thread" || !isAlive(Number(returned.json))));
});
