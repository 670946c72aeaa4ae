import { durationToInterval } from "../bounds.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import type { Duration } from "../duration.ts";

/** A row of `legwork.task_series()`: how jobs ended in one interval. Counts are strings; times are in seconds. */
export interface SeriesIntervalRow {
  /** When the interval begins. */
  at: Date;
  /** The length of the interval. */
  seconds: number;
  /** Whether all attempts and jobs that ended in it have been counted. */
  is_whole: boolean;
  completed: string;
  failed: string;
  cancelled: string;
  expired: string;
  failed_attempts: string;
  retried: string;
  /** This and the following times are null if nothing was counted. */
  wait_p50: number | null;
  wait_p95: number | null;
  wait_p99: number | null;
  run_p50: number | null;
  run_p95: number | null;
  run_p99: number | null;
  /**
   * The highest number of jobs that were due and free to start. This and the following values are null for a single task, and for intervals in which
   * no worker counted.
   */
  pending: string | null;
  /** The highest number of blocked or paused jobs. */
  held: string | null;
  /** The highest number of running jobs. */
  running: string | null;
  /** The longest time that a pending job had been due. */
  oldest_seconds: number | null;
}

/**
 * Returns the statistics of a task, of a queue's tasks or of all tasks over a period (an hour by default) that ends at `until` (now by default), in
 * at most about 200 intervals, oldest first. Throws LW400 for an invalid period.
 *
 * @example
 * import { readSeries } from "legwork/operations";
 *
 * const steps = await readSeries(client, { period: "6h", queue: "notification" });
 */
export async function readSeries(
  client: Queryable,
  options: { period?: Duration; until?: Date | undefined; task?: string | undefined; queue?: string | undefined } = {},
): Promise<SeriesIntervalRow[]> {
  const rows = await selectRows(client, "select * from legwork.task_series($1::interval, $2, $3, $4)", [
    durationToInterval("period", options.period ?? "1h"),
    options.until ?? null,
    options.task ?? null,
    options.queue ?? null,
  ]);
  return rows;
}

/** Workers on one host that started together. */
export interface WorkerStart {
  started_at: Date;
  host: string;
  workers: string;
  /** Their versions of Legwork; null if unknown. */
  versions: string[] | null;
}

/**
 * Lists when workers started within a period and their versions of Legwork, newest first; at most 500.
 *
 * @example
 * import { listWorkerStarts } from "legwork/operations";
 *
 * const starts = await listWorkerStarts(client, new Date(Date.now() - 3_600_000), new Date());
 */
export async function listWorkerStarts(client: Queryable, from: Date, to: Date): Promise<WorkerStart[]> {
  const rows = await selectRows(client, "select * from legwork.worker_starts_between($1, $2)", [from, to]);
  return rows;
}
