import { rest, withQuery } from "../../../api/request.ts";
import { isFinished } from "../../../components/state-badge.tsx";
import { type JobFilter, statesOf, toQuery } from "../filter.ts";
import type { JobPage } from "../job-line.ts";
import { words } from "../words.ts";

/** Ids in one request: even with the longest ids it stays within the server's limit for bodies. */
const IDS_A_REQUEST = 3_000;
/** The most jobs that are collected through the list where the bulk route does not support the filter. */
export const MAX_COLLECTED = 10_000;

type BulkName = "retry" | "cancel" | "discard" | "rerun" | "priority";

export interface BulkAction {
  name: BulkName;
  kind: "primary" | "danger";
  path: string;
  /** Whether it applies to jobs in that state. */
  fits: (state: string) => boolean;
}

export const BULK_ACTIONS: readonly BulkAction[] = [
  {
    name: "retry",
    kind: "primary",
    path: "/jobs/retry",
    fits: (state) => state === "failed",
  },
  {
    name: "rerun",
    kind: "primary",
    path: "/jobs/rerun",
    fits: isFinished,
  },
  {
    name: "priority",
    kind: "primary",
    path: "/jobs/priority",
    fits: (state) => !isFinished(state),
  },
  {
    name: "cancel",
    kind: "danger",
    path: "/jobs/cancel",
    fits: (state) => !isFinished(state),
  },
  {
    name: "discard",
    kind: "danger",
    path: "/jobs/discard",
    fits: (state) => state === "failed",
  },
];

/** The jobs that a bulk action is for. */
export interface BulkTarget {
  /** Its description, such as "the 17 selected jobs". */
  words: string;
  /** The filters of the requests, in order, and whether more jobs match than could be collected. */
  resolve: (action: BulkAction, signal: AbortSignal) => Promise<{ filters: object[]; isCapped: boolean }>;
}

function inChunks(ids: readonly string[]): object[] {
  return Array.from({ length: Math.ceil(ids.length / IDS_A_REQUEST) }, (_, chunk) => ({
    ids: ids.slice(chunk * IDS_A_REQUEST, (chunk + 1) * IDS_A_REQUEST),
  }));
}

export function selectedJobs(ids: readonly string[]): BulkTarget {
  return {
    words: words.bulk.targets.selected(ids.length),
    resolve: async () => ({ filters: inChunks(ids), isCapped: false }),
  };
}

/** Failed jobs that match a filter of the bulk routes. */
export function failedJobs(filter: object, description: string): BulkTarget {
  return { words: description, resolve: async () => ({ filters: [filter], isCapped: false }) };
}

/** All jobs that match the list's filter. Where the bulk route does not support it, jobs are collected through the list, 10,000 at most. */
export function matchingJobs(filter: JobFilter): BulkTarget {
  // All requests use the same time.
  const asked = toQuery(filter);
  return {
    words: words.bulk.targets.matching,
    resolve: async (action, signal) => {
      const states = statesOf(filter);
      if (states.length > 0 && !states.some(action.fits)) return { filters: [], isCapped: false };
      // The routes take one state.
      const direct = states.length > 1 ? undefined : toRoute(action.name, asked);
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

/** The filters that each route supports; for any other, jobs are collected through the list. */
const TAKES: Readonly<Record<BulkName, readonly string[]>> = {
  retry: ["task", "queue", "tenant", "error"],
  discard: ["task", "queue", "tenant", "error"],
  cancel: ["state", "task", "queue", "tenant", "correlationId", "parentId", "createdAfter", "createdBefore"],
  priority: ["state", "task", "queue", "tenant", "correlationId", "parentId", "createdAfter", "createdBefore"],
  rerun: ["state", "task", "queue", "tenant", "correlationId", "parentId", "error", "createdAfter", "createdBefore"],
};

function toRoute(action: BulkName, asked: Readonly<Record<string, string | undefined>>): object | undefined {
  const given = Object.entries(asked).filter(([, value]) => value !== undefined);
  // These routes act on failed jobs only.
  const told = action === "retry" || action === "discard" ? given.filter(([name]) => name !== "state") : given;
  if (told.some(([name]) => !TAKES[action].includes(name))) return undefined;
  return Object.fromEntries(told);
}
