import type { Json } from "../../contract/rows.ts";
import type { workflowSchema, workflowStepSchema, workflowWithStepsSchema, batchSchema } from "../../contract/workflows.ts";
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { rest, withQuery } from "./request.ts";

/** How often lists, unfinished workflows and unfinished batches are fetched (ms). */
const LIVE_MS = 1_000;
const LIST_MS = 5_000;

/** A workflow of GET /workflows. Counts are text. */
export type Workflow = Json<typeof workflowSchema>;

export type Step = Json<typeof workflowStepSchema>;

export type WorkflowWithSteps = Json<typeof workflowWithStepsSchema>;

/** A batch of GET /batches: jobs that were enqueued together. */
export type Batch = Json<typeof batchSchema>;

interface PageOf<T> {
  items: T[];
  nextCursor: string | null;
}

/** Workflows or batches, newest first, a page at a time. */
export function useRuns<T extends Workflow | Batch>(kind: "workflows" | "batches", state: string) {
  return useInfiniteQuery({
    queryKey: [kind, state],
    queryFn: ({ signal, pageParam }) =>
      rest<PageOf<T>>("GET", withQuery(`/${kind}`, { state, cursor: pageParam, limit: 50 }), undefined, signal),
    initialPageParam: null as string | null,
    getNextPageParam: ({ nextCursor }) => nextCursor,
    refetchInterval: LIST_MS,
    placeholderData: keepPreviousData,
  });
}

export function useWorkflow(id: string) {
  return useQuery({
    queryKey: ["workflow", id],
    queryFn: ({ signal }) => rest<WorkflowWithSteps>("GET", `/workflows/${encodeURIComponent(id)}`, undefined, signal),
    // A workflow that has ended changes only when it is retried, and a retry refetches it.
    refetchInterval: ({ state: { data } }) => (data === undefined || data.endedAt === null ? LIVE_MS : 10 * LIST_MS),
  });
}

export function useBatch(id: string) {
  return useQuery({
    queryKey: ["batch", id],
    queryFn: ({ signal }) => rest<Batch>("GET", `/batches/${encodeURIComponent(id)}`, undefined, signal),
    refetchInterval: ({ state: { data } }) => (data?.endedAt === null ? LIVE_MS : false),
  });
}
