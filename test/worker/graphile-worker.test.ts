import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Logger, makeWorkerUtils, runOnce } from "graphile-worker";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { startWorker, type Worker } from "../../src/worker/worker.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { plainJobs } from "../support/plain-jobs.ts";
import { until } from "../support/until.ts";

const database = testDatabase();
const { add, ended } = plainJobs(database);

/** A logger for graphile-worker that discards everything. */
const quiet = new Logger(() => () => {});

const ISOLATED = (isolate: string): string => `
  import { defineTask } from "legwork";
  export default defineTask({
    isolate: "${isolate}",
    run: async (payload: unknown) => (payload as number[]).map(async (n) => { if (n > 1) throw new RangeError("too many"); return n; }),
  });`;

const HALVES = (
  condition: string,
): string => `export default async (entries, { job: { attempts } }) => entries.map(async ({ n, fails = 0 }) => {
  if (${condition}) throw Object.assign(new TypeError("not yet " + n), { code: "EHALF" });
  return n / 2;
});`;

const FILES: Record<string, string> = {
  // Tasks are often wrapped by functions that add properties to their helpers.
  "wait.mjs": `export default async (_payload, helpers) => {
    const { abortPromise, query } = { ...helpers, db: {} };
    await query("notify waiting");
    await abortPromise;
  };`,
  "ignore.mjs": `export default async (_payload, helpers) => {
    void helpers.abortPromise;
    const ended = new Promise((resolve) => helpers.abortSignal.addEventListener("abort", resolve));
    await helpers.query("select legwork.cancel_job($1)", [helpers.job.id]);
    await ended;
    // Gives the rejected promise time to affect the process.
    await new Promise(setImmediate);
  };`,
  "fine.sh": "#!/bin/sh\nexec 0<&-\nexit 0\n",
  "wrong.sh": "#!/bin/sh\nexec 0<&-\nexit 3\n",
  "killed.sh": "#!/bin/sh\nkill -9 $$\n",
  "broken.sh": "#!/no/such/interpreter\n",
  "read.sh":
    '#!/bin/sh\ntest "$(cat)" = \'{"payload":{"n":1}}\' && test "$GRAPHILE_WORKER_TASK_IDENTIFIER" = read && test -n "$GRAPHILE_WORKER_JOB_ID"\n',
  "slowly.mjs": `export default async (entries) => entries.map(async (n) => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return n / 2;
  });`,
  "nothing.mjs": "export default async (entries) => entries.map(async () => undefined);",
  "other.mjs": "export default async (entries) => [entries.length];",
  "later.mjs": HALVES("fails >= attempts"),
  "halves.mjs": HALVES("fails > 0"),
  "policy.ts": `
    import { defineTask } from "legwork";
    export default defineTask({
      retry: { attempts: 5, on: ["EHALF"] },
      run: async (payload: unknown) => (payload as string[]).map(async (code) => { throw Object.assign(new Error(code), { code }); }),
    });`,
  "thread.ts": ISOLATED("thread"),
  "process.ts": ISOLATED("process"),
  "second.mjs": `export default async (_payload, { job, query }) => { if (job.attempts === 1) throw new Error("not yet"); };`,
};

let directory: string;
let worker: Worker;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "legwork-files-"));
  for (const [path, content] of Object.entries(FILES)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), content);
    if (path.endsWith(".sh")) await chmod(join(directory, path), 0o755);
  }
  worker = await startWorker({
    databaseUrl: database.url,
    log: testLog,
    tasks: [directory],
    concurrency: 4,
    localQueueSize: 4,
    shutdownTimeout: 2_000,
  });
});

afterAll(async () => {
  await worker.stop();
  await rm(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
});

/** Makes a job's next attempt due once this attempt has failed. Resolves to the job's payload. */
async function hasFailed(id: string, attempt: number): Promise<unknown> {
  return await until(`attempt ${attempt} has failed`, async () => {
    const { rows } = await database.pool.query(
      "update graphile_worker._private_jobs set run_at = now() where id = $1 and attempts = $2 and locked_at is null returning payload",
      [id, attempt],
    );
    return rows[0]?.payload;
  });
}

describe("helpers.abortPromise", () => {
  it("rejects with the reason when the job is cancelled", async () => {
    const client = await database.pool.connect();
    try {
      await client.query("listen waiting");
      const waiting = new Promise((resolve) => client.once("notification", resolve));
      const id = await add("wait");
      await waiting;
      await database.pool.query("select legwork.cancel_job($1, 'not needed')", [id]);
      expect(await ended(id)).toMatchObject({ state: "cancelled", error: "Cancelled by postgres: not needed" });
      expect((await getJob(database.pool, id)).attempt_list).toMatchObject([{ error_name: "JobCancelled" }]);
    } finally {
      await client.query("unlisten *");
      client.release();
    }
  });

  it("has no effect on the process when it is rejected and not awaited", async () => {
    const rejections: unknown[] = [];
    const note = (reason: unknown): void => void rejections.push(reason);
    process.on("unhandledRejection", note);
    try {
      expect(await ended(await add("ignore"))).toMatchObject({ state: "completed" });
      expect(rejections).toEqual([]);
    } finally {
      process.off("unhandledRejection", note);
    }
  });
});

describe("an executable", () => {
  it("that does not read its input completes or fails depending on its exit code", async () => {
    // The payload is larger than a pipe's buffer, so that it cannot be written completely before the executable ends.
    const payload = { text: "x".repeat(200_000) };
    const [fine, wrong, killed, broken] = await Promise.all(
      ["fine", "wrong", "killed", "broken"].map(async (name) => await ended(await add(name, payload, ", max_attempts => 1"))),
    );
    expect(fine).toMatchObject({ state: "completed" });
    expect(wrong).toMatchObject({ state: "failed", error: "Process exited with code 3" });
    expect(killed).toMatchObject({ state: "failed", error: "Process was terminated by SIGKILL" });
    expect(broken).toMatchObject({ state: "failed", error: expect.stringContaining("ENOENT") });
  });

  it("gets the payload on its input and its job in its environment", async () => {
    expect(await ended(await add("read", { n: 1 }, ", max_attempts => 1"))).toMatchObject({ state: "completed" });
  });
});

describe("a batch job", () => {
  it("that completes has the results of its entries, and runs until the slowest entry has ended", async () => {
    const job = await ended(await add("slowly", [2, 4]));
    expect(job).toMatchObject({ state: "completed", payload: [2, 4], result: [1, 2] });
    expect(job.finished_at!.getTime() - job.started_at!.getTime()).toBeGreaterThanOrEqual(45);
    expect(await ended(await add("nothing", [1]))).toMatchObject({ state: "completed", result: null });
    expect(await ended(await add("other", [1, 2]))).toMatchObject({ state: "completed", result: [2] });
  });

  it("whose entries fail runs only the failed ones again, and keeps its original payload and the results of all attempts", async () => {
    const entries = [{ n: 2 }, { n: 4, fails: 1 }, { n: 6 }, { n: 8, fails: 2 }];
    const id = await add("later", entries, ", max_attempts => 3");
    expect(await hasFailed(id, 1)).toEqual([entries[1], entries[3]]);
    expect(await hasFailed(id, 2)).toEqual([entries[3]]);
    expect(await ended(id)).toMatchObject({ state: "completed", payload: entries, result: [1, 2, 3, 4], attempts: 3 });
    expect((await getJob(database.pool, id)).attempt_list).toMatchObject([
      { error_name: "BatchFailure", error_code: null, error_message: "Batch failures:\nnot yet 4\nnot yet 8" },
      { error_name: "BatchFailure", error_message: "Batch failures:\nnot yet 8" },
      { state: "completed" },
    ]);
    const { rows } = await database.pool.query("select from legwork_private.job_entries");
    expect(rows).toEqual([]);
  });

  it("that permanently fails keeps its original payload and the results of its completed entries, and a retry runs the others", async () => {
    const entries = [{ n: 2, fails: 1 }, { n: 4 }];
    const id = await add("halves", entries, ", max_attempts => 1");
    expect(await ended(id)).toMatchObject({ state: "failed", payload: entries, result: [null, 2] });
    await database.pool.query(`update graphile_worker._private_jobs set payload = '[{"n": 2, "fails": 0}]' where id = $1`, [id]);
    await database.pool.query("select legwork.retry_job($1)", [id]);
    await until("the job has completed", async () => (await getJob(database.pool, id)).state === "completed");
    expect(await getJob(database.pool, id)).toMatchObject({ payload: entries, result: [1, 2] });
  });

  it("passes its entries' errors to the retry policy", async () => {
    expect(await ended(await add("policy", ["OTHER"]))).toMatchObject({ state: "failed", attempts: 1 });
    const id = await add("policy", ["EHALF"]);
    await until("the job waits for its next attempt", async () => (await getJob(database.pool, id)).state === "retrying");
  });

  it("that a plain worker runs keeps its original payload", async () => {
    const id = await add("plain", [1, 2], ", max_attempts => 1");
    await runOnce({
      pgPool: database.pool,
      noHandleSignals: true,
      logger: quiet,
      taskList: {
        plain: async (payload) =>
          (payload as number[]).map(async (n) => {
            if (n > 1) throw new Error("too many");
          }),
      },
    });
    expect(await ended(id)).toMatchObject({ state: "failed", payload: [1, 2], result: null });
  });

  it.each(["thread", "process"])("in a %s is recorded in the same way", async (task) => {
    expect(await ended(await add(task, [1]))).toMatchObject({ state: "completed", result: [1] });
    const id = await add(task, [1, 2], ", max_attempts => 1");
    expect(await ended(id)).toMatchObject({
      state: "failed",
      payload: [1, 2],
      result: [1, null],
      error: "Batch failures:\ntoo many",
    });
    expect((await getJob(database.pool, id)).attempt_list).toMatchObject([{ error_name: "BatchFailure" }]);
  });
});

describe("graphile-worker's cleanup GC_TASK_IDENTIFIERS", () => {
  it("keeps the tasks of live Legwork workers, whose next jobs run, and deletes others", async () => {
    const gone = await add("unused");
    await database.pool.query("select graphile_worker.complete_jobs(array[$1::bigint])", [gone]);
    const utils = await makeWorkerUtils({ pgPool: database.pool, logger: quiet });
    await utils.cleanup({ tasks: ["GC_TASK_IDENTIFIERS"] });
    const { rows } = await database.pool.query("select name from legwork.tasks where name in ('unused', 'other') order by 1");
    expect(rows).toEqual([{ name: "other" }]);
    expect(await ended(await add("other", [1]))).toMatchObject({ state: "completed" });
  });

  it("does not prevent a registered task from being enqueued", async () => {
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "told"}]')`);
    await database.pool.query("delete from graphile_worker._private_tasks where identifier = 'told'");
    const { rows: many } = await database.pool.query(`select legwork.enqueue_many('[{"task": "told"}]') as id`);
    await database.pool.query("delete from graphile_worker._private_jobs");
    await database.pool.query("delete from graphile_worker._private_tasks where identifier = 'told'");
    const { rows } = await database.pool.query("select legwork.enqueue('told') as id");
    expect(await getJob(database.pool, String(many[0]?.id))).toMatchObject({ task: "told" });
    expect(await getJob(database.pool, String(rows[0]?.id))).toMatchObject({ task: "told" });
  });
});

it("an error about a limit on graphile-worker's queue_name says that this is a serial key", async () => {
  await add("mail/send", {}, ", queue_name => 'mail'");
  await expect(database.pool.query("select legwork.limit_concurrency(1, queue => 'mail')")).rejects.toMatchObject({
    code: "LW404",
    hint: expect.stringContaining(
      "'mail' is a serial key, which graphile-worker calls queue_name: its jobs already run one at a time.",
    ),
  });
});

it("a job that completes in its second attempt has no error, but its first attempt has one", async () => {
  const id = await add("second");
  await hasFailed(id, 1);
  expect(await ended(id)).toMatchObject({ state: "completed", error: null });
  expect((await getJob(database.pool, id)).attempt_list).toMatchObject([{ error_message: "not yet" }, { state: "completed" }]);
});
