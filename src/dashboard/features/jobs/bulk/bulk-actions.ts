import { rest, withQuery } from "../../../api/request.ts";
import { isFinished } from "../../../components/state-badge.tsx";
import { type JobFilter, toQuery } from "../filter.ts";
import type { JobPage } from "../job-line.ts";

/** Ids that one request names: with the longest ids it stays within what the server reads. */
const IDS_A_REQUEST = 3_000;
/** Jobs that are looked up one by one where no route knows the filter, at most. */
export const MAX_COLLECTED = 10_000;

type BulkName = "retry" | "cancel" | "discard" | "rerun" | "priority";

export interface BulkAction {
  name: BulkName;
  /** On the button. */
  label: string;
  /** As in: 17 jobs retried. */
  done: string;
  kind: "primary" | "danger";
  path: string;
  /** What will be. */
  explains: string;
  /** Whether a job in that state can have it. */
  fits: (state: string) => boolean;
}

export const BULK_ACTIONS: readonly BulkAction[] = [
  {
    name: "retry",
    label: "Retry",
    done: "retried",
    kind: "primary",
    path: "/jobs/retry",
    explains: "Failed jobs get all their attempts again and start now. Limits and pauses still hold them back.",
    fits: (state) => state === "failed",
  },
  {
    name: "rerun",
    label: "Re-run",
    done: "re-run",
    kind: "primary",
    path: "/jobs/rerun",
    explains: "Each job that has ended is enqueued once more, as a new job with the same payload. The old ones stay as they are.",
    fits: isFinished,
  },
  {
    name: "priority",
    label: "Priority",
    done: "given another priority",
    kind: "primary",
    path: "/jobs/priority",
    explains: "Jobs that have not ended move in the line: smaller runs first. It can be undone.",
    fits: (state) => !isFinished(state),
  },
  {
    name: "cancel",
    label: "Cancel",
    done: "cancelled or told to stop",
    kind: "danger",
    path: "/jobs/cancel",
    explains:
      "Those that wait never start, those that run are told to stop. It cannot be undone; a cancelled job can be re-run as a new one.",
    fits: (state) => !isFinished(state),
  },
  {
    name: "discard",
    label: "Delete",
    done: "deleted",
    kind: "danger",
    path: "/jobs/discard",
    explains:
      "Failed jobs are given up: they cannot be retried any more, and stay in the history as failed. It cannot be undone.",
    fits: (state) => state === "failed",
  },
];

/** What a bulk route is asked to do it with, and whether there were more than could be looked up. */
export interface BulkTarget {
  /** As in: the 17 selected jobs. */
  words: string;
  /** The filters of the requests, one after the other. */
  resolve: (action: BulkAction, signal: AbortSignal) => Promise<{ filters: object[]; isCapped: boolean }>;
}

function inChunks(ids: readonly string[]): object[] {
  return Array.from({ length: Math.ceil(ids.length / IDS_A_REQUEST) }, (_, chunk) => ({
    ids: ids.slice(chunk * IDS_A_REQUEST, (chunk + 1) * IDS_A_REQUEST),
  }));
}

export function selectedJobs(ids: readonly string[]): BulkTarget {
  return {
    words: ids.length === 1 ? "the selected job" : `the ${ids.length} selected jobs`,
    resolve: async () => ({ filters: inChunks(ids), isCapped: false }),
  };
}

/** Failed jobs by what the routes for them take. */
export function failedJobs(filter: object, words: string): BulkTarget {
  return { words, resolve: async () => ({ filters: [filter], isCapped: false }) };
}

/** Everything that the list would show. What no route can name is looked up through the list, 10,000 jobs at most. */
export function matchingJobs(filter: JobFilter): BulkTarget {
  // One moment for all requests.
  const asked = toQuery(filter);
  return {
    words: "every job that matches",
    resolve: async (action, signal) => {
      if (filter.state !== undefined && !action.fits(filter.state)) return { filters: [], isCapped: false };
      const direct = toRoute(action.name, asked);
      if (direct !== undefined) return { filters: [direct], isCapped: false };
      const ids: string[] = [];
      for (let cursor: string | null = null; ;) {
        const page: JobPage = await rest(
          "GET",
          withQuery("/jobs", { ...asked, brief: true, limit: 500, cursor }),
          undefined,
          signal,
        );
        ids.push(...page.items.filter(({ state }) => action.fits(state)).map(({ id }) => id));
        cursor = page.nextCursor;
        if (cursor === null || ids.length >= MAX_COLLECTED) break;
      }
      return { filters: inChunks(ids.slice(0, MAX_COLLECTED)), isCapped: ids.length > MAX_COLLECTED };
    },
  };
}

/** What each route can be told; a filter with anything else is looked up. */
const TAKES: Readonly<Record<BulkName, readonly string[]>> = {
  retry: ["task", "queue", "tenant", "error"],
  discard: ["task", "queue", "tenant", "error"],
  cancel: ["state", "task", "queue", "tenant", "correlationId", "parentId", "createdAfter", "createdBefore"],
  priority: ["state", "task", "queue", "tenant", "correlationId", "parentId", "createdAfter", "createdBefore"],
  rerun: ["state", "task", "queue", "tenant", "correlationId", "parentId", "error", "createdAfter", "createdBefore"],
};

function toRoute(action: BulkName, asked: Readonly<Record<string, string | undefined>>): object | undefined {
  const given = Object.entries(asked).filter(([, value]) => value !== undefined);
  // That they are failed is what these routes mean.
  const told = action === "retry" || action === "discard" ? given.filter(([name]) => name !== "state") : given;
  if (told.some(([name]) => !TAKES[action].includes(name))) return undefined;
  return Object.fromEntries(told);
}
