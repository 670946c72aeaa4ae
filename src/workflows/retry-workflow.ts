import { assertId, toTimestamp } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";

/**
 * Goes on with a workflow that failed, expired or was cancelled: failed steps are retried, cancelled ones are made again, completed ones are kept
 * unless they were undone. With `fromStep` that step, or the steps of that sub-workflow, and all behind it are run again, also when they, or the
 * workflow, have completed. A deadline that has passed is dropped unless a new one is given. Throws LW404 for an unknown workflow or step, LW409
 * for a workflow that runs, that has completed and of which no step is named, or whose payloads were forgotten.
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
