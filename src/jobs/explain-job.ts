import { assertId } from "../bounds.ts";
import type { SuggestedAction } from "../contract/jobs.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";

/** A reason why a job is not running. */
export interface Reason {
  position: number;
  /** A machine-readable code, such as `queue_paused` or `concurrency_limit`; the comment on `legwork.explain_job` lists them all. */
  reason: string;
  detail: string;
  /**
   * What to do about it, worded for the surface: a statement, a request or a command in backticks. If the caller may not do it, the text says to ask
   * an operator.
   */
  fix: string;
  /**
   * The actions in `fix`, one for each text in backticks, such as `{ do: "retry_job", id: "42" }`. Empty if nothing can be done, or if the caller may
   * not do it.
   */
  actions: SuggestedAction[];
}

/**
 * Explains why a job is not running: returns every reason, in the order in which they apply. Throws LW404 for an unknown job.
 *
 * @example
 * import { explainJob } from "legwork/operations";
 *
 * for (const { detail, fix } of await explainJob(client, "42")) console.log(`${detail} ${fix}`);
 */
export async function explainJob(client: Queryable, id: string): Promise<Reason[]> {
  return await callFunction(client, "legwork.explain_job", { job_id: assertId("job", id) });
}
