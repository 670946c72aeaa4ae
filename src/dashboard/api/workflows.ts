import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { rest, withQuery } from "./request.ts";

/** How often what goes on is asked for (ms). */
const LIVE_MS = 1_000;
const LIST_MS = 5_000;

/** A workflow of GET /workflows. Counts are text. */
export interface Workflow {
  id: string;
  name: string;
  state: (typeof WORKFLOW_STATES)[number];
  reason: string | null;
  total: number;
  completed: string;
  failed: string;
  cancelled: string;
  expired: string;
  /** How many of its steps have ended, in percent. */
  progress: number;
  tenant: string | null;
  correlation_id: string;
  parent_id: string | null;
  deadline: string | null;
  created_at: string;
  ended_at: string | null;
}

export interface Step {
  /** In full: those of a sub-workflow are its name, a slash and theirs. */
  name: string;
  position: number;
  task: string;
  /** Names of steps and of sub-workflows. */
  depends_on: string[];
  on_failure: string;
  job_id: string;
  state: string | null;
  attempts: number | null;
  error: string | null;
  started_at: string | null;
  finished_at: string | null;
  compensation_job_id: string | null;
  compensation_state: string | null;
}

export interface WorkflowWithSteps extends Workflow {
  steps: Step[];
}

/** A batch of GET /batches: jobs that were enqueued together. */
export interface Batch {
  id: string;
  description: string | null;
  state: "running" | "completed" | "failed";
  total: number;
  completed: string;
  failed: string;
  cancelled: string;
  expired: string;
  progress: number;
  callback_job_id: string | null;
  tenant: string | null;
  correlation_id: string;
  created_at: string;
  ended_at: string | null;
}

export const WORKFLOW_STATES = ["running", "compensating", "cancelling", "completed", "failed", "cancelled", "expired"] as const;
export const BATCH_STATES = ["running", "completed", "failed"] as const;

interface PageOf<T> {
  items: T[];
  next_cursor: string | null;
}

/** Workflows or batches, newest first, a page at a time. */
export function useRuns<T extends Workflow | Batch>(kind: "workflows" | "batches", state: string) {
  return useInfiniteQuery({
    queryKey: [kind, state],
    queryFn: ({ signal, pageParam }) =>
      rest<PageOf<T>>("GET", withQuery(`/${kind}`, { state, cursor: pageParam, limit: 50 }), undefined, signal),
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_cursor }) => next_cursor,
    refetchInterval: LIST_MS,
    placeholderData: keepPreviousData,
  });
}

export function useWorkflow(id: string) {
  return useQuery({
    queryKey: ["workflow", id],
    queryFn: ({ signal }) => rest<WorkflowWithSteps>("GET", `/workflows/${encodeURIComponent(id)}`, undefined, signal),
    // What has ended changes only when somebody retries it, which asks by itself.
    refetchInterval: ({ state: { data } }) => (data === undefined || data.ended_at === null ? LIVE_MS : 10 * LIST_MS),
  });
}

export function useBatch(id: string) {
  return useQuery({
    queryKey: ["batch", id],
    queryFn: ({ signal }) => rest<Batch>("GET", `/batches/${encodeURIComponent(id)}`, undefined, signal),
    refetchInterval: ({ state: { data } }) => (data?.ended_at === null ? LIVE_MS : false),
  });
}
