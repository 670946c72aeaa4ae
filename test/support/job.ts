import { resolve } from "node:path";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import { startWorker, type Worker } from "../../src/worker/worker.ts";
import { type TestDatabase, testLog } from "./database.ts";
import { until } from "./until.ts";
import { workerOver } from "./worker.ts";

/** The standard library of tasks. */
export const TASKS = resolve(import.meta.dirname, "../../tasks");

/** The databases that have one worker for all tests of their file. */
const served = new Set<TestDatabase>();

/**
 * One worker with the standard library for all tests of a file or group, so that each test does not have to wait for a worker to start. No other
 * worker may run on the database at the same time.
 */
export function oneWorker(database: TestDatabase): void {
  let worker: Worker;
  beforeAll(async () => {
    worker = await startWorker({
      databaseUrl: database.url,
      log: testLog,
      tasks: [TASKS],
      concurrency: 2,
      localQueueSize: 2,
      shutdownTimeout: 2_000,
    });
    served.add(database);
  });
  afterAll(async () => {
    served.delete(database);
    await worker.stop();
  });
}

export interface EndedJob {
  id: string;
  state: string;
  attempts: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- each task has its own
  result: any;
  error: string | null;
}

/**
 * Runs a job of the standard library, and resolves to its row once it has ended. Starts a worker for this job if the file does not have one. The job
 * is enqueued in SQL, so the TypeScript client does not validate it.
 */
export async function runJob(
  database: TestDatabase,
  task: string,
  payload: Record<string, unknown>,
  options: { tenant?: string; maxAttempts?: number } = {},
): Promise<EndedJob> {
  const worker = served.has(database) ? undefined : await workerOver(database.url, [TASKS], { concurrency: 2 });
  try {
    const { rows } = await database.pool.query(
      "select legwork.enqueue($1, $2, tenant => $3, max_attempts => coalesce($4, 1)) as id",
      [task, JSON.stringify(payload), options.tenant, options.maxAttempts],
    );
    return await until(`the job of ${task} has ended`, () => endedJob(database, rows[0].id), 25_000);
  } finally {
    await worker?.stop();
  }
}

export async function endedJob(database: TestDatabase, id: string): Promise<EndedJob | undefined> {
  const { rows } = await database.pool.query<EndedJob>(
    "select id, state, attempts, result, error from legwork.jobs where id = $1 and state in ('completed', 'failed', 'cancelled')",
    [id],
  );
  return rows[0];
}

/** Sets environment variables until the test has finished. `undefined` removes a variable. */
export function configure(variables: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(variables)) {
    const before = process.env[name];
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
    onTestFinished(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
  }
}
