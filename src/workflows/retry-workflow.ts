import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { assertWorkflowId } from "./read-workflows.ts";

/**
 * Goes on with a workflow that failed, expired or was cancelled: failed steps are retried, cancelled ones are made again, completed ones are kept
 * unless they were undone. A deadline that has passed is dropped unless a new one is given. Throws LW404 for an unknown workflow, LW409 for one
 * that runs or has completed.
 */
export async function retryWorkflow(client: Queryable, id: string, options: { deadline?: Date } = {}): Promise<void> {
  await callFunction(client, "retry_workflow", { workflow_id: assertWorkflowId(id), deadline: options.deadline?.toISOString() });
}
