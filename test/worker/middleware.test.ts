import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createLegwork } from "../../src/embed.ts";
import { defineMiddleware, type Middleware } from "../../src/jobs/middleware.ts";
import { enqueue as bareEnqueue, enqueueMany as bareEnqueueMany, defineTask } from "../../src/index.ts";
import type { JobRow } from "../../src/jobs/read-jobs.ts";
import { WorkerEventHub } from "../../src/jobs/worker-events.ts";
import { openTestKit } from "../../src/testing/test-kit.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { add, end } from "../support/isolated.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver } from "../support/worker.ts";

const database = testDatabase();

/** A configuration file, which threads and processes load too. Each middleware adds to the result, so that the test can see what it did. */
const CONFIG = `
import { threadId } from "node:worker_threads";
export default { middleware: [
  { name: "outer", attempt: async ({ job, session, sql }, next) => {
    session["app.tenant"] = job.tenant ?? "none";
    const rest = await next({ from: "outer", both: 1 });
    return { outer: job.task, pid: process.pid, threadId, rest };
  } },
  { name: "inner", attempt: async ({ payload, values, signal }, next) => {
    const act = payload.act;
    if (act === "before") throw new RangeError("before the task");
    if (act === "hang") await new Promise(() => undefined);
    if (act === "skip") return undefined;
    if (act === "answer") return "answered";
    if (act === "nothing") { await next(); return undefined; }
    if (act === "forget") { void next(); return undefined; }
    if (act === "swallow") { await next().catch(() => undefined); return undefined; }
    if (act === "replace") return await next().catch((error) => "instead of " + error.message);
    if (act === "wrap") { try { return await next(); } catch (error) { throw new Error("wrapped", { cause: error }); } }
    if (act === "twice") { await next(); return await next(); }
    const rest = await next({ inner: Object.keys(values), both: 2 });
    if (act === "after") throw new RangeError("after the task");
    return { inner: rest };
  } },
] };`;

const BODY = `async (payload, { values, sql, step }) => {
  if (payload.fail) throw new Error("the task failed");
  if (payload.act === "wrap") await step.waitFor("go");
  const [row] = await sql\`select current_setting('app.tenant', true) as tenant, current_setting('legwork.surface', true) as surface\`;
  return { values, ...row };
}`;
const defined = (options: string): string =>
  `import { defineTask } from "legwork"; export default defineTask({ retry: { attempts: 1 }, ${options} run: ${BODY} });`;

const TASKS = {
  "plain.ts": "export default async (payload, { values }) => ({ values, payload });",
  "defined.ts": defined(""),
  "thread.ts": defined(`isolate: "thread",`),
  "process.ts": defined(`isolate: "process",`),
  "hasty.ts": defined(`timeout: "100ms", grace: "100ms",`),
  "checked.ts": `import { defineTask } from "legwork"; import { z } from "zod";
    export default defineTask({ payload: z.object({ act: z.string(), n: z.number() }), run: async () => "ran" });`,
};

describe("middleware around attempts", () => {
  let tasks: string;
  let file: string;
  let middleware: readonly Middleware[];
  beforeAll(async () => {
    await database.pool.query("create table seen (at serial, what text)");
  });
  const start = async (): Promise<void> => {
    tasks = await directoryOf(TASKS);
    const directory = await directoryOf({});
    file = join(directory, "legwork.config.mjs");
    await writeFile(file, CONFIG);
    ({ middleware } = (await import(file)).default);
    await workerOver(database.url, [tasks], { middleware, middlewareFile: file });
  };

  it("runs in order around plain, defined and isolated tasks, in the thread or process of the task, and adds values and settings", async () => {
    await start();
    const ids = await Promise.all(
      ["plain", "defined", "thread", "process"].map((task) => add(database, task, {}, "tenant => 'acme', max_attempts => 1")),
    );
    const [plain, own, thread, process_] = await Promise.all(ids.map((id) => end(database, id)));
    const values = { from: "outer", both: 2, inner: ["from", "both"] };
    expect(plain).toMatchObject({ state: "completed", result: { rest: { inner: { values } } } });
    for (const [job, task] of [
      [own, "defined"],
      [thread, "thread"],
      [process_, "process"],
    ] as const) {
      expect(job?.result).toMatchObject({ outer: task, rest: { inner: { values, tenant: "acme", surface: "worker" } } });
    }
    const [here, sameHere, inThread, inProcess] = [plain, own, thread, process_].map(
      (job) => (job as JobRow).result as { pid: number; threadId: number },
    );
    expect(sameHere).toMatchObject({ pid: process.pid, threadId: here?.threadId });
    expect([inThread?.pid, inThread?.threadId === here?.threadId]).toEqual([process.pid, false]);
    expect(inProcess?.pid).not.toBe(process.pid);
    // The settings apply to one attempt only: another tenant's attempt has its own, and no setting stays on a connection.
    const other = await end(database, await add(database, "defined"));
    expect(other.result).toMatchObject({ rest: { inner: { tenant: "none" } } });
  });

  it("fails the attempt with the error that it throws, is subject to the timeout, and may not skip the task without a result", async () => {
    await start();
    const outcome = async (task: string, payload: object): Promise<string> => {
      const { state, error, result } = await end(database, await add(database, task, payload));
      const rest = (result as { rest?: unknown } | null)?.rest;
      return `${state}: ${error ?? (typeof rest === "string" ? rest : JSON.stringify(rest))}`;
    };
    const results = Object.fromEntries(
      await Promise.all(
        Object.entries({
          before: outcome("defined", { act: "before" }),
          "before, in a thread": outcome("thread", { act: "before" }),
          after: outcome("defined", { act: "after" }),
          hang: outcome("hasty", { act: "hang" }),
          skip: outcome("defined", { act: "skip" }),
          answer: outcome("defined", { act: "answer" }),
          nothing: outcome("checked", { act: "nothing", n: 1 }),
          forget: outcome("checked", { act: "forget", n: 1 }),
          twice: outcome("checked", { act: "twice", n: 1 }),
          swallow: outcome("defined", { act: "swallow", fail: true }),
          replace: outcome("defined", { act: "replace", fail: true }),
          unchecked: outcome("checked", { act: "replace" }),
        }).map(async ([name, promise]) => [name, await promise] as const),
      ),
    );
    expect(results).toEqual({
      before: "failed: before the task",
      "before, in a thread": "failed: before the task",
      after: "failed: after the task",
      hang: "failed: The task took longer than 100 ms.",
      skip: "failed: The middleware 'inner' neither called next nor returned a result, so the task did not run.",
      answer: "completed: answered",
      nothing: "completed: ran",
      forget: "completed: ran",
      twice: "failed: The middleware 'inner' called next twice.",
      swallow: "failed: the task failed",
      replace: "completed: instead of the task failed",
      unchecked: expect.stringMatching(/^completed: instead of The payload does not match task 'checked'/) as string,
    });
    // A job that waits is returned to the queue, even if middleware wraps the error that ends its attempt.
    const waiting = await add(database, "defined", { act: "wrap" });
    await until("the job waits", async () => {
      const { rows } = await database.pool.query("select from legwork.steps where job_id = $1 and state = 'waiting'", [waiting]);
      return rows.length > 0;
    });
    await database.pool.query("select legwork.send_signal($1, 'go')", [waiting]);
    expect(await end(database, waiting)).toMatchObject({ state: "completed", attempts: 1 });
  });

  it("is rejected for isolated tasks that cannot load it, and if it has an unknown part, for which the nearest name is suggested", async () => {
    await start();
    await expect(workerOver(database.url, [tasks], { middleware })).rejects.toMatchObject({
      code: "LW514",
      message: expect.stringMatching(
        /^Task '(thread|process)' runs in its own \1, which cannot load the middleware 'outer'/,
      ) as string,
    });
    const wrong = (given: unknown): string | undefined => {
      try {
        defineMiddleware(given as Middleware);
        return undefined;
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(wrong({ name: "a", attemptt: () => undefined })).toBe(
      "defineMiddleware: unknown property 'attemptt'. Did you mean 'attempt'?",
    );
    expect(wrong({ name: "a", on: { job_faild: () => undefined } })).toBe(
      "defineMiddleware: on: Unknown event 'job_faild'. Did you mean 'job_failed'?",
    );
    expect(wrong({ attempt: 1 })).toBe("defineMiddleware: name: expected text.");
    expect(wrong(() => undefined)).toBe("defineMiddleware: expected the return value of defineMiddleware.");
    await expect(
      createLegwork({ databaseUrl: database.url, log: testLog, middleware: [{ nam: "x" } as never] }),
    ).rejects.toMatchObject({
      code: "LW514",
      message: "middleware: number 1: unknown property 'nam'. Did you mean 'name'?",
    });
  });
});

describe("middleware around enqueueing", () => {
  const tenant = defineMiddleware({
    name: "tenant",
    enqueue: (job, { parent }) => {
      if ((job.payload as { refuse?: boolean }).refuse === true) throw new Error("refused");
      return {
        ...job,
        correlationId: parent === undefined ? "request-7" : `from-${parent.task}`,
        payload: { ...(job.payload as object), by: ["tenant"] },
      };
    },
  });
  const second = defineMiddleware({
    name: "second",
    enqueue: async (job) => {
      const payload = job.payload as { by: string[]; odd?: boolean };
      if (payload.odd === true) return { ...job, maxAttemts: 3 } as never;
      payload.by.push("second");
      return undefined;
    },
  });

  it("can change and reject jobs that are enqueued through the tree, transactions, functions and tasks, but no others", async () => {
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "child"}]')`);
    const legwork = await createLegwork({
      databaseUrl: database.url,
      log: testLog,
      worker: true,
      middleware: [tenant, second],
      tasks: [
        await directoryOf({
          "parent.ts": `import { defineTask } from "legwork";
            export default defineTask({ run: async (_payload, { enqueue }) => await enqueue("child") });`,
          "other.ts": "export default async () => {};",
        }),
      ],
    });
    onTestFinished(() => legwork.stop());
    const child = defineTask({ name: "child", run: () => undefined });
    const client = await database.pool.connect();
    const ids: Record<string, string> = {};
    try {
      ids.tree = await legwork.jobs.enqueue("child", { n: 1 });
      ids.outcome = (await legwork.jobs.enqueueWithOutcome("child")).id;
      [ids.many = ""] = await legwork.jobs.enqueueMany([{ task: "child" }]);
      ids.with = await legwork.with(client).jobs.enqueue(child);
      ids.bare = await bareEnqueue(client, "child");
      [ids.bareMany = ""] = await bareEnqueueMany(client, [{ task: "child" }]);
      ids.task = await child.enqueue(client);
      await legwork.batches.enqueue([{ task: "child" }]);
      ids.batch = (await database.pool.query("select max(id)::text as id from legwork.jobs where task = 'child'")).rows[0].id;
      const parent = await legwork.jobs.enqueue("parent");
      ids.inTask = String((await end(database, parent)).result);
      await expect(legwork.jobs.enqueue("child", { refuse: true })).rejects.toThrow("refused");
      await expect(legwork.jobs.enqueueMany([{ task: "child" }, { task: "child", payload: { refuse: true } }])).rejects.toThrow(
        "refused",
      );
      await expect(legwork.jobs.enqueue("child", { odd: true })).rejects.toThrow(
        "The middleware 'second' returned a job with the unknown option 'maxAttemts'. Did you mean 'maxAttempts'?",
      );
      const { rows } = await database.pool.query(
        "select id::text, correlation_id, payload from legwork.jobs where task = 'child' order by id",
      );
      const jobs = new Map(rows.map(({ id, ...job }) => [id, job]));
      expect(rows).toHaveLength(Object.keys(ids).length);
      for (const [name, id] of Object.entries(ids)) {
        expect([name, jobs.get(id)]).toEqual([
          name,
          {
            correlation_id: name === "inTask" ? "from-parent" : "request-7",
            payload: { ...(name === "tree" ? { n: 1 } : {}), by: ["tenant", "second"] },
          },
        ]);
      }
      const bySql = await add(database, "child");
      expect((await legwork.jobs.get(bySql)).payload).toEqual({});
      await legwork.stop();
      const later = await bareEnqueue(client, "child");
      const {
        rows: [job],
      } = await database.pool.query("select payload from legwork.jobs where id = $1", [later]);
      expect(job.payload).toEqual({});
    } finally {
      client.release();
    }
  });

  it("runs in the test kit too", async () => {
    const kitDatabase = await openTestKit({
      databaseUrl: database.url,
      middleware: [
        tenant,
        defineMiddleware({ name: "values", attempt: async (_context, next) => await next({ clock: "stopped" }) }),
      ],
      tasks: { kit: defineTask({ run: (payload, { values }) => ({ payload, values }) }) },
    });
    onTestFinished(() => kitDatabase.close());
    expect((await kitDatabase.runTask("kit", { n: 1 })).result).toEqual({
      payload: { n: 1, by: ["tenant"] },
      values: { clock: "stopped" },
    });
  });
});

describe("worker events", () => {
  it("report what happens to jobs and to the worker, and a listener that fails has no effect on them", async () => {
    const events = new WorkerEventHub(testLog);
    const heard: [string, unknown][] = [];
    const record = (name: string) => (event: unknown) => void heard.push([name, event]);
    const worker = await workerOver(
      database.url,
      {
        "good.ts": "export default async () => 'good';",
        "bad.ts": `import { defineTask } from "legwork";
          export default defineTask({ queue: "q", retry: { attempts: 2, backoff: "fixed", delay: "10ms" }, redact: ["secret"], run: ({ secret }) => { throw new RangeError("bad " + secret); } });`,
        "later.ts": `import { defineTask, Snooze } from "legwork";
          export default defineTask({ run: () => { throw new Snooze("1h", "not now"); } });`,
      },
      {
        events,
        middleware: [
          {
            name: "listeners",
            on: {
              worker_ready: record("worker_ready"),
              job_started: () => {
                throw new Error("a listener");
              },
              job_completed: async () => Promise.reject(new Error("another listener")),
            },
          },
        ],
      },
    );
    for (const name of ["job_started", "job_completed", "job_failed", "job_put_back", "worker_stopped"] as const)
      events.on(name, record(name));
    events.once("job_started", record("once"));
    const good = await add(database, "good");
    await end(database, good);
    const bad = await add(database, "bad", { secret: "hunter2" }, "max_attempts => 2");
    await end(database, bad);
    const later = await add(database, "later");
    await until("the job was returned to the queue", () => heard.some(([name]) => name === "job_put_back"));
    const { id } = worker;
    await worker.stop();
    const named = (name: string): unknown[] => heard.filter(([other]) => other === name).map(([, event]) => event);
    expect(named("worker_ready")).toEqual([{ worker: id, tasks: ["bad", "good", "later"], concurrency: 4 }]);
    expect(named("once")).toEqual([{ job: expect.objectContaining({ id: good, task: "good", queue: "default", attempts: 1 }) }]);
    expect(named("job_started")).toHaveLength(4);
    expect(named("job_completed")).toEqual([{ job: expect.objectContaining({ id: good }), durationMs: expect.any(Number) }]);
    expect(named("job_failed")).toEqual([
      {
        job: expect.objectContaining({ id: bad, task: "bad", queue: "q", attempts: 1 }),
        error: expect.objectContaining({ name: "RangeError", message: "bad [redacted]" }),
        durationMs: expect.any(Number),
        final: false,
        retryAt: expect.any(Date),
      },
      expect.objectContaining({ job: expect.objectContaining({ id: bad, attempts: 2 }), final: true, retryAt: undefined }),
    ]);
    expect(named("job_put_back")).toEqual([{ job: expect.objectContaining({ id: later }), reason: "not now" }]);
    expect(named("worker_stopped")).toEqual([{ worker: id, givenBack: [] }]);
    expect(() => events.on("job_complete" as never, () => undefined)).toThrow(
      "Unknown event 'job_complete'. Did you mean 'job_completed'?",
    );
  });
});
