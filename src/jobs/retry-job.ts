import { assertId } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import type { FailedFilter } from "./failed-jobs.ts";
import { toFilter } from "./job-filter.ts";
import type { JobState } from "./read-jobs.ts";

/**
 * Makes a job start now. A failed job gets all its attempts again; a job that waits for its start time or its next attempt becomes due. Limits and
 * pauses still hold it back. Returns its state. Throws LW404 for an unknown job, LW409 for one that is running, or that has ended in a state other
 * than failed.
 *
 * @example
 * import { retryJob } from "legwork/operations";
 *
 * await retryJob(client, "43");
 */
export async function retryJob(client: Queryable, id: string): Promise<JobState> {
  const [row] = await callFunction(client, "legwork.retry_job", { job_id: assertId("job", id) });
  return row.retry_job;
}

/**
 * Retries the failed jobs that match, oldest first, at most 10,000 (or `atMost`). Returns their ids. With `preview` nothing changes: it returns the
 * jobs that would be retried. Throws LW400 for an invalid filter, LW404 for an unknown task or queue.
 *
 * @example
 * import { retryJobs } from "legwork/operations";
 *
 * const ids = await retryJobs(client, { task: "notify/email", error: "ECONNREFUSED" });
 */
export async function retryJobs(
  client: Queryable,
  filter: FailedFilter,
  options: { preview?: boolean; atMost?: number } = {},
): Promise<string[]> {
  const rows = await callFunction(client, "legwork.retry_jobs", {
    filter: toFilter(filter),
    preview: options.preview,
    at_most: options.atMost,
  });
  return rows.map((row) => String(row.retry_jobs));
}
