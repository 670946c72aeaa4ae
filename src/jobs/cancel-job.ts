import { assertId } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { toFilter } from "./job-filter.ts";
import type { JobState } from "./read-jobs.ts";

/**
 * Cancels a job. One that waits never starts; one that runs is told to stop by its signal within a second and is not retried.
 * Resolves to `cancelled`, or to `running` while its worker is being told. Throws LW404 for an unknown job, LW409 for one that
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

/** Which jobs that have not ended; all that is given must fit. An empty filter is every one of them. */
export interface LiveFilter {
  ids?: readonly string[];
  /** One that a job has before its end. */
  state?: JobState;
  task?: string;
  queue?: string;
  tenant?: string;
  correlationId?: string;
  parentId?: string;
  createdAfter?: Date;
  createdBefore?: Date;
}

/**
 * Cancels the jobs that fit, oldest first and at most 10,000 (`atMost`), and resolves to their ids. With `preview` nothing changes: these
 * are the ones that would be cancelled. Throws LW400 for a filter that makes no sense, LW404 for an unknown task or queue.
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
