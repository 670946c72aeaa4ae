import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import type { Duration } from "../duration.ts";
import { toFilter } from "./job-filter.ts";

/** Selects failed jobs. A job must match all given fields; an empty filter matches every failed job. */
export interface FailedFilter {
  ids?: readonly string[];
  /** Has no effect, because these jobs have all failed. It is allowed so that the filter of a list can be reused. */
  state?: "failed";
  task?: string;
  queue?: string;
  tenant?: string;
  correlationId?: string;
  parentId?: string;
  createdAfter?: Date;
  createdBefore?: Date;
  /** A group from `legwork.failed_groups`. */
  fingerprint?: string;
  /** Part of the error message; case is ignored. */
  error?: string;
  failedAfter?: Date;
  failedBefore?: Date;
  /** Only jobs that failed within this period before now, such as `10m`, no matter when they were created. */
  failedSince?: Duration;
}

/** Selects the failed jobs that are grouped. */
export type FailedGroupFilter = Pick<
  FailedFilter,
  "task" | "queue" | "tenant" | "fingerprint" | "error" | "failedAfter" | "failedBefore" | "failedSince"
>;

/** A row of `legwork.find_failed_groups`. */
export interface FailedGroup {
  fingerprint: string;
  task: string;
  queue: string;
  jobs: string;
  first_at: Date;
  last_at: Date;
  last_id: string;
  last_error: string | null;
  /** How many of the jobs failed in each of the equally long intervals between `counted_from` and `counted_to`. */
  counts: number[];
  counted_from: Date;
  counted_to: Date;
}

/**
 * Lists the matching failed jobs that can be retried, grouped by error, largest group first; at most 500 groups. Throws LW400 for an invalid filter,
 * LW404 for an unknown task or queue.
 *
 * @example
 * import { listFailedGroups, retryJobs } from "legwork/operations";
 *
 * const [worst] = await listFailedGroups(client, { failedSince: "10m" });
 * if (worst !== undefined) await retryJobs(client, { fingerprint: worst.fingerprint });
 */
export async function listFailedGroups(client: Queryable, filter: FailedGroupFilter = {}): Promise<FailedGroup[]> {
  return await callFunction(client, "legwork.find_failed_groups", { filter: toFilter(filter) });
}
