import type { BatchRow } from "../workflows/batches.ts";
import type { WorkflowRow, WorkflowStepRow } from "../workflows/read-workflows.ts";
import { type CamelCased, camelCased } from "./camel-case.ts";

const WORKFLOW = {
  correlation_id: "correlationId",
  parent_id: "parentId",
  created_at: "createdAt",
  ended_at: "endedAt",
} as const;

/** A workflow that was started. */
export type Workflow = CamelCased<WorkflowRow>;
export const toWorkflow = camelCased<WorkflowRow>(WORKFLOW);

/** A job of a workflow. */
export type WorkflowStep = CamelCased<WorkflowStepRow>;
export const toWorkflowStep = camelCased<WorkflowStepRow>({
  depends_on: "dependsOn",
  on_failure: "onFailure",
  job_id: "jobId",
  started_at: "startedAt",
  finished_at: "finishedAt",
  compensation_job_id: "compensationJobId",
  compensation_state: "compensationState",
});

/** A batch with its progress. */
export type Batch = CamelCased<BatchRow>;
export const toBatch = camelCased<BatchRow>({
  callback_job_id: "callbackJobId",
  correlation_id: "correlationId",
  created_at: "createdAt",
  ended_at: "endedAt",
});
