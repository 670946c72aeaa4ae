import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { assertJobId, type JobState } from "./read-jobs.ts";

/**
 * Cancels a job. One that waits never starts; one that runs is told to stop by its signal within a second and is not retried.
 * Resolves to `cancelled`, or to `running` while its worker is being told. Throws LW404 for an unknown job, LW409 for one that
 * has ended.
 */
export async function cancelJob(client: Queryable, id: string, reason?: string): Promise<JobState> {
  const [row] = await callFunction(client, "cancel_job", { job_id: assertJobId(id), reason });
  return row.cancel_job;
}
