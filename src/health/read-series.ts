import { durationToInterval } from "../bounds.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import type { Duration } from "../duration.ts";

/** A row of `legwork.task_series()`: what became of jobs in one interval. Counts are strings; times are seconds. */
export interface SeriesIntervalRow {
  /** When it begins. */
  at: Date;
  /** How long it is. */
  seconds: number;
  /** Whether everything that ended in it has been counted. */
  is_whole: boolean;
  completed: string;
  failed: string;
  cancelled: string;
  expired: string;
  failed_attempts: string;
  retried: string;
  /** Null where nothing was counted, as are the others. */
  wait_p50: number | null;
  wait_p95: number | null;
  wait_p99: number | null;
  run_p50: number | null;
  run_p95: number | null;
  run_p99: number | null;
}

/**
 * What became of jobs over the last so long (an hour) before `until` (now), in some 200 intervals at most, oldest first: of one task, of the tasks
 * of a queue, or of all. Throws LW400 for a time that is none.
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

/** Workers of one machine that started together. */
export interface WorkerStart {
  started_at: Date;
  host: string;
  workers: string;
  /** Versions of Legwork; null where they did not say. */
  versions: string[] | null;
}

/**
 * When workers started in a time, the newest first, 500 at most, and of which versions of Legwork.
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
