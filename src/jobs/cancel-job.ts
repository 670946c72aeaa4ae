import { assertId } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { toFilter } from "./job-filter.ts";
import type { JobState } from "./read-jobs.ts";

/**
 * Cancels a job. A waiting job never starts. A running job's signal aborts within a second, and the job is not retried.
 * Returns `cancelled`, or `running` until its worker has responded. Throws LW404 for an unknown job, LW409 for one that
 * has ended.
 *
 * @example
 * import { cancelJob } from "legwork/operations";
 *
 * await cancelJob(client, "42", "wrong recipients");
 */
export async function cancelJob(client: Queryable, id: string, reason?: string): Promise<JobState> {
  const [row] = await callFunction(client, "legwork.cancel_job", { job_id: assertId("job", id), reason });
  return row.cancel_job;
}

/** Selects jobs that have not ended. A job must match all given fields; an empty filter matches every unfinished job. */
export interface LiveFilter {
  ids?: readonly string[];
  /** A state other than completed, failed, cancelled and expired. */
  state?: JobState;
  task?: string;
  queue?: string;
  tenant?: string;
  correlationId?: string;
  parentId?: string;
  jobKey?: string;
  createdAfter?: Date;
  createdBefore?: Date;
}

/**
 * Cancels the jobs that match, oldest first, at most 10,000 (or `atMost`). Returns their ids. With `preview` nothing changes: it returns the jobs
 * that would be cancelled. Throws LW400 for an invalid filter, LW404 for an unknown task or queue.
 *
 * @example
 * import { cancelJobs } from "legwork/operations";
 *
 * const ids = await cancelJobs(client, { task: "notify/email" }, { preview: true });
 */
export async function cancelJobs(
  client: Queryable,
  filter: LiveFilter,
  options: { reason?: string; preview?: boolean; atMost?: number } = {},
): Promise<string[]> {
  const rows = await callFunction(client, "legwork.cancel_jobs", {
    filter: toFilter(filter),
    reason: options.reason,
    preview: options.preview,
    at_most: options.atMost,
  });
  return rows.map((row) => String(row.cancel_jobs));
}
