import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { startWorker, type Worker } from "../../src/worker/worker.ts";
import { type TestDatabase, testLog } from "./database.ts";
import { until } from "./until.ts";

export const KINDS = ["thread", "process"] as const;

export async function add(
  database: TestDatabase,
  task: string,
  payload: unknown = {},
  options = "max_attempts => 1",
): Promise<string> {
  const { rows } = await database.pool.query(`select legwork.enqueue($1, $2, ${options}) as id`, [task, JSON.stringify(payload)]);
  return rows[0].id;
}

export async function end(database: TestDatabase, id: string, timeout = 20_000) {
  return await until(
    `job ${id} has ended`,
    async () => {
      const job = await getJob(database.pool, id);
      return ["completed", "failed", "cancelled"].includes(job.state) ? job : undefined;
    },
    timeout,
  );
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** The text of a task file. `kind` is `here` for a task that is not isolated. */
export function task(kind: string, body: string, options = ""): string {
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

/** A worker for several tests, whose threads and processes are already running from the second test on. */
export function workerForAll(
  database: TestDatabase,
  files: Record<string, string>,
  options: { isolateMemory?: number } = {},
): void {
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
