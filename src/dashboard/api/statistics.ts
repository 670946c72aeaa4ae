import type { Json } from "../../contract/rows.ts";
import type { taskStatisticsSchema } from "../../contract/alerts.ts";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMay } from "./me.ts";
import { rest, withQuery } from "./request.ts";

/** A row of GET /task-statistics: what became of a task's jobs in some time. Counts are text; times are seconds. */
export type TaskStatistics = Json<typeof taskStatisticsSchema>;

/** By task, for those whose jobs ended in that time. Nothing for a token of one tenant: they are counted for all together. */
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
