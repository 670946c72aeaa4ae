import { batchSchema, workflowSchema, workflowStepSchema } from "../contract/workflows.ts";
import { type Answer, rowReader } from "../contract/rows.ts";

/** A workflow that was started. */
export type Workflow = Answer<typeof workflowSchema>;
export const toWorkflow = rowReader(workflowSchema);

/** A job of a workflow. */
export type WorkflowStep = Answer<typeof workflowStepSchema>;
export const toWorkflowStep = rowReader(workflowStepSchema);

/** A batch with its progress. */
export type Batch = Answer<typeof batchSchema>;
export const toBatch = rowReader(batchSchema);
