import type { Queryable } from "../db/pool.ts";
import type { Duration } from "../duration.ts";
import { readSeries } from "../health/read-series.ts";
import { readTaskStatistics } from "../health/read-statistics.ts";
import { type SeriesInterval, type TaskStatistics, toSeriesInterval, toTaskStatistics } from "./health-rows.ts";

/** `legwork.statistics`: how jobs ended, and how long they waited and ran. */
export interface Statistics {
  /**
   * Returns the statistics of each task over the last period (an hour by default). Throws LW400 for an invalid period.
   *
   * @example
   * for (const { task, failed, runP95 } of await legwork.statistics.tasks("24h")) console.log(task, failed, runP95);
   */
  tasks(period?: Duration): Promise<TaskStatistics[]>;
  /**
   * Returns the statistics of a task, of a queue's tasks or of all tasks over a period (an hour by default) that ends at `until` (now by default), in
   * at most about 200 intervals, oldest first. Throws LW400 for an invalid period.
   *
   * @example
   * const intervals = await legwork.statistics.series({ period: "6h", queue: "notification" });
   */
  series(options?: { period?: Duration; until?: Date; task?: string; queue?: string }): Promise<SeriesInterval[]>;
}

export function statisticsOn(client: Queryable): Statistics {
  return {
    tasks: async (period) => (await readTaskStatistics(client, period)).map(toTaskStatistics),
    series: async (options) => (await readSeries(client, options)).map(toSeriesInterval),
  };
}
