import { describe, expect, it } from "vitest";
import { cancelJob } from "../../src/jobs/cancel-job.ts";
import { defineTask } from "../../src/jobs/define-task.ts";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { sendSignal } from "../../src/jobs/send-signal.ts";
import { testDatabase } from "../support/database.ts";
import { add, end, KINDS, task, workerForAll } from "../support/isolated.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerProcess } from "../support/worker.ts";

const database = testDatabase();

/** The memory limit for the tasks of the first tests (MB), low so that they reach it quickly. */
const MEMORY = { thread: 96, process: 250 };

describe.each(KINDS)("a task in a %s", (kind) => {
  workerForAll(
    database,
    {
      loop: task(kind, "for (;;);", 'timeout: "200ms", grace: "100ms",'),
      cancelled: task(kind, "progress(1); for (;;);", 'grace: "100ms",'),
      neighbor: task(kind, "return 'fine';"),
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
        "const inside = await sql.transaction(async (sql, client) => [await enqueue('neighbor'), await enqueue('neighbor', {}, {}, client)]); return [await enqueue('neighbor'), ...inside];",
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

  it("that loops forever ends at its timeout, and other jobs are not affected", async () => {
    const loop = await add(database, "loop");
    const others = await Promise.all([add(database, "neighbor"), add(database, "here"), add(database, "neighbor")]);
    for (const id of others) expect(await end(database, id)).toMatchObject({ state: "completed", result: "fine", attempts: 1 });
    const job = await end(database, loop);
    expect(job).toMatchObject({ state: "failed", attempts: 1, error: "The task took longer than 200 ms." });
    expect(job.attempt_list[0]).toMatchObject({ error_name: "TimeoutError" });
  });

  it("that loops forever ends when its job is cancelled", async () => {
    const id = await add(database, "cancelled");
    await isUnderWay(id);
    await cancelJob(database.pool, id);
    expect(await end(database, id)).toMatchObject({ state: "cancelled" });
  });

  it("is aborted when its job is cancelled", async () => {
    const id = await add(database, "heeds");
    await isUnderWay(id);
    await cancelJob(database.pool, id);
    const job = await end(database, id);
    expect(job).toMatchObject({ state: "cancelled" });
    expect(job.attempt_list[0]).toMatchObject({ error_name: "JobCancelled" });
  });

  it.each([
    ["exits", {}, `The task's ${kind} exited with code 3.`],
    ["uncaught", { secret: "confidential" }, `The task's ${kind} ended with an uncaught error: boom [redacted]`],
    ["grows", {}, `The task's ${kind} used more than ${MEMORY[kind]} MB of ${kind === "thread" ? "JavaScript heap" : "memory"}.`],
  ])("that ends its child fails with the reason: %s", async (name, payload, message) => {
    const id = await add(database, name, payload);
    const neighbors = await Promise.all([add(database, "neighbor"), add(database, "here")]);
    const job = await end(database, id);
    expect(job).toMatchObject({ state: "failed", attempts: 1, error: message });
    expect(job.attempt_list[0]).toMatchObject({ error_name: "IsolateCrashed" });
    for (const neighbor of neighbors) expect(await end(database, neighbor)).toMatchObject({ state: "completed", attempts: 1 });
  });

  it("survives the rejection of a promise that it does not await", async () => {
    expect(await end(database, await add(database, "forgets"))).toMatchObject({ state: "completed", result: 1 });
  });

  it("enqueues, also within its own transaction, with its tenant and as the parent", async () => {
    const parent = await end(database, await add(database, "enqueues", {}, "tenant => 'acme', correlation_id => 'order-1'"));
    expect(parent).toMatchObject({ state: "completed" });
    for (const id of parent.result as string[]) {
      expect(await getJob(database.pool, id)).toMatchObject({ tenant: "acme", correlation_id: "order-1", parent_id: parent.id });
    }
  });

  it("opens its only connection when it first uses it", async () => {
    await database.pool.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'legwork isolated tasks' and datname = current_database()",
    );
    await end(database, await add(database, "neighbor"));
    expect(await end(database, await add(database, "connects"))).toMatchObject({ state: "completed", result: 1 });
  });

  it("has steps that run once, and waits for a signal without occupying the child", async () => {
    const id = await add(database, "steps");
    await until("the job waits", async () => (await getJob(database.pool, id)).state !== "running" && (await waits(id)));
    await sendSignal(database.pool, id, "go", { n: 1 });
    const job = await end(database, id);
    const { rows } = await database.pool.query("select result from legwork.steps where job_id = $1 and name = 'once'", [id]);
    expect(job).toMatchObject({ state: "completed", attempts: 1, result: { at: rows[0].result, answer: { n: 1 } } });
  });

  it("catches a SignalTimeout", async () => {
    expect(await end(database, await add(database, "late"))).toMatchObject({ state: "completed", result: "late" });
  });

  it("logs and reports progress like any other task, and shows no redacted values", async () => {
    const job = await end(database, await add(database, "speaks", { secret: "confidential" }));
    expect(job).toMatchObject({ state: "completed", result: "[redacted]" });
    const lines = await until("its log lines are stored", async () => {
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
    await until("its progress is recorded", async () => {
      const { progress, progress_message: message } = await getJob(database.pool, job.id);
      return Number(progress) === 50 && message === "half of [redacted]";
    });
  });
});

async function waits(id: string): Promise<boolean> {
  const { rows } = await database.pool.query("select from legwork.steps where job_id = $1 and state = 'waiting'", [id]);
  return rows.length > 0;
}

it("isolate accepts only thread and process", () => {
  expect(() => defineTask({ isolate: "fork" as "thread", run: () => undefined })).toThrow(
    expect.objectContaining({ code: "LW515", message: 'defineTask: isolate: expected "thread" or "process", not "fork".' }),
  );
});

it(
  "a thread that runs out of memory in native code does not end its worker",
  async () => {
    const tasks = await directoryOf({
      "parses.ts": task(
        "thread",
        "const text = JSON.stringify(Array.from({ length: 200_000 }, (_, n) => ({ n }))); const kept = []; for (;;) kept.push(JSON.parse(text));",
      ),
    });
    const worker = await workerProcess(database, tasks, { LEGWORK_ISOLATE_MEMORY: String(MEMORY.thread) });
    const job = await end(database, await add(database, "parses"), 40_000);
    expect(job).toMatchObject({
      state: "failed",
      error: `The task's thread used more than ${MEMORY.thread} MB of JavaScript heap.`,
    });
    expect([worker.exitCode, worker.signalCode]).toEqual([null, null]);
  },
  scaled(60_000),
);
