import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { LegworkError } from "../../../errors.ts";
import { enqueue, enqueueMany, type JobSpec } from "../../../jobs/enqueue.ts";
import { idempotencyHeaders, once } from "../idempotency.ts";
import { createdSchema, enqueueOptionsSchema, newJobSchema } from "./job-schemas.ts";
import { addRoute, type RestContext } from "../route.ts";
import { json, taskName } from "../values.ts";

/** The longest body that brings several jobs (bytes). */
const BATCH_BODY_LIMIT = 5_000_000;
/** Jobs of a batch at most. */
const MAX_BATCH = 1_000;

/** Enqueueing: one job, several at once, and a task by its name. */
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
      answer: createdSchema,
      problems: ["LW404", "LW409", "LW422"],
    },
    async (call) =>
      await once(call, async () => {
        const { task, payload, ...options } = toSpec(call.body);
        return { id: await enqueue(call.client, task, payload, options) };
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
      summary: "Enqueue several jobs, all or none",
      headers: idempotencyHeaders,
      bodyLimit: BATCH_BODY_LIMIT,
      body: z
        .strictObject({ jobs: z.array(newJobSchema).min(1).max(MAX_BATCH) })
        .meta({ examples: [{ jobs: [{ task: "notify/email", payload: { to: "ann@example.com" } }, { task: "report/daily" }] }] }),
      status: 201,
      answer: z
        .object({ ids: z.array(z.string()) })
        .meta({ description: "The jobs' ids, in the order they were given.", examples: [{ ids: ["42", "43"] }] }),
      problems: ["LW404", "LW409", "LW422"],
    },
    async (call) =>
      await once(call, async () => ({ ids: await inField("jobs", () => enqueueMany(call.client, call.body.jobs.map(toSpec))) })),
  );

  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/tasks/:name/run",
      tag: "tasks",
      role: "enqueuer",
      summary: "Run a task now: enqueue a job for it",
      params: z.object({ name: taskName }),
      headers: idempotencyHeaders,
      body: enqueueOptionsSchema
        .extend({ payload: json.optional().describe("What the task is given; {} by default.") })
        .optional()
        .meta({ examples: [{ payload: { to: "ann@example.com" } }] }),
      status: 201,
      answer: createdSchema,
      problems: ["LW404", "LW409", "LW422"],
    },
    async (call) =>
      await once(call, async () => {
        const { task, payload, ...options } = toSpec({ ...call.body, task: call.params.name });
        return { id: await enqueue(call.client, task, payload, options) };
      }),
  );
}

/** Says of what is at fault in a field's value where it is in the body. */
export async function inField<T>(field: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof LegworkError) || error.fields === undefined) throw error;
    const fields = error.fields.map(({ path, message }) => ({ path: [field, ...path], message }));
    throw new LegworkError(error.code, error.message, { hint: error.hint, action: error.action, cause: error, fields });
  }
}

/** As TypeScript takes it. */
export function toSpec(job: z.output<typeof newJobSchema>): JobSpec {
  return {
    task: job.task,
    payload: job.payload,
    runAt: job.run_at,
    priority: job.priority,
    jobKey: job.job_key,
    jobKeyMode: job.job_key_mode,
    serialKey: job.serial_key,
    maxAttempts: job.max_attempts,
    tenant: job.tenant,
    correlationId: job.correlation_id,
    expiresAt: job.expires_at,
    uniqueFor: job.unique_for,
    uniqueKey: job.unique_key,
    debounce: job.debounce,
    debounceMax: job.debounce_max,
    throttle: job.throttle,
    rateLimit: job.rate_limit,
    ratePer: job.rate_per,
    rateKey: job.rate_key,
    overlap: job.overlap,
    dependsOn: job.depends_on,
    onDependencyFailure: job.on_dependency_failure,
  };
}
