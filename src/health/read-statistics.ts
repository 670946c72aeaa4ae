import { durationToInterval } from "../bounds.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import type { Duration } from "../duration.ts";

/** A row of `legwork.task_statistics()`. Counts are strings, because they may exceed what a number holds exactly. Times are in seconds. */
export interface TaskStatistics {
  task: string;
  completed: string;
  failed: string;
  cancelled: string;
  expired: string;
  failed_attempts: string;
  retried: string;
  /** The share of attempts that failed; null without attempts. */
  error_rate: number | null;
  wait_average: number | null;
  wait_p95: number | null;
  run_average: number | null;
  run_p50: number | null;
  run_p95: number | null;
  run_p99: number | null;
}

/**
 * Returns the statistics of each task over the last period (an hour by default). Throws LW400 for an invalid period.
 *
 * @example
 * import { readTaskStatistics } from "legwork/operations";
 *
 * for (const { task, failed, run_p95 } of await readTaskStatistics(client, "24h")) console.log(task, failed, run_p95);
 */
export async function readTaskStatistics(client: Queryable, period: Duration = "1h"): Promise<TaskStatistics[]> {
  const rows = await selectRows(client, "select * from legwork.task_statistics($1::interval)", [
    durationToInterval("period", period),
  ]);
  return rows;
}
