import { z } from "zod";
import { newJobSchema } from "./jobs.ts";
import { cursorOver, page, pageLimit } from "./page.ts";
import { BATCH_STATES, JOB_STATES, WORKFLOW_STATES } from "./states.ts";
import { at, jobId, json, text, time } from "./values.ts";

export const workflowCursor = cursorOver("workflows", jobId);
export const batchCursor = cursorOver("batches", jobId);
const onFailure = z.enum(["stop", "continue", "compensate"]);

/** A row of `legwork.workflows`, as JSON. */
export const workflowSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    state: z.enum(WORKFLOW_STATES),
    reason: z.string().nullable(),
    total: z.int().describe("Its steps."),
    completed: z.string(),
    failed: z.string(),
    cancelled: z.string(),
    expired: z.string(),
    progress: z.number().describe("How many of its steps have ended, in percent."),
    tenant: z.string().nullable(),
    correlation_id: z.string(),
    parent_id: z.string().nullable(),
    deadline: at.nullable(),
    created_at: at,
    ended_at: at.nullable(),
  })
  .loose()
  .describe("A workflow: a row of legwork.workflows.");

export const workflowStepSchema = z
  .object({
    name: z.string(),
    position: z.int(),
    task: z.string(),
    depends_on: z.array(z.string()),
    on_failure: onFailure,
    job_id: z.string(),
    state: z.enum(JOB_STATES).nullable(),
    attempts: z.int().nullable(),
    result: z.unknown(),
    error: z.string().nullable(),
    started_at: at.nullable(),
    finished_at: at.nullable(),
    compensation_job_id: z.string().nullable(),
    compensation_state: z.enum(JOB_STATES).nullable(),
  })
  .loose();

export const workflowWithStepsSchema = workflowSchema
  .extend({
    steps: z.array(workflowStepSchema),
  })
  .loose()
  .describe("A workflow with its steps, each behind those it depends on.");

export const batchSchema = z
  .object({
    id: z.string(),
    description: z.string().nullable(),
    state: z.enum(BATCH_STATES),
    total: z.int(),
    completed: z.string(),
    failed: z.string(),
    cancelled: z.string(),
    expired: z.string(),
    progress: z.number(),
    callback_job_id: z.string().nullable(),
    tenant: z.string().nullable(),
    correlation_id: z.string(),
    created_at: at,
    ended_at: at.nullable(),
  })
  .loose()
  .describe("A batch: a row of legwork.batches.");

export const startWorkflowBody = z
  .strictObject({
    name: text(128).describe("What kind of workflow it is; many may have the same name."),
    steps: json.describe(
      "The steps as legwork.start_workflow takes them: an object of steps by name, or an array of steps with a name, each with task, payload, depends_on, on_failure, " +
        "compensate, max_attempts, priority, run_at, delay, serial_key; or with steps of its own.",
    ),
    tenant: text(200).optional(),
    correlation_id: text(200).optional(),
    deadline: time.optional().describe("What has not ended then is cancelled."),
  })
  .meta({
    description: "The workflow to start.",
    examples: [
      { name: "nightly", steps: { import: { task: "notify/email" }, report: { task: "report/daily", depends_on: ["import"] } } },
    ],
  });

/** A job of a batch is a new one and the batch's own, so without a key. */
const batchJob = newJobSchema.omit({
  job_key: true,
  job_key_mode: true,
  unique_for: true,
  unique_key: true,
  debounce: true,
  debounce_max: true,
  throttle: true,
  overlap: true,
});

export const workflowQuery = z.strictObject({
  state: z.enum(WORKFLOW_STATES).optional(),
  name: text(128).optional(),
  tenant: text(256).optional(),
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
    from_step: text(1_000).optional().describe("This step and all behind it are run again, also when they have completed."),
  })
  .optional()
  .meta({ examples: [{ deadline: "2030-01-01T00:00:00Z" }] });

export const batchBody = z
  .strictObject({
    jobs: z.array(batchJob).min(1).max(1_000),
    description: text(1_000).optional(),
    callback: batchJob.optional().describe("Runs when all jobs have ended, however they ended."),
    tenant: text(200).optional(),
    correlation_id: text(200).optional(),
  })
  .meta({ examples: [{ jobs: [{ task: "notify/email" }, { task: "report/daily" }], description: "month's end" }] });
export const startedBatchSchema = z.object({ id: z.string() }).describe("The batch.");
export const batchQuery = z.strictObject({
  state: z.enum(BATCH_STATES).optional(),
  tenant: text(256).optional(),
  cursor: batchCursor.schema.optional(),
  limit: pageLimit,
});
export const batchPage = page(batchSchema, "A page of batches.");
