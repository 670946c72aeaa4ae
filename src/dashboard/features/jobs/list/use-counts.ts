import { useQuery } from "@tanstack/react-query";
import type { COUNT_FIELDS, JobCount } from "../../../../contract/jobs.ts";
import { useMay } from "../../../api/me.ts";
import { rest, withQuery } from "../../../api/request.ts";
import { type JobFilter, toQuery, writeFilter } from "../filter.ts";

export type CountField = (typeof COUNT_FIELDS)[number];

type Counts = ReadonlyMap<CountField, readonly JobCount[]>;

/** How often the counts are fetched (ms). */
const POLL_MS = 10_000;

/** The number of matching jobs for each state, task, queue, tenant and worker. A search in payloads has no counts. */
export function useCounts(filter: JobFilter) {
  const seesAll = useMay("viewer", { everybody: true });
  const key = writeFilter(filter).toString();
  const by = ["state", "task", "queue", ...(seesAll ? ["tenant", "worker"] : [])].join(",");
  return useQuery<Counts>({
    queryKey: ["jobs", "counts", key, by],
    enabled: filter.payload === undefined,
    refetchInterval: ({ state }) => (state.status === "error" ? false : POLL_MS),
    placeholderData: (before) => before,
    retry: false,
    queryFn: async ({ signal }): Promise<Counts> => {
      const { items } = await rest<{ items: JobCount[] }>(
        "GET",
        withQuery("/job-counts", { ...toQuery(filter), by }),
        undefined,
        signal,
      );
      return Map.groupBy(items, ({ field }) => field);
    },
  });
}
