import { toTimestamp } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { assertPayloads } from "../jobs/enqueue.ts";
import { jobsOfSteps, type WorkflowSteps, stepsToRow, type Workflow } from "./define-workflow.ts";

export interface StartWorkflowOptions {
  /** The tenant of the workflow and its jobs. */
  tenant?: string;
  /** The correlation id of all its jobs; `workflow:` and its id by default. */
  correlationId?: string;
  /** When unfinished jobs of the workflow are cancelled and the workflow expires. */
  deadline?: Date;
}

/**
 * Starts a workflow on the caller's connection, within its open transaction if there is one, and returns its id. Steps without
 * dependencies can start when it commits.
 *
 * Throws LW422 for a payload that does not match its task, LW404 for an unknown step or task, LW400 for invalid steps, naming the steps of a cycle.
 *
 * @example
 * import { defineWorkflow } from "legwork";
 * import { startWorkflow } from "legwork/operations";
 *
 * const id = await startWorkflow(client, defineWorkflow({ name: "sign-up", steps: { sync: { task: "crm/sync" } } }));
 */
export async function startWorkflow<S extends WorkflowSteps>(
  client: Queryable,
  workflow: Workflow<S>,
  options: StartWorkflowOptions = {},
): Promise<string> {
  await assertPayloads(client, jobsOfSteps(workflow.steps), (job) => `Step '${job.step}'`);
  const [row] = await callFunction(client, "legwork.start_workflow", {
    name: workflow.name,
    steps: JSON.stringify(stepsToRow(workflow.steps)),
    tenant: options.tenant,
    correlation_id: options.correlationId,
    deadline: toTimestamp("deadline", options.deadline),
  });
  return String(row.start_workflow);
}
