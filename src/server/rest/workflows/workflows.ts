import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { toPage } from "../../../contract/page.ts";
import { jobId } from "../../../contract/values.ts";
import {
  batchBody,
  batchCursor,
  batchPage,
  batchQuery,
  batchSchema,
  cancelWorkflowBody,
  retryWorkflowBody,
  startedBatchSchema,
  startedWorkflowSchema,
  startWorkflowBody,
  toStepRows,
  workflowCursor,
  workflowPage,
  workflowQuery,
  workflowSchema,
  workflowWithStepsSchema,
} from "../../../contract/workflows.ts";
import { callFunction } from "../../../db/call-function.ts";
import { enqueueBatch, getBatch, listBatches } from "../../../workflows/batches.ts";
import { cancelWorkflow } from "../../../workflows/cancel-workflow.ts";
import { getWorkflow, listWorkflows } from "../../../workflows/read-workflows.ts";
import { retryWorkflow } from "../../../workflows/retry-workflow.ts";
import { inField } from "../jobs/create.ts";
import { idempotencyHeaders, once } from "../idempotency.ts";
import { addRoute, type RestContext } from "../route.ts";

/** Adds the routes for workflows and batches. */
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
      query: workflowQuery,
      answer: workflowPage,
    },
    async ({ client, query: { cursor, limit, before, ...filter } }) =>
      toPage(await listWorkflows(client, { ...filter, before: cursor ?? before, limit: limit + 1 }), limit, ({ id }) =>
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
      body: startWorkflowBody,
      status: 201,
      answer: startedWorkflowSchema,
      problems: ["LW404", "LW409", "LW422"],
    },
    async (call) =>
      await once(call, async () => {
        const { steps, ...options } = call.body;
        const [row] = await callFunction(call.client, "legwork.start_workflow", {
          name: options.name,
          steps: JSON.stringify(toStepRows(steps ?? null)),
          tenant: options.tenant,
          correlation_id: options.correlationId,
          deadline: options.deadline?.toISOString(),
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
      summary: "Get a workflow with its workflow steps",
      answer: workflowWithStepsSchema,
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
      summary: "Cancel a workflow: waiting steps never start, running ones are signaled to stop",
      body: cancelWorkflowBody,
      answer: workflowWithStepsSchema,
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
      summary: "Retry a failed, expired or cancelled workflow, or rerun it starting from a workflow step",
      body: retryWorkflowBody,
      answer: workflowWithStepsSchema,
      problems: ["LW404", "LW409"],
    },
    async ({ client, params, body }) => {
      await retryWorkflow(client, params.id, body ?? {});
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
      summary: "Enqueue a batch of jobs atomically",
      headers: idempotencyHeaders,
      bodyLimit: 5_000_000,
      body: batchBody,
      status: 201,
      answer: startedBatchSchema,
      problems: ["LW404", "LW409", "LW422"],
    },
    async (call) =>
      await once(call, async () => {
        const { jobs, ...options } = call.body;
        const id = await inField("jobs", () => enqueueBatch(call.client, jobs, options));
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
      query: batchQuery,
      answer: batchPage,
    },
    async ({ client, query: { cursor, limit, before, ...filter } }) =>
      toPage(await listBatches(client, { ...filter, before: cursor ?? before, limit: limit + 1 }), limit, ({ id }) =>
        batchCursor.make(id),
      ),
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
