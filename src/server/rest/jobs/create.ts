import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { enqueuedSchema, newJobSchema, newJobsBody, newJobsSchema, runTaskBody } from "../../../contract/jobs.ts";
import { taskName } from "../../../contract/values.ts";
import { LegworkError } from "../../../errors.ts";
import { enqueueMany, enqueueWithOutcome } from "../../../jobs/enqueue.ts";
import { idempotencyHeaders, once } from "../idempotency.ts";
import { addRoute, type RestContext } from "../route.ts";

/** The longest body of a request with several jobs (bytes). */
const BATCH_BODY_LIMIT = 5_000_000;

/** Adds the routes that enqueue: a job, several jobs, a job of a task. */
export function addCreateRoutes(app: FastifyInstance, context: RestContext): void {
  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/jobs",
      tag: "jobs",
      role: "enqueuer",
      summary: "Enqueue a job",
      headers: idempotencyHeaders,
      body: newJobSchema,
      status: 201,
      answer: enqueuedSchema,
      problems: ["LW404", "LW409", "LW422"],
    },
    async (call) =>
      await once(call, async () => {
        const { task, payload, ...options } = call.body;
        return await enqueueWithOutcome(call.client, task, payload, options);
      }),
  );

  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/jobs/batch",
      tag: "jobs",
      role: "enqueuer",
      summary: "Enqueue several jobs atomically",
      headers: idempotencyHeaders,
      bodyLimit: BATCH_BODY_LIMIT,
      body: newJobsBody,
      status: 201,
      answer: newJobsSchema,
      problems: ["LW404", "LW409", "LW422"],
    },
    async (call) =>
      await once(call, async () => ({ ids: await inField("jobs", () => enqueueMany(call.client, call.body.jobs)) })),
  );

  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/tasks/:name/run",
      tag: "tasks",
      role: "enqueuer",
      summary: "Enqueue a job of a task",
      params: z.object({ name: taskName }),
      headers: idempotencyHeaders,
      body: runTaskBody,
      status: 201,
      answer: enqueuedSchema,
      problems: ["LW404", "LW409", "LW422"],
    },
    async (call) =>
      await once(call, async () => {
        const { payload, ...options } = call.body ?? {};
        return await enqueueWithOutcome(call.client, call.params.name, payload, options);
      }),
  );
}

/** Prefixes the paths of invalid fields with the field of the body that contains them. */
export async function inField<T>(field: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof LegworkError) || error.fields === undefined) throw error;
    const fields = error.fields.map(({ path, message }) => ({ path: [field, ...path], message }));
    throw new LegworkError(error.code, error.message, { hint: error.hint, action: error.action, cause: error, fields });
  }
}
