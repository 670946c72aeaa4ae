import { z } from "zod";
import { type Answer, countText, row, toColumns } from "./rows.ts";
import { at } from "./times.ts";
import { newJobSchema } from "./jobs.ts";
import { cursorOver, page, pageLimit } from "./page.ts";
import { BATCH_STATES, JOB_STATES, WORKFLOW_STATES } from "./states.ts";
import { jobId, json, text, time } from "./values.ts";

export const workflowCursor = cursorOver("workflows", jobId);
export const batchCursor = cursorOver("batches", jobId);
const onFailure = z.enum(["stop", "continue", "compensate"]);

/** A row of `legwork.workflows`, as JSON. */
export const workflowSchema = row({
  id: z.string(),
  name: z.string(),
  state: z.enum(WORKFLOW_STATES),
  reason: z.string().nullable(),
  total: z.int().describe("The number of its steps."),
  completed: countText(),
  failed: countText(),
  cancelled: countText(),
  expired: countText(),
  progress: z.number().describe("The share of its steps that have ended, in percent."),
  tenant: z.string().nullable(),
  correlationId: z.string(),
  parentId: z.string().nullable(),
  deadline: at.nullable(),
  createdAt: at,
  endedAt: at.nullable(),
}).describe("A workflow: a row of legwork.workflows.");

export const workflowStepSchema = row({
  name: z.string(),
  position: z.int(),
  task: z.string(),
  dependsOn: z.array(z.string()),
  onFailure: onFailure,
  jobId: z.string(),
  state: z.enum(JOB_STATES).nullable(),
  attempts: z.int().nullable(),
  result: z.unknown(),
  error: z.string().nullable(),
  startedAt: at.nullable(),
  finishedAt: at.nullable(),
  compensationJobId: z.string().nullable(),
  compensationState: z.enum(JOB_STATES).nullable(),
});

export const workflowWithStepsSchema = workflowSchema
  .extend({
    steps: z.array(workflowStepSchema),
  })
  .describe("A workflow with its steps, each after the steps that it depends on.");

export const batchSchema = row({
  id: z.string(),
  description: z.string().nullable(),
  state: z.enum(BATCH_STATES),
  total: z.int(),
  completed: countText(),
  failed: countText(),
  cancelled: countText(),
  expired: countText(),
  progress: z.number(),
  callbackJobId: z.string().nullable(),
  tenant: z.string().nullable(),
  correlationId: z.string(),
  createdAt: at,
  endedAt: at.nullable(),
}).describe("A batch: a row of legwork.batches.");

export const startWorkflowBody = z
  .strictObject({
    name: text(128).describe("The kind of workflow; names need not be unique."),
    steps: json.describe(
      "The steps: an object of steps by name, or an array of steps that have a name. Each has task, payload, dependsOn, onFailure,  " +
        "compensate, maxAttempts, priority, runAt, delay and serialKey, or nested steps.",
    ),
    tenant: text(200).optional(),
    correlationId: text(200).optional(),
    deadline: time.optional().describe("The time at which the workflow's jobs that have not ended are cancelled."),
  })
  .meta({
    description: "The workflow to start.",
    examples: [
      { name: "nightly", steps: { import: { task: "notify/email" }, report: { task: "report/daily", dependsOn: ["import"] } } },
    ],
  });

/** A batch always creates new jobs, so its jobs have no job key. */
const batchJob = newJobSchema.omit({
  jobKey: true,
  jobKeyMode: true,
  uniqueFor: true,
  uniqueKey: true,
  debounce: true,
  debounceMax: true,
  throttle: true,
  overlap: true,
});

export const workflowQuery = z.strictObject({
  state: z.enum(WORKFLOW_STATES).optional(),
  name: text(128).optional(),
  tenant: text(256).optional(),
  before: jobId.optional().describe("Only workflows with a smaller id: the next page."),
  cursor: workflowCursor.schema.optional(),
  limit: pageLimit,
});
export const workflowPage = page(workflowSchema, "A page of workflows.");
export const startedWorkflowSchema = z.object({ id: z.string() }).describe("The workflow.");
export const cancelWorkflowBody = z
  .strictObject({ reason: text(1_000).optional() })
  .optional()
  .meta({ examples: [{ reason: "wrong input" }] });
export const retryWorkflowBody = z
  .strictObject({
    deadline: time.optional(),
    fromStep: text(1_000).optional().describe("Rerun this step and every step after it, even those that have completed."),
  })
  .optional()
  .meta({ examples: [{ deadline: "2030-01-01T00:00:00Z" }] });

export const batchBody = z
  .strictObject({
    jobs: z.array(batchJob).min(1).max(1_000),
    description: text(1_000).optional(),
    callback: batchJob.optional().describe("A job that runs when all jobs of the batch have ended, in any state."),
    tenant: text(200).optional(),
    correlationId: text(200).optional(),
  })
  .meta({ examples: [{ jobs: [{ task: "notify/email" }, { task: "report/daily" }], description: "month's end" }] });
export const startedBatchSchema = z.object({ id: z.string() }).describe("The batch.");
export const batchQuery = z.strictObject({
  state: z.enum(BATCH_STATES).optional(),
  tenant: text(256).optional(),
  before: jobId.optional().describe("Only batches with a smaller id: the next page."),
  cursor: batchCursor.schema.optional(),
  limit: pageLimit,
});
export const batchPage = page(batchSchema, "A page of batches.");

const STEP_FIELDS = ["dependsOn", "onFailure", "maxAttempts", "runAt", "serialKey"];

/**
 * Converts the steps of a new workflow for `legwork.start_workflow`: an array of steps that have a name, or an object of steps by name. Throws LW400.
 */
export function toStepRows(steps: unknown): unknown {
  const toRow = (step: unknown): unknown => {
    const found = toColumns(STEP_FIELDS, step) as { steps?: unknown };
    return typeof found === "object" && found !== null && found.steps !== undefined
      ? { ...found, steps: toStepRows(found.steps) }
      : found;
  };
  if (Array.isArray(steps)) return steps.map(toRow);
  if (typeof steps !== "object" || steps === null) return steps;
  return Object.fromEntries(Object.entries(steps).map(([name, step]) => [name, toRow(step)]));
}

/** Converts a job of a new batch for `legwork.enqueue_batch`. Throws LW400. */
export function toBatchJobRow(job: unknown): unknown {
  return toColumns(Object.keys(batchJob.shape), job);
}

/** A workflow. */
export type Workflow = Answer<typeof workflowSchema>;
/** A workflow with its steps. */
export type WorkflowWithSteps = Answer<typeof workflowWithStepsSchema>;
/** A step of a workflow. */
export type WorkflowStep = Answer<typeof workflowStepSchema>;
/** A batch. */
export type Batch = Answer<typeof batchSchema>;
