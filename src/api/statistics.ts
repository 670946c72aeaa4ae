import type { Queryable } from "../db/pool.ts";
import type { Duration } from "../duration.ts";
import { readSeries } from "../health/read-series.ts";
import { readTaskStatistics } from "../health/read-statistics.ts";
import { type SeriesInterval, type TaskStatistics, toSeriesInterval, toTaskStatistics } from "./health-rows.ts";

/** `legwork.statistics`: what became of jobs, from the metrics. */
export interface Statistics {
  /**
   * What became of each task's jobs in the last period (an hour). Throws LW400 for a period that is not valid.
   *
   * @example
   * for (const { task, failed, runP95 } of await legwork.statistics.tasks("24h")) console.log(task, failed, runP95);
   */
  tasks(period?: Duration): Promise<TaskStatistics[]>;
  /**
   * What became of jobs over the last period (an hour) before `until` (now), in some 200 intervals at most, oldest first: of one task, of the tasks
   * of a queue, or of all. Throws LW400 for a period that is not valid.
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
