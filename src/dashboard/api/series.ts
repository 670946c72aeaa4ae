import type { Json } from "../../contract/rows.ts";
import type { seriesIntervalSchema } from "../../contract/statistics.ts";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMay } from "./me.ts";
import { rest, withQuery } from "./request.ts";

/** An interval of GET /statistics/series. Counts are text; times are seconds. */
export type SeriesInterval = Json<typeof seriesIntervalSchema>;

/**
 * Outcomes and timings of jobs over time. `period` is a duration such as 1h; `until` (ISO) is its end (default: now). Disabled for tokens limited to
 * one tenant, because statistics cover all tenants together.
 */
export function useSeries(of: {
  period: string;
  until?: string | undefined;
  task?: string | undefined;
  queue?: string | undefined;
}) {
  const may = useMay("viewer", { everybody: true });
  return useQuery({
    queryKey: ["series", of],
    queryFn: async ({ signal }) =>
      (await rest<{ items: SeriesInterval[] }>("GET", withQuery("/statistics/series", { ...of }), undefined, signal)).items,
    enabled: may,
    // Past periods do not change; the server updates the counts of the current one every five seconds.
    refetchInterval: of.until === undefined ? 10_000 : false,
    placeholderData: keepPreviousData,
  });
}
