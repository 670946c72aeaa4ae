import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JobHelpers } from "graphile-worker";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { cancelJob } from "../../src/jobs/cancel-job.ts";
import { defineTask } from "../../src/jobs/define-task.ts";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { sendSignal } from "../../src/jobs/send-signal.ts";
import { DatabaseClock } from "../../src/worker/clock.ts";
import type { IsolatedResult } from "../../src/worker/isolate/isolated-result.ts";
import { Isolation } from "../../src/worker/isolate/isolation.ts";
import { JobOutput } from "../../src/worker/job-output.ts";
import { loadTasks } from "../../src/worker/load-tasks.ts";
import { Run } from "../../src/worker/run-task.ts";
import { startWorker, type Worker } from "../../src/worker/worker.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver, workerProcess } from "../support/worker.ts";

const database = testDatabase();

const KINDS = ["thread", "process"] as const;

/** What the tasks of the first tests may use (MB): little, so that it is soon used up. */
const MEMORY = { thread: 96, process: 250 };

async function add(task: string, payload: unknown = {}, options = "max_attempts => 1"): Promise<string> {
  const { rows } = await database.pool.query(`select legwork.enqueue($1, $2, ${options}) as id`, [task, JSON.stringify(payload)]);
  return rows[0].id;
}

async function end(id: string, timeout = 20_000) {
  return await until(
    `job ${id} ends`,
    async () => {
      const job = await getJob(database.pool, id);
      return ["completed", "failed", "cancelled"].includes(job.state) ? job : undefined;
    },
    timeout,
  );
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function task(kind: string, body: string, options = ""): string {
  const isolate = kind === "here" ? "" : `isolate: "${kind}",`;
  return `
  import { threadId } from "node:worker_threads";
  import { defineTask, Discard, PayloadError, RetryAfter, SignalTimeout, Snooze, StepError } from "legwork";
  import { z } from "zod";
  class HttpError extends Error {}
  export default defineTask({ ${isolate} ${options} run: async (payload, context) => {
    const { sql, enqueue, step, log, progress, signal, job } = context;
    ${body}
  } });`;
}

/** A worker for several tests, whose threads and processes are warm from the second one on. */
function workerForAll(files: Record<string, string>, options: { isolateMemory?: number } = {}): void {
  let worker: Worker;
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "legwork-isolate-"));
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, `${name}.ts`), text);
    worker = await startWorker({
      databaseUrl: database.url,
      log: testLog,
      tasks: [directory],
      concurrency: 4,
      localQueueSize: 4,
      shutdownTimeout: 2_000,
      ...options,
    });
  });
  afterAll(async () => {
    await worker.stop();
    await rm(directory, { recursive: true });
  });
}

describe.each(KINDS)("a task in a %s", (kind) => {
  workerForAll(
    {
      loop: task(kind, "for (;;);", 'timeout: "200ms", grace: "100ms",'),
      cancelled: task(kind, "progress(1); for (;;);", 'grace: "100ms",'),
      neighbour: task(kind, "return 'fine';"),
      here: task("here", "return 'fine';"),
      exits: task(kind, "process.exit(3);"),
      uncaught: task(
        kind,
        "setTimeout(() => { throw new Error(`boom ${payload.secret}`); }); await new Promise(() => {});",
        'redact: ["secret"],',
      ),
      forgets: task(
        kind,
        "void Promise.reject(new Error('forgotten')); await new Promise((wake) => setTimeout(wake, 20)); return 1;",
      ),
      grows: task(
        kind,
        kind === "thread"
          ? "const kept = []; for (;;) kept.push(Array.from({ length: 100_000 }, (_, n) => ({ n })));"
          : "const kept = []; for (;;) { kept.push(Buffer.alloc(10_000_000, 1)); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5); }",
      ),
      enqueues: task(
        kind,
        "const inside = await sql.transaction(async (sql, client) => [await enqueue('neighbour'), await enqueue('neighbour', {}, {}, client)]); return [await enqueue('neighbour'), ...inside];",
      ),
      connects: task(
        kind,
        "const [{ n }] = await sql`select count(*)::int as n from pg_stat_activity where application_name = 'legwork isolated tasks' and datname = current_database()`; return n;",
      ),
      steps: task(
        kind,
        "const at = await step.run('once', () => Math.random()); const answer = await step.waitFor('go'); return { at, answer };",
      ),
      late: task(
        kind,
        "try { await step.waitFor('never', { timeout: 1 }); } catch (error) { if (error instanceof SignalTimeout) return 'late'; throw error; }",
      ),
      speaks: task(
        kind,
        "log.info({ n: 1, secret: payload.secret }, `hello ${payload.secret}`); log.child({ bound: 2 }).warn('again'); progress(40, 'half of ' + payload.secret); progress({ percent: 50 }); return payload.secret;",
        'redact: ["secret"], payload: z.object({ secret: z.string().transform((text) => text.toUpperCase()) }),',
      ),
      heeds: task(
        kind,
        "progress(1); await new Promise((_, fail) => signal.addEventListener('abort', () => fail(signal.reason)));",
      ),
    },
    { isolateMemory: MEMORY[kind] },
  );

  const isUnderWay = (id: string): Promise<unknown> =>
    until("the task runs", async () => (await getJob(database.pool, id)).progress !== null, 20_000);

  it("that loops for ever ends with its timeout, and its neighbours do not notice", async () => {
    const loop = await add("loop");
    const others = await Promise.all([add("neighbour"), add("here"), add("neighbour")]);
    for (const id of others) expect(await end(id)).toMatchObject({ state: "completed", result: "fine", attempts: 1 });
    const job = await end(loop);
    expect(job).toMatchObject({ state: "failed", attempts: 1, error: "The task took longer than 200 ms." });
    expect(job.attempt_list[0]).toMatchObject({ error_name: "TimeoutError" });
  });

  it("that loops for ever ends when its job is cancelled", async () => {
    const id = await add("cancelled");
    await isUnderWay(id);
    await cancelJob(database.pool, id);
    expect(await end(id)).toMatchObject({ state: "cancelled" });
  });

  it("hears of its job's cancellation", async () => {
    const id = await add("heeds");
    await isUnderWay(id);
    await cancelJob(database.pool, id);
    const job = await end(id);
    expect(job).toMatchObject({ state: "cancelled" });
    expect(job.attempt_list[0]).toMatchObject({ error_name: "JobCancelled" });
  });

  it.each([
    ["exits", {}, `The task's ${kind} exited with code 3.`],
    ["uncaught", { secret: "confidential" }, `The task's ${kind} ended by an error that nothing caught: boom [redacted]`],
    ["grows", {}, `The task's ${kind} used more than ${MEMORY[kind]} MB of ${kind === "thread" ? "JavaScript heap" : "memory"}.`],
  ])("that ends its child fails with the reason: %s", async (name, payload, message) => {
    const id = await add(name, payload);
    const neighbours = await Promise.all([add("neighbour"), add("here")]);
    const job = await end(id);
    expect(job).toMatchObject({ state: "failed", attempts: 1, error: message });
    expect(job.attempt_list[0]).toMatchObject({ error_name: "IsolateCrashed" });
    for (const neighbour of neighbours) expect(await end(neighbour)).toMatchObject({ state: "completed", attempts: 1 });
  });

  it("outlives a promise that it forgot", async () => {
    expect(await end(await add("forgets"))).toMatchObject({ state: "completed", result: 1 });
  });

  it("enqueues, also within its own transaction, for its tenant and as the parent", async () => {
    const parent = await end(await add("enqueues", {}, "tenant => 'acme', correlation_id => 'order-1'"));
    expect(parent).toMatchObject({ state: "completed" });
    for (const id of parent.result as string[]) {
      expect(await getJob(database.pool, id)).toMatchObject({ tenant: "acme", correlation_id: "order-1", parent_id: parent.id });
    }
  });

  it("opens its one connection when it first uses it", async () => {
    await database.pool.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'legwork isolated tasks' and datname = current_database()",
    );
    await end(await add("neighbour"));
    expect(await end(await add("connects"))).toMatchObject({ state: "completed", result: 1 });
  });

  it("has steps that are done once, and waits for a signal without being there", async () => {
    const id = await add("steps");
    await until("it waits", async () => (await getJob(database.pool, id)).state !== "running" && (await waits(id)));
    await sendSignal(database.pool, id, "go", { n: 1 });
    const job = await end(id);
    const { rows } = await database.pool.query("select result from legwork.steps where job_id = $1 and name = 'once'", [id]);
    expect(job).toMatchObject({ state: "completed", attempts: 1, result: { at: rows[0].result, answer: { n: 1 } } });
  });

  it("catches a SignalTimeout", async () => {
    expect(await end(await add("late"))).toMatchObject({ state: "completed", result: "late" });
  });

  it("logs and reports as any other, and shows nothing that it redacts", async () => {
    const job = await end(await add("speaks", { secret: "confidential" }));
    expect(job).toMatchObject({ state: "completed", result: "[redacted]" });
    const lines = await until("what it said is kept", async () => {
      const { rows } = await database.pool.query(
        "select level, message, fields from legwork.logs where job_id = $1 order by id",
        [job.id],
      );
      return rows.length === 2 ? rows : undefined;
    });
    expect(lines).toEqual([
      { level: "info", message: "hello [redacted]", fields: { n: 1, secret: "[redacted]" } },
      { level: "warn", message: "again", fields: { bound: 2 } },
    ]);
    await until("its progress is kept", async () => {
      const { progress, progress_message: message } = await getJob(database.pool, job.id);
      return Number(progress) === 50 && message === "half of [redacted]";
    });
  });
});

async function waits(id: string): Promise<boolean> {
  const { rows } = await database.pool.query("select from legwork.steps where job_id = $1 and state = 'waiting'", [id]);
  return rows.length > 0;
}

describe("a process that crashes", () => {
  workerForAll({
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
  ])("fails its attempt alone: %s %j", async (name, payload, signal) => {
    const [id, neighbour] = await Promise.all([add(name, payload), add("here")]);
    expect(await end(id)).toMatchObject({ state: "failed", error: `The task's process exited with signal ${signal}.` });
    expect(await end(neighbour)).toMatchObject({ state: "completed" });
  });

  it("does not confuse its worker by what it sends over its channel", async () => {
    expect(await end(await add("babbles"))).toMatchObject({ state: "completed", result: "said" });
  });

  it("is left alone by the signals that a terminal sends to all processes", async () => {
    expect(await end(await add("interrupted"))).toMatchObject({ state: "completed", result: "fine" });
  });
});

/** What a task may do, and what is seen of it must be the same wherever it runs. */
const BEHAVIOURS: Record<string, string> = {
  nothing: "",
  null: "return null;",
  "a number": "return 1.5;",
  "an object with a Date": "return { at: new Date(0), un: undefined, list: [1, , 'x'] };",
  "a NUL": "return 'a\\u0000b\\ud800';",
  "a large text": "return 'x'.repeat(300_000);",
  "a bigint": "return 1n;",
  "a circle": "const it = {}; it.it = it; return it;",
  "a function": "return () => 1;",
  "an error": "throw new Error('plain');",
  "a text thrown": "throw 'text';",
  "a code": "throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });",
  "a cause with a code":
    "throw new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code: 'ECONNREFUSED' }) });",
  "a class": "throw new HttpError('503');",
  "a cause of a class": "throw new Error('outer', { cause: new AggregateError([new HttpError('503')], 'all') });",
  "a name": "throw Object.assign(new Error('named'), { name: 'HttpError' });",
  "a DOMException": "throw new DOMException('too late', 'TimeoutError');",
  "a frozen error": "throw Object.freeze(new Error('frozen'));",
  "a circle of causes": "const error = new Error('round'); error.cause = error; throw error;",
  "a database error": "await sql`select 1 / 0`;",
  Discard: "throw new Discard('never');",
  RetryAfter: "throw new RetryAfter('2h', 'later');",
  "RetryAfter a Date": "throw new RetryAfter(new Date('2100-01-01T00:00:00Z'), 'later');",
  Snooze: "throw new Snooze('2h');",
  PayloadError: "throw new PayloadError('bad');",
  StepError: "await step.run('a', () => 1); await step.run('a', () => 1);",
  "a step that sleeps": "await step.sleep('night', '2h');",
};

describe("what a task does is seen the same wherever it runs", () => {
  const retry = 'retry: { attempts: 3, backoff: "fixed", delay: "1h", on: ["ECONNREFUSED", "HttpError", "TimeoutError"] },';
  const places = ["here", ...KINDS] as const;
  const entries = Object.entries(BEHAVIOURS);
  workerForAll(
    Object.fromEntries(
      entries.flatMap(([, body], index) => places.map((place) => [`${place}_${index}`, task(place, body, retry)])),
    ),
  );

  it.each(entries.map(([name], index) => ({ name, index })))("$name", async ({ index }) => {
    const ids = await Promise.all(places.map((place) => add(`${place}_${index}`, {}, "max_attempts => 3")));
    const [here, ...elsewhere] = await Promise.all(
      ids.map((id) =>
        until(
          "the attempt is over",
          async () => {
            const job = await getJob(database.pool, id);
            if (job.state === "pending" || job.state === "running") return undefined;
            // Enqueued this very millisecond.
            if (job.state === "scheduled" && job.run_at.getTime() < Date.now() + 60_000) return undefined;
            return {
              state: job.state,
              attempts: job.attempts,
              result: job.result,
              error: job.error,
              wait: Math.round((job.run_at.getTime() - Date.now()) / 60_000),
              list: job.attempt_list.map(({ state, error_name, error_message, error_code, error_stack }) => ({
                state,
                error_name,
                error_message,
                error_code,
                stack: error_stack?.split("\n")[0],
              })),
            };
          },
          20_000,
        ),
      ),
    );
    for (const other of elsewhere) expect(other).toEqual(here);
  });
});

describe.each(KINDS)("the %s pool", (kind) => {
  it("replaces a child after so many jobs", async () => {
    await workerOver(
      database.url,
      { "who.ts": task(kind, "return `${process.pid}.${threadId}`;") },
      { concurrency: 1, isolateJobs: 2 },
    );
    const children: unknown[] = [];
    for (let n = 0; n < 4; n++) children.push((await end(await add("who"))).result);
    expect(children[1]).toBe(children[0]);
    expect(children[2]).not.toBe(children[0]);
    expect(children[3]).toBe(children[2]);
  });

  it("ends a child at a stop, and the job is given back without using an attempt", async () => {
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
    const id = await add("loop");
    const pid = await until("it runs", async () => (await getJob(database.pool, id)).progress_message, 20_000);
    await worker.stop();
    if (kind === "process") expect(isAlive(Number(pid))).toBe(false);
    expect(await getJob(database.pool, id)).toMatchObject({ state: "pending", attempts: 0 });
    await database.pool.query("delete from graphile_worker._private_jobs");
  });
});

it("a process ends with its worker, even in an endless loop when the worker is killed", async () => {
  const worker = await workerProcess(
    database,
    await directoryOf({
      "loop.ts": task(
        "process",
        "progress(1, String(process.pid)); await new Promise((wake) => setTimeout(wake, 400)); for (;;);",
      ),
    }),
  );
  const id = await add("loop");
  const pid = Number(await until("it runs", async () => (await getJob(database.pool, id)).progress_message, 20_000));
  expect(isAlive(pid)).toBe(true);
  worker.kill("SIGKILL");
  await until("the process is gone", () => !isAlive(pid));
});

it.each(KINDS)("a %s ends when it has had nothing to do for a while", async (kind) => {
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
  await until("it is gone", () => isolation.size === 0 && (kind === "thread" || !isAlive(Number(returned.json))));
});

it("is one of two kinds", () => {
  expect(() => defineTask({ isolate: "fork" as "thread", run: () => undefined })).toThrow(
    expect.objectContaining({ code: "LW515", message: 'defineTask: isolate: expected "thread" or "process", not "fork".' }),
  );
});
