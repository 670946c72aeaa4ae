import { assertId, toTimestamp } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";

/**
 * Resumes a workflow that failed, expired or was cancelled: failed steps are retried, cancelled steps are enqueued again, completed steps are kept
 * unless they were compensated. With `fromStep`, that step (or the steps of that sub-workflow) and all steps after it run again, even if they or the
 * workflow have completed. A deadline that has passed is removed unless a new one is given. Throws LW404 for an unknown workflow or step, LW409
 * for a workflow that is running, that has completed (unless a step is named), or whose payloads have been deleted.
 *
 * @example
 * import { listWorkflows, retryWorkflow } from "legwork/operations";
 *
 * for (const { id } of await listWorkflows(client, { state: "failed" })) await retryWorkflow(client, id);
 */
export async function retryWorkflow(
  client: Queryable,
  id: string,
  options: { deadline?: Date | undefined; fromStep?: string | undefined } = {},
): Promise<void> {
  await callFunction(client, "legwork.retry_workflow", {
    workflow_id: assertId("workflow", id),
    deadline: toTimestamp("deadline", options.deadline),
    from_step: options.fromStep,
  });
}
