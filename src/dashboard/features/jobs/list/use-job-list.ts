import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useLive } from "../../../api/subscribe.ts";
import { graphql, rest, withQuery } from "../../../api/request.ts";
import { type JobFilter, type JobOrder, toLive, toQuery, writeFilter } from "../filter.ts";
import { isNewer, type JobLine, type JobPage, JOBS_BY_ID, LIVE_JOBS } from "../job-line.ts";

/** The number of jobs in the newest page, which is also the length of a live list. */
const NEWEST = 100;
/** The number of jobs in each older page. */
const PAGE = 200;
/** How often visible older jobs are refetched, and also the newest page if the live list does not support the filter (ms). */
const POLL_MS = 5_000;
/** The maximum number of empty pages that a search skips at once. */
const SEARCH_ROUNDS = 10;

/** Where a page of the list starts. */
type Begin = { cursor?: string; before?: string };

/** The state of a list that is restored when the user returns to it. */
export interface ListPlace {
  lines: readonly JobLine[];
  next: Begin | null;
}

/** How long older pages are kept for a user who returns to the list (ms). */
const KEPT_MS = 600_000;

export interface JobList {
  /** The newest page as it is shown, to be restored when the user returns. */
  place: ListPlace | undefined;
  /** Newest first; undefined until the first response. */
  lines: readonly JobLine[] | undefined;
  /** Jobs newer than the first line that are held back while the user is reading. */
  newer: number;
  /** Whether there may be more than `newer`. */
  newerIsCapped: boolean;
  /** Shows the newest jobs and follows them. */
  follow: () => void;
  /** Loads the next page if there is one and it is not already loading. */
  loadMore: () => void;
  hasMore: boolean;
  isLoadingMore: boolean;
  error: unknown;
  retry: () => void;
  /** For a search in payloads: how many payloads were scanned, and the last job of the scan. */
  looked: { at: number; to: string | null } | undefined;
}

/**
 * The jobs that match a filter, for a component that is remounted for each filter (`key`). While `isReading` is false, new jobs are added as they
 * arrive. While it is true, no job is added above those shown, but they are still updated. `visible` contains the jobs on the screen that may still
 * change. `restored` is the state in which the user left the list.
 */
export function useJobList(
  filter: JobFilter,
  isReading: boolean,
  visible: readonly string[],
  order: JobOrder,
  restored: ListPlace | undefined,
): JobList {
  const key = `${writeFilter(filter).toString()} ${order}`;
  const newest = useNewest(filter, order, key);
  const [base, setBase] = useState(restored);
  const { lines: fresh, next } = newest;
  const last = base?.next ?? null;
  const older = useInfiniteQuery({
    queryKey: ["jobs", "older", key, last],
    enabled: false,
    initialPageParam: last ?? {},
    queryFn: async ({ pageParam, signal }) => await nextPage(filter, order, pageParam, signal),
    getNextPageParam: ({ nextCursor }) => (nextCursor === null ? undefined : { cursor: nextCursor }),
    staleTime: Infinity,
    gcTime: KEPT_MS,
  });

  // Older pages would not continue a different newest page.
  const isFrozen = isReading || older.data !== undefined || older.isFetching;
  if (fresh !== undefined && base?.lines !== fresh && (base === undefined || !isFrozen)) setBase({ lines: fresh, next });
  const follow = (): void => {
    if (fresh !== undefined) setBase({ lines: fresh, next });
  };

  const olderLines = useMemo(() => older.data?.pages.flatMap((page) => page.items) ?? [], [older.data]);
  const refreshed = useRefreshed(visible, newest.lines);
  const lines = useMemo(() => {
    if (base === undefined) return undefined;
    const now = new Map([...refreshed, ...(newest.lines ?? [])].map((line) => [line.id, line]));
    return [...base.lines, ...olderLines].map((line) => now.get(line.id) ?? line);
  }, [base, newest.lines, olderLines, refreshed]);

  const first = lines?.[0]?.id;
  const newer =
    order === "newest" && isFrozen && newest.lines !== undefined
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
  const lookedAt = pages.reduce((sum, page) => sum + (page.lookedAt ?? 0), newest.lookedAt ?? 0);
  return {
    place: base,
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
    looked: newest.lookedAt === undefined ? undefined : { at: lookedAt, to: pages.at(-1)?.lookedTo ?? newest.lookedTo ?? null },
  };
}

/** Fetches the next page. A search in payloads that finds nothing continues for up to ten pages. */
async function nextPage(filter: JobFilter, order: JobOrder, begin: Begin, signal: AbortSignal): Promise<JobPage> {
  let lookedAt = 0;
  for (let round = 1; ; round += 1) {
    const query = withQuery("/jobs", { ...toQuery(filter), order, brief: true, limit: PAGE, ...begin });
    const page = await rest<JobPage>("GET", query, undefined, signal);
    lookedAt += page.lookedAt ?? 0;
    if (page.items.length > 0 || page.nextCursor === null || round === SEARCH_ROUNDS) return { ...page, lookedAt };
    begin = { cursor: page.nextCursor };
  }
}

/** The current state of visible jobs that are not in the newest page. */
function useRefreshed(visible: readonly string[], newest: readonly JobLine[] | undefined): readonly JobLine[] {
  const told = new Set(newest?.map(({ id }) => id));
  const ids = visible.filter((id) => !told.has(id));
  const { data } = useQuery<readonly JobLine[]>({
    queryKey: ["jobs", "visible", ids],
    enabled: ids.length > 0,
    refetchInterval: POLL_MS,
    gcTime: 10_000,
    placeholderData: (before) => before,
    queryFn: async ({ signal }) =>
      (await graphql<{ jobs: { nodes: JobLine[] } }>(JOBS_BY_ID, { ids, first: ids.length }, signal)).jobs.nodes,
  });
  return data ?? NONE;
}

const NONE: readonly JobLine[] = [];

interface Newest {
  lines: readonly JobLine[] | undefined;
  /** Where the next page starts; null after the last one. */
  next: Begin | null;
  error: unknown;
  retry: () => void;
  lookedAt?: number | undefined;
  lookedTo?: string | null | undefined;
}

/** The newest page, which is live if the live list supports the filter, and otherwise polled every few seconds. */
function useNewest(filter: JobFilter, order: JobOrder, key: string): Newest {
  const variables = useMemo(() => (order === "newest" ? toLive(filter) : undefined), [filter, order]);
  const [hasFailed, setFailed] = useState(false);
  const isLive = variables !== undefined && !hasFailed;
  const live = useLive<{ jobs: { jobs: JobLine[] } }>(isLive ? LIVE_JOBS : null, variables);
  useEffect(() => {
    // If the live list fails for any reason, polling replaces it.
    if (live.error !== undefined) setFailed(true);
  }, [live.error]);
  const polled = useQuery<JobPage>({
    queryKey: ["jobs", "newest", key],
    enabled: !isLive,
    refetchInterval: (query) => (query.state.status === "error" ? false : POLL_MS),
    queryFn: async ({ signal }) =>
      await rest<JobPage>(
        "GET",
        withQuery("/jobs", { ...toQuery(filter), order, brief: true, limit: NEWEST }),
        undefined,
        signal,
      ),
  });
  const livePage = live.data?.jobs.jobs;
  const polledPage = useMemo(() => polled.data?.items, [polled.data]);
  if (isLive) {
    return {
      lines: livePage,
      next: livePage?.length === NEWEST ? { before: livePage.at(-1)?.id ?? "" } : null,
      error: undefined,
      retry: () => undefined,
    };
  }
  return {
    lines: polledPage,
    next: typeof polled.data?.nextCursor === "string" ? { cursor: polled.data.nextCursor } : null,
    error: polled.error ?? undefined,
    retry: () => void polled.refetch(),
    lookedAt: polled.data?.lookedAt,
    lookedTo: polled.data?.lookedTo,
  };
}
