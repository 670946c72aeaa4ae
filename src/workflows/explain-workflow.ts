import { assertId } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import type { Reason } from "../jobs/explain-job.ts";

/**
 * Explains why a workflow does not progress, or how it ended: its failed steps, and what its open steps wait for. Throws LW404 for an unknown
 * workflow.
 *
 * @example
 * import { explainWorkflow } from "legwork/operations";
 *
 * for (const { detail, fix } of await explainWorkflow(client, "7")) console.log(`${detail} ${fix}`);
 */
export async function explainWorkflow(client: Queryable, id: string): Promise<Reason[]> {
  return await callFunction(client, "legwork.explain_workflow", { workflow_id: assertId("workflow", id) });
}
