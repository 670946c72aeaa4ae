import { useInfiniteQuery } from "@tanstack/react-query";
import type { Json } from "../../../contract/rows.ts";
import type { scheduleRunSchema } from "../../../contract/schedules.ts";
import { rest, withQuery } from "../../api/request.ts";
import { scheduleRoute } from "../../api/schedules.ts";

/** A past occurrence of a schedule. */
export type Run = Json<typeof scheduleRunSchema>;

/** The past occurrences of a schedule, newest first, 30 at a time. */
export function useRuns(name: string) {
  return useInfiniteQuery({
    queryKey: ["schedule-runs", name],
    queryFn: ({ pageParam, signal }) =>
      rest<{ items: Run[]; nextCursor: string | null }>(
        "GET",
        withQuery(scheduleRoute(name, "/runs"), { limit: 30, cursor: pageParam }),
        undefined,
        signal,
      ),
    initialPageParam: null as string | null,
    getNextPageParam: ({ nextCursor }) => nextCursor,
    refetchInterval: 5_000,
  });
}
