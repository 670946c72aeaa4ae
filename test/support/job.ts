import { resolve } from "node:path";
import { onTestFinished } from "vitest";
import type { TestDatabase } from "./database.ts";
import { until } from "./until.ts";
import { workerOver } from "./worker.ts";

/** The standard library of tasks. */
export const TASKS = resolve(import.meta.dirname, "../../tasks");

export interface EndedJob {
  id: string;
  state: string;
  attempts: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- each task has its own
  result: any;
  error: string | null;
}

/**
 * Runs a job of the standard library in a worker that lives for the test, and resolves to its row once it has ended. Enqueued in SQL,
 * past the check that a TypeScript client makes.
 */
export async function runJob(
  database: TestDatabase,
  task: string,
  payload: Record<string, unknown>,
  options: { tenant?: string; maxAttempts?: number } = {},
): Promise<EndedJob> {
  const worker = await workerOver(database.url, [TASKS], { concurrency: 2 });
  try {
    const { rows } = await database.pool.query(
      "select legwork.enqueue($1, $2, tenant => $3, max_attempts => coalesce($4, 1)) as id",
      [task, JSON.stringify(payload), options.tenant, options.maxAttempts],
    );
    return await until(`the job of ${task} ends`, () => endedJob(database, rows[0].id), 25_000);
  } finally {
    await worker.stop();
  }
}

export async function endedJob(database: TestDatabase, id: string): Promise<EndedJob | undefined> {
  const { rows } = await database.pool.query<EndedJob>(
    "select id, state, attempts, result, error from legwork.jobs where id = $1 and state in ('completed', 'failed', 'cancelled')",
    [id],
  );
  return rows[0];
}

/** Sets variables of the environment until the test has finished; undefined takes one away. */
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
