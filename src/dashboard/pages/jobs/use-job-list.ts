import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useLive } from "../../api/live.ts";
import { rest, withQuery } from "../../api/request.ts";
import { type JobFilter, toLive, toQuery, writeFilter } from "./filter.ts";
import { fromRest, isNewer, type JobLine, type JobPage, LIVE_JOBS } from "./job-line.ts";

/** Jobs of the newest page: as many as a live list has. */
const NEWEST = 100;
/** Jobs of each page further back. */
const PAGE = 200;
/** How often the newest page is asked for where no live list serves the filter (ms). */
const POLL_MS = 5_000;

export interface JobList {
  /** Newest first; undefined until the first answer. */
  lines: readonly JobLine[] | undefined;
  /** Jobs that are newer than the first line and not in the list, because somebody reads it. */
  newer: number;
  /** Whether there are more of them than `newer` says. */
  newerIsCapped: boolean;
  /** Shows the newest jobs and goes on following them. */
  follow: () => void;
  /** Loads the next page, if there is one and none is on its way. */
  loadMore: () => void;
  hasMore: boolean;
  isLoadingMore: boolean;
  error: unknown;
  retry: () => void;
  /** Of a search in payloads: how many were read, and where that ended. */
  looked: { at: number; to: string | null } | undefined;
}

function cursorAt(id: string): string {
  return btoa(`jobs:${id}`).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/**
 * The jobs that fit a filter, for a component that is another one for each filter (`key`). While `isReading` is false the newest are followed as they come; while it is true no job is added above
 * those that are shown, which are only kept up to date.
 */
export function useJobList(filter: JobFilter, isReading: boolean): JobList {
  const key = writeFilter(filter).toString();
  const newest = useNewest(filter, key);
  const [base, setBase] = useState<{ lines: readonly JobLine[]; next: string | null }>();
  const { lines: fresh, next } = newest;
  const isFirstTime = base === undefined;
  if (fresh !== undefined && (!isReading || isFirstTime) && base?.lines !== fresh) setBase({ lines: fresh, next });
  const follow = (): void => {
    if (fresh !== undefined) setBase({ lines: fresh, next });
  };

  const last = base?.next ?? null;
  const older = useInfiniteQuery({
    queryKey: ["jobs", "older", key, last],
    enabled: false,
    initialPageParam: last ?? "",
    queryFn: async ({ pageParam, signal }) =>
      await rest<JobPage>(
        "GET",
        withQuery("/jobs", { ...toQuery(filter), brief: true, limit: PAGE, cursor: pageParam }),
        undefined,
        signal,
      ),
    getNextPageParam: ({ next_cursor }) => next_cursor ?? undefined,
    staleTime: Infinity,
    gcTime: 10_000,
  });

  const lines = useMemo(() => {
    if (base === undefined) return undefined;
    const now = new Map(newest.lines?.map((line) => [line.id, line]));
    const shown = base.lines.map((line) => now.get(line.id) ?? line);
    for (const page of older.data?.pages ?? []) shown.push(...page.items.map(fromRest));
    return shown;
  }, [base, newest.lines, older.data]);

  const first = lines?.[0]?.id;
  const newer =
    isReading && newest.lines !== undefined
      ? newest.lines.filter(({ id }) => first === undefined || isNewer(id, first)).length
      : 0;
  const hasOlder = older.data === undefined ? last !== null : older.hasNextPage;
  const { fetchNextPage, refetch, isFetching } = older;
  const isFirst = older.data === undefined;
  const loadMore = useCallback(() => {
    if (!hasOlder || isFetching) return;
    void (isFirst ? refetch() : fetchNextPage());
  }, [hasOlder, isFetching, isFirst, refetch, fetchNextPage]);

  const pages = older.data?.pages ?? [];
  const lookedAt = pages.reduce((sum, page) => sum + (page.looked_at ?? 0), newest.lookedAt ?? 0);
  return {
    lines,
    newer,
    newerIsCapped: newer >= NEWEST,
    follow,
    loadMore,
    hasMore: hasOlder,
    isLoadingMore: isFetching,
    error: newest.error ?? older.error,
    retry: () => {
      newest.retry();
      if (older.isError) void older.refetch();
    },
    looked: newest.lookedAt === undefined ? undefined : { at: lookedAt, to: pages.at(-1)?.looked_to ?? newest.lookedTo ?? null },
  };
}

interface Newest {
  lines: readonly JobLine[] | undefined;
  /** Where the next page begins; null when there is none. */
  next: string | null;
  error: unknown;
  retry: () => void;
  lookedAt?: number | undefined;
  lookedTo?: string | null | undefined;
}

/** The newest page: pushed where a live list serves the filter, else asked for every few seconds. */
function useNewest(filter: JobFilter, key: string): Newest {
  const variables = useMemo(() => toLive(filter), [filter]);
  const [hasFailed, setFailed] = useState(false);
  const isLive = variables !== undefined && !hasFailed;
  const live = useLive<{ jobs: { jobs: JobLine[] } }>(isLive ? LIVE_JOBS : null, variables);
  useEffect(() => {
    // Whatever keeps the live list away, the list itself is still to be had.
    if (live.error !== undefined) setFailed(true);
  }, [live.error]);
  const polled = useQuery<JobPage>({
    queryKey: ["jobs", "newest", key],
    enabled: !isLive,
    refetchInterval: (query) => (query.state.status === "error" ? false : POLL_MS),
    queryFn: async ({ signal }) =>
      await rest<JobPage>("GET", withQuery("/jobs", { ...toQuery(filter), brief: true, limit: NEWEST }), undefined, signal),
  });
  const livePage = live.data?.jobs.jobs;
  const polledPage = useMemo(() => polled.data?.items.map(fromRest), [polled.data]);
  if (isLive) {
    return {
      lines: livePage,
      next: livePage?.length === NEWEST ? cursorAt(livePage.at(-1)?.id ?? "") : null,
      error: undefined,
      retry: () => undefined,
    };
  }
  return {
    lines: polledPage,
    next: polled.data?.next_cursor ?? null,
    error: polled.error ?? undefined,
    retry: () => void polled.refetch(),
    lookedAt: polled.data?.looked_at,
    lookedTo: polled.data?.looked_to,
  };
}
