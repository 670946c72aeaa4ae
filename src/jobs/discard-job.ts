import { assertId } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import type { FailedFilter } from "./failed-jobs.ts";
import { toFilter } from "./job-filter.ts";

/**
 * Discards a failed job: it can no longer be retried, and stays in the history as failed. Throws LW404 for an unknown job, LW409
 * for one that has not failed.
 *
 * @example
 * import { discardJob } from "legwork/operations";
 *
 * await discardJob(client, "43");
 */
export async function discardJob(client: Queryable, id: string): Promise<void> {
  await callFunction(client, "legwork.discard_job", { job_id: assertId("job", id) });
}

/**
 * Discards the failed jobs that match. The options, limits and errors are those of `retryJobs`.
 *
 * @example
 * import { discardJobs } from "legwork/operations";
 *
 * const ids = await discardJobs(client, { failedBefore: new Date("2026-01-01") });
 */
export async function discardJobs(
  client: Queryable,
  filter: FailedFilter,
  options: { preview?: boolean; atMost?: number } = {},
): Promise<string[]> {
  const rows = await callFunction(client, "legwork.discard_jobs", {
    filter: toFilter(filter),
    preview: options.preview,
    at_most: options.atMost,
  });
  return rows.map((row) => String(row.discard_jobs));
}
