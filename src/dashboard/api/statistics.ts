import type { Json } from "../../contract/rows.ts";
import type { taskStatisticsSchema } from "../../contract/alerts.ts";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMay } from "./me.ts";
import { rest, withQuery } from "./request.ts";

/** A row of GET /task-statistics: outcomes and timings of a task's jobs in a period. Counts are text; times are seconds. */
export type TaskStatistics = Json<typeof taskStatisticsSchema>;

/**
 * Statistics for each task with jobs that ended in the period. Disabled for tokens limited to one tenant, because statistics cover all tenants
 * together.
 */
export function useStatistics(period: string) {
  const may = useMay("viewer", { everybody: true });
  return useQuery({
    queryKey: ["task-statistics", period],
    queryFn: async ({ signal }) =>
      new Map(
        (await rest<{ items: TaskStatistics[] }>("GET", withQuery("/task-statistics", { period }), undefined, signal)).items.map(
          (row) => [row.task, row] as const,
        ),
      ),
    enabled: may,
    refetchInterval: 10_000,
    placeholderData: keepPreviousData,
  });
}
