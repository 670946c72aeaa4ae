import { assertId } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";

/**
 * Cancels a workflow: waiting steps never start, running steps are signaled to stop, and nothing is compensated. Returns `cancelled`, or
 * `cancelling` while steps are still running. Throws LW404 for an unknown workflow, LW409 for one that has ended.
 *
 * @example
 * import { cancelWorkflow, listWorkflows } from "legwork/operations";
 *
 * for (const { id } of await listWorkflows(client, { state: "running" })) await cancelWorkflow(client, id, "replaced");
 */
export async function cancelWorkflow(client: Queryable, id: string, reason?: string): Promise<"cancelled" | "cancelling"> {
  const [row] = await callFunction(client, "legwork.cancel_workflow", { workflow_id: assertId("workflow", id), reason });
  return row.cancel_workflow;
}
