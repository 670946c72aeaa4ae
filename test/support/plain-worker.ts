import { Logger, runOnce, type RunnerOptions, type TaskList } from "graphile-worker";
import type { TestDatabase } from "./database.ts";
import { until } from "./until.ts";

export const quietLogger = new Logger(() => () => {});

/** Runs due jobs with a plain graphile-worker until there are no more. Without a list of tasks, `options` must name their directory. */
export async function runDueJobs(
  { pool }: TestDatabase,
  taskList: TaskList | undefined,
  options: RunnerOptions = {},
): Promise<void> {
  const due = async (): Promise<string> => {
    const { rows } = await pool.query(
      "select id, attempts from graphile_worker.jobs where run_at <= now() and attempts < max_attempts and locked_at is null order by id",
    );
    return JSON.stringify(rows);
  };
  let before: string;
  let after = "";
  do {
    before = after;
    await runOnce({
      pgPool: pool,
      ...(taskList === undefined ? {} : { taskList }),
      parsedCronItems: [],
      noHandleSignals: true,
      logger: quietLogger,
      ...options,
    });
    // The worker returns before its last statements have reached the database, and does not run jobs whose queue these statements unlock.
    await until("the worker's last jobs are recorded", async () => {
      const { rows } = await pool.query("select from graphile_worker.jobs where locked_by like 'otpool-%' limit 1");
      return rows.length === 0;
    });
    after = await due();
  } while (after !== "[]" && after !== before);
}
