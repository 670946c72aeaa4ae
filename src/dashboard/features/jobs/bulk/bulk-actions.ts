import { rest, withQuery } from "../../../api/request.ts";
import { isFinished } from "../../../components/state-badge.tsx";
import { type JobFilter, statesOf, toQuery } from "../filter.ts";
import type { JobPage } from "../job-line.ts";
import { words } from "../words.ts";

/** The maximum number of jobs that are collected from the list if the bulk route does not support the filter. */
export const MAX_COLLECTED = 10_000;

type BulkName = "retry" | "cancel" | "discard" | "rerun" | "priority";

export interface BulkAction {
  name: BulkName;
  kind: "primary" | "danger";
  path: string;
  /** Whether the action applies to jobs in that state. */
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

/** A filter that matches no job. The list of ids must not be empty, so it contains an id that no job has. */
const NO_JOBS = { ids: ["0"] };

/** The jobs that a bulk action applies to. */
export interface BulkTarget {
  /** Its description, such as "the 17 selected jobs". */
  words: string;
  /** The filter of the request, and whether more jobs match than could be collected. */
  resolve: (action: BulkAction, signal: AbortSignal) => Promise<{ filter: object; isCapped: boolean }>;
}

export function selectedJobs(ids: readonly string[]): BulkTarget {
  return {
    words: words.bulk.targets.selected(ids.length),
    resolve: async () => ({ filter: { ids }, isCapped: false }),
  };
}

/** Failed jobs that match a filter of the bulk routes. */
export function failedJobs(filter: object, description: string): BulkTarget {
  return { words: description, resolve: async () => ({ filter, isCapped: false }) };
}

/** All jobs that match the list's filter. If the bulk route does not support the filter, at most 10,000 jobs are collected from the list. */
export function matchingJobs(filter: JobFilter): BulkTarget {
  // Computed once, so that all requests use the same time.
  const asked = toQuery(filter);
  return {
    words: words.bulk.targets.matching,
    resolve: async (action, signal) => {
      const states = statesOf(filter);
      if (states.length > 0 && !states.some(action.fits)) return { filter: NO_JOBS, isCapped: false };
      // The bulk routes accept only one state.
      const direct = states.length > 1 ? undefined : toRoute(action.name, asked);
      if (direct !== undefined) return { filter: direct, isCapped: false };
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
      if (ids.length === 0) return { filter: NO_JOBS, isCapped: false };
      return { filter: { ids: ids.slice(0, MAX_COLLECTED) }, isCapped: ids.length > MAX_COLLECTED };
    },
  };
}

/** The names of the filters in the routes for failed jobs. */
const FAILED: Readonly<Record<string, string>> = {
  finishedAfter: "failedAfter",
  finishedBefore: "failedBefore",
  finishedSince: "failedSince",
};

const COMMON_FIELDS = ["task", "queue", "tenant", "correlationId", "parentId", "createdAfter", "createdBefore"];
const FAILED_FIELDS = [...COMMON_FIELDS, "error", "failedAfter", "failedBefore", "failedSince"];
const LIVE_FIELDS = [...COMMON_FIELDS, "state", "jobKey"];

/** The filters that each route supports. For other filters, jobs are collected from the list. */
const TAKES: Readonly<Record<BulkName, readonly string[]>> = {
  retry: FAILED_FIELDS,
  discard: FAILED_FIELDS,
  cancel: LIVE_FIELDS,
  priority: LIVE_FIELDS,
  rerun: [...COMMON_FIELDS, "state", "error", "finishedAfter", "finishedBefore", "finishedSince"],
};

function toRoute(action: BulkName, asked: Readonly<Record<string, string | undefined>>): object | undefined {
  const given = Object.entries(asked).filter(([, value]) => value !== undefined);
  // These routes act on failed jobs only.
  const named =
    action === "retry" || action === "discard"
      ? given.filter(([name]) => name !== "state").map(([name, value]) => [FAILED[name] ?? name, value])
      : given;
  if (named.some(([name]) => !TAKES[action].includes(name ?? ""))) return undefined;
  return Object.fromEntries(named);
}
