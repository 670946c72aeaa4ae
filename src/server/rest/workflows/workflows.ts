import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { callFunction } from "../../../db/call-function.ts";
import { JOB_STATES } from "../../../jobs/read-jobs.ts";
import { BATCH_STATES, enqueueBatch, getBatch, listBatches } from "../../../workflows/batches.ts";
import { cancelWorkflow } from "../../../workflows/cancel-workflow.ts";
import { getWorkflow, listWorkflows, WORKFLOW_STATES } from "../../../workflows/read-workflows.ts";
import { retryWorkflow } from "../../../workflows/retry-workflow.ts";
import { inField, toSpec } from "../jobs/create.ts";
import { idempotencyHeaders, once } from "../idempotency.ts";
import { newJobSchema } from "../jobs/job-schemas.ts";
import { addRoute, type RestContext } from "../route.ts";
import { cursorOver, jobId, json, page, pageLimit, text, time, toPage } from "../values.ts";

const at = z.iso.datetime();
const workflowCursor = cursorOver("workflows", jobId);
const batchCursor = cursorOver("batches", jobId);
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

const withSteps = workflowSchema
  .extend({
    steps: z.array(
      z
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
        .loose(),
    ),
  })
  .loose()
  .describe("A workflow with its steps, each behind those it depends on.");

const batchSchema = z
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

const startBody = z
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

/** Workflows and batches: jobs that belong together. */
export function addWorkflowRoutes(app: FastifyInstance, context: RestContext): void {
  const one = { tag: "workflows", params: z.object({ id: jobId }), answer: workflowSchema } as const;

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/workflows",
      tag: "workflows",
      role: "viewer",
      summary: "List workflows, newest first",
      query: z.strictObject({
        state: z.enum(WORKFLOW_STATES).optional(),
        name: text(128).optional(),
        tenant: text(256).optional(),
        cursor: workflowCursor.schema.optional(),
        limit: pageLimit,
      }),
      answer: page(workflowSchema, "A page of workflows."),
    },
    async ({ client, query: { cursor, limit, ...filter } }) =>
      toPage(await listWorkflows(client, { ...filter, before: cursor, limit: limit + 1 }), limit, ({ id }) =>
        workflowCursor.make(id),
      ),
  );
  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/workflows",
      tag: "workflows",
      role: "operator",
      summary: "Start a workflow",
      headers: idempotencyHeaders,
      body: startBody,
      status: 201,
      answer: z.object({ id: z.string() }).describe("The workflow."),
      problems: ["LW404", "LW409", "LW422"],
    },
    async (call) =>
      await once(call, async () => {
        const { name, steps, tenant, correlation_id, deadline } = call.body;
        const [row] = await callFunction(call.client, "legwork.start_workflow", {
          name,
          steps: JSON.stringify(steps ?? null),
          tenant,
          correlation_id,
          deadline: deadline?.toISOString(),
        });
        return { id: String(row.start_workflow) };
      }),
  );
  addRoute(
    app,
    context,
    {
      ...one,
      method: "GET",
      url: "/workflows/:id",
      role: "viewer",
      summary: "Get one workflow with its steps",
      answer: withSteps,
      problems: ["LW404"],
      etag: true,
    },
    async ({ client, params }) => await getWorkflow(client, params.id),
  );
  addRoute(
    app,
    context,
    {
      ...one,
      method: "POST",
      url: "/workflows/:id/cancel",
      role: "operator",
      summary: "Cancel a workflow: waiting steps never start, running ones are told to stop",
      body: z
        .strictObject({ reason: text(1_000).optional() })
        .optional()
        .meta({ examples: [{ reason: "wrong input" }] }),
      answer: withSteps,
      problems: ["LW404", "LW409"],
    },
    async ({ client, params, body }) => {
      await cancelWorkflow(client, params.id, body?.reason);
      return await getWorkflow(client, params.id);
    },
  );
  addRoute(
    app,
    context,
    {
      ...one,
      method: "POST",
      url: "/workflows/:id/retry",
      role: "operator",
      summary: "Go on with a workflow that failed, expired or was cancelled, or run it again from a step on",
      body: z
        .strictObject({
          deadline: time.optional(),
          from_step: text(1_000).optional().describe("This step and all behind it are run again, also when they have completed."),
        })
        .optional()
        .meta({ examples: [{ deadline: "2030-01-01T00:00:00Z" }] }),
      answer: withSteps,
      problems: ["LW404", "LW409"],
    },
    async ({ client, params, body }) => {
      await retryWorkflow(client, params.id, { deadline: body?.deadline, fromStep: body?.from_step });
      return await getWorkflow(client, params.id);
    },
  );

  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/batches",
      tag: "workflows",
      role: "enqueuer",
      summary: "Enqueue many jobs as one batch, all or none",
      headers: idempotencyHeaders,
      bodyLimit: 5_000_000,
      body: z
        .strictObject({
          jobs: z.array(batchJob).min(1).max(1_000),
          description: text(1_000).optional(),
          callback: batchJob.optional().describe("Runs when all jobs have ended, however they ended."),
          tenant: text(200).optional(),
          correlation_id: text(200).optional(),
        })
        .meta({ examples: [{ jobs: [{ task: "notify/email" }, { task: "report/daily" }], description: "month's end" }] }),
      status: 201,
      answer: z.object({ id: z.string() }).describe("The batch."),
      problems: ["LW404", "LW409", "LW422"],
    },
    async (call) =>
      await once(call, async () => {
        const { jobs, callback, description, tenant, correlation_id } = call.body;
        const id = await inField("jobs", () =>
          enqueueBatch(call.client, jobs.map(toSpec), {
            ...(callback === undefined ? {} : { callback: toSpec(callback) }),
            description,
            tenant,
            correlationId: correlation_id,
          }),
        );
        return { id };
      }),
  );
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/batches",
      tag: "workflows",
      role: "viewer",
      summary: "List batches, newest first",
      query: z.strictObject({
        state: z.enum(BATCH_STATES).optional(),
        tenant: text(256).optional(),
        cursor: batchCursor.schema.optional(),
        limit: pageLimit,
      }),
      answer: page(batchSchema, "A page of batches."),
    },
    async ({ client, query: { cursor, limit, ...filter } }) =>
      toPage(await listBatches(client, { ...filter, before: cursor, limit: limit + 1 }), limit, ({ id }) => batchCursor.make(id)),
  );
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/batches/:id",
      tag: "workflows",
      role: "viewer",
      summary: "Get a batch with its progress",
      params: z.object({ id: jobId }),
      answer: batchSchema,
      problems: ["LW404"],
      etag: true,
    },
    async ({ client, params }) => await getBatch(client, params.id),
  );
}
