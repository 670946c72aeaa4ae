import { Logger, runOnce, type RunnerOptions, type TaskList } from "graphile-worker";
import type { TestDatabase } from "./database.ts";
import { until } from "./until.ts";

export const quietLogger = new Logger(() => () => {});

/** A plain graphile-worker runs every job that is due, until there is none. */
export async function runDueJobs(database: TestDatabase, taskList: TaskList, options: RunnerOptions = {}): Promise<void> {
  await runOnce({
    pgPool: database.pool,
    taskList,
    parsedCronItems: [],
    noHandleSignals: true,
    logger: quietLogger,
    ...options,
  });
  // It returns before its last statement has reached the database.
  await until("the worker's last job is recorded", async () => {
    const { rows } = await database.pool.query("select from graphile_worker.jobs where locked_by like 'worker-%' limit 1");
    return rows.length === 0;
  });
}
