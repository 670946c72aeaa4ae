import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { dropLimit, limitConcurrency, limitRate, type LimitTarget, resetLimits } from "../../../queues/limits.ts";
import { limitUse } from "../../../queues/limit-use.ts";
import { pauseQueue, pauseTask, resumeQueue, resumeTask } from "../../../queues/pause.ts";
import { getQueue, getTask } from "../../../queues/read-queues.ts";
import { dropRetryPolicy, setRetryPolicy } from "../../../queues/retry-policy.ts";
import { queueSchema, taskSchema } from "./queue-schemas.ts";
import { addRoute, type RestContext } from "../route.ts";
import { duration, MAX_INTEGER, page, queueName, taskName, text, wholeNumber } from "../values.ts";

const limitKey = text(512)
  .regex(/^[^.]+(\.[^.]+)*$/, "expected a path such as userId or user.id")
  .describe("Where in the payload to look, such as user.id: each value there has the limit for itself.");

const limitMax = z.int().min(1, "a limit must be at least 1; to let nothing start, pause").max(MAX_INTEGER);

const limitBody = z
  .discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("concurrency"),
      max: limitMax.describe("Jobs that run at a time, over all workers."),
      key: limitKey.optional(),
    }),
    z.strictObject({
      kind: z.literal("rate"),
      max: limitMax.describe("Jobs that start within any span of the length `per`."),
      per: duration,
      key: limitKey.optional(),
    }),
  ])
  .meta({ description: "The limit.", examples: [{ kind: "rate", max: 100, per: "1m", key: "user.id" }] });

const retryBody = z
  .strictObject({
    attempts: z.int().min(1).max(32_767).optional().describe("In all, for jobs enqueued without a number; 25 by default."),
    backoff: z.enum(["fixed", "linear", "exponential"]).optional().describe("How delays grow; graphile-worker's own by default."),
    delay: duration.optional().describe("After the first attempt; 1 s by default."),
    factor: z.number().min(1).max(1_000).optional().describe("Of exponential: what each delay is multiplied with; 2 by default."),
    max_delay: duration.optional(),
    jitter: z.boolean().optional().describe("Take away up to half of each delay at random."),
    on: z
      .array(text(200))
      .min(1)
      .max(100)
      .optional()
      .describe("Names, codes or classes of the errors worth a retry; all by default."),
  })
  .refine(({ backoff, delay, factor, max_delay }) => backoff !== undefined || (delay ?? factor ?? max_delay) === undefined, {
    error: "a delay needs a backoff: fixed, linear or exponential",
    path: ["backoff"],
  })
  .meta({
    description: "The retry policy.",
    examples: [{ attempts: 5, backoff: "exponential", delay: "10s", max_delay: "1h", jitter: true }],
  });

const limitUseSchema = z
  .object({
    kind: z.enum(["concurrency", "rate"]),
    key: z.string().nullable().describe("Where in the payload the key is; null for a limit without one."),
    value: z.string().nullable().describe("The key's value; [redacted] where one of the tasks redacts it."),
    in_use: z.string().describe("Places taken, as text."),
    waiting: z.string().describe("Jobs in line that have to pass it, as text."),
    frees_at: z.iso.datetime().nullable().describe("When the next place of a rate limit becomes free, as far as that is known."),
    key_values: z.string().describe("How many values the limit has in all, as text."),
    is_partial: z.boolean().describe("Whether there was more than is counted: 100,000 places or jobs."),
  })
  .loose();

/** The two things that have rules. */
const TARGETS = {
  queue: {
    path: "queues",
    tag: "queues",
    name: queueName,
    row: queueSchema,
    get: getQueue,
    pause: pauseQueue,
    resume: resumeQueue,
  },
  task: { path: "tasks", tag: "tasks", name: taskName, row: taskSchema, get: getTask, pause: pauseTask, resume: resumeTask },
} as const;

/** Pauses, limits and retry policies of queues and tasks. Each answers with the queue or the task as it is then. */
export function addQueueChangeRoutes(app: FastifyInstance, context: RestContext, scope: keyof typeof TARGETS): void {
  const { path, tag, name, row, get, pause, resume } = TARGETS[scope];
  const target = (of: string): LimitTarget => (scope === "queue" ? { queue: of } : { task: of });
  const common = {
    tag,
    role: "operator",
    everybody: true,
    params: z.object({ name }),
    answer: row,
    problems: ["LW404"],
  } as const;

  addRoute(
    app,
    context,
    {
      ...common,
      method: "POST",
      url: `/${path}/:name/pause`,
      summary: `Pause a ${scope}: nothing of it starts, what runs finishes`,
      description: "Holds from 300 ms after the answer on, for every worker. Enqueueing goes on and nothing is lost.",
      body: z
        .strictObject({ reason: text(1_000).optional().describe("Why; shown to whoever asks why a job does not run.") })
        .optional()
        .meta({ examples: [{ reason: "provider is down" }] }),
    },
    async ({ client, params, body }) => {
      await pause(client, params.name, body?.reason);
      return await get(client, params.name);
    },
  );

  addRoute(
    app,
    context,
    { ...common, method: "POST", url: `/${path}/:name/resume`, summary: `End the pause of a ${scope}` },
    async ({ client, params }) => {
      await resume(client, params.name);
      return await get(client, params.name);
    },
  );

  addRoute(
    app,
    context,
    {
      ...common,
      method: "PUT",
      url: `/${path}/:name/limits`,
      summary: `Set a limit of a ${scope}`,
      description: "In place of the one of that kind with that key, if there is one; others stay.",
      body: limitBody,
    },
    async ({ client, params, body }) => {
      const where = { ...target(params.name), ...(body.key === undefined ? {} : { key: body.key }) };
      if (body.kind === "rate") await limitRate(client, body.max, body.per, where);
      else await limitConcurrency(client, body.max, where);
      return await get(client, params.name);
    },
  );

  addRoute(
    app,
    context,
    {
      ...common,
      method: "GET",
      url: `/${path}/:name/limits/use`,
      role: "viewer",
      summary: `See who uses up the limits of a ${scope}: values of their keys, those with the longest lines first`,
      query: z.strictObject({ at_most: wholeNumber(1, 100).default(20).describe("Values of each limit.") }),
      answer: page(limitUseSchema, "The values. Of one tenant's jobs for whoever is confined to it."),
    },
    async ({ client, params, query }) => ({
      items: await limitUse(client, scope === "queue" ? { queue: params.name } : { task: params.name }, query.at_most),
      next_cursor: null,
    }),
  );

  addRoute(
    app,
    context,
    {
      ...common,
      method: "DELETE",
      url: `/${path}/:name/limits/:kind`,
      summary: `Take a limit of a ${scope} away`,
      params: z.object({ name, kind: z.enum(["concurrency", "rate"]) }),
      query: z.strictObject({ key: limitKey.optional() }),
    },
    async ({ client, params, query }) => {
      await dropLimit(client, params.kind, { ...target(params.name), ...(query.key === undefined ? {} : { key: query.key }) });
      return await get(client, params.name);
    },
  );

  if (scope === "task") {
    addRoute(
      app,
      context,
      {
        ...common,
        method: "POST",
        url: "/tasks/:name/limits/reset",
        summary: "Give a task the limits that its definition declares, and no others",
      },
      async ({ client, params }) => {
        await resetLimits(client, params.name);
        return await get(client, params.name);
      },
    );
  }

  addRoute(
    app,
    context,
    {
      ...common,
      method: "PUT",
      url: `/${path}/:name/retry-policy`,
      summary: `Say how the jobs of a ${scope} are retried`,
      description: "Holds from the next failure on, in place of what was said before.",
      body: retryBody,
    },
    async ({ client, params, body }) => {
      const { max_delay, ...policy } = body;
      const where = scope === "queue" ? { queue: params.name } : { task: params.name };
      await setRetryPolicy(client, { ...policy, ...(max_delay === undefined ? {} : { maxDelay: max_delay }) }, where);
      return await get(client, params.name);
    },
  );

  addRoute(
    app,
    context,
    {
      ...common,
      method: "DELETE",
      url: `/${path}/:name/retry-policy`,
      summary: `Take away the retry policy that was set for a ${scope}`,
    },
    async ({ client, params }) => {
      await dropRetryPolicy(client, scope === "queue" ? { queue: params.name } : { task: params.name });
      return await get(client, params.name);
    },
  );
}
