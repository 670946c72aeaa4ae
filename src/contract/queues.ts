import { z } from "zod";
import { type Answer, countText, fromColumn, row } from "./rows.ts";
import { at } from "./times.ts";
import { cursorOver, page, pageLimit } from "./page.ts";
import { duration, MAX_INTEGER, queueName, taskName, text, wholeNumber } from "./values.ts";

const limitSchema = z
  .object({
    kind: z.enum(["concurrency", "rate"]),
    max: z.int(),
    per: z.string().optional().describe("The period of a rate limit, as hh:mm:ss."),
    key: z.string().optional().describe("The path of the key in the payload."),
  })
  .describe("A limit.");

/** How jobs are retried. For fields that are null, graphile-worker's defaults apply. */
const retryRules = z.object({
  attempts: z.int().nullable(),
  backoff: z.enum(["fixed", "linear", "exponential"]).nullable(),
  delay: z.string().nullable().describe("As hh:mm:ss."),
  factor: z.number().nullable(),
  maxDelay: z.string().nullable(),
  jitter: z.boolean(),
  on: fromColumn("retry_on", z.array(z.string()).nullable().describe("The only errors that are retried; null for all.")),
});

const pause = {
  pausedAt: at.nullable().describe("When it was paused; null if it is not paused."),
  pausedBy: z.string().nullable(),
  pauseReason: z.string().nullable(),
};

/** A row of `legwork.queues`, as JSON. */
export const queueSchema = row({
  name: z.string(),
  ...pause,
  limits: z.array(limitSchema).nullable(),
  running: countText(),
  pending: countText(),
  blocked: countText("Jobs that wait for a limit."),
  paused: countText(),
  later: countText("Jobs that are due later, for the first time or for their next attempt."),
  oldest: at.nullable().describe("When the job that has been waiting the longest became due."),
  retry: retryRules.nullable().describe("How its jobs are retried, unless their task has its own policy."),
  failed: countText("Failed jobs that can be retried."),
  countedAt: at
    .nullable()
    .describe(
      "When the jobs were counted, if there are more than 2,000 of them; null if they were counted within the last second.",
    ),
}).meta({ description: "A queue, with the number of its waiting and running jobs." });

/** A row of `legwork.tasks`, as JSON. */
export const taskSchema = row({
  name: z.string(),
  description: z.string().nullable(),
  queue: z.string(),
  payloadSchema: z.unknown().describe("JSON Schema of the payload; null if any payload is accepted."),
  resultSchema: z.unknown(),
  redact: z.array(z.string()).nullable(),
  timeout: z.string().nullable().describe("How long an attempt may take, such as 30s; null without a timeout."),
  registeredAt: at.nullable(),
  updatedAt: at.nullable(),
  ...pause,
  limits: z.array(limitSchema).nullable().describe("The task's limits. The limits of its queue also apply."),
  retry: retryRules.nullable().describe("How its jobs are retried; null for graphile-worker's default."),
}).meta({ description: "A registered task." });

/** A row of `legwork.workers`, as JSON. */
export const workerSchema = row({
  id: z.string(),
  host: z.string(),
  pid: z.int(),
  concurrency: z.int(),
  tasks: z.array(z.string()),
  running: z.array(z.string()).describe("The jobs that it is running."),
  startedAt: at,
  seenAt: at,
  cpu: z
    .number()
    .nullable()
    .describe(
      "The share of the host's CPU in use, from 0 to 1; `memory` and `disk` are also shares. Null before the worker's first report.",
    ),
  memory: z.number().nullable(),
  memoryTotal: countText("Bytes, as text.").nullable(),
  disk: z.number().nullable(),
  diskTotal: countText().nullable(),
  heapBytes: countText("The JavaScript heap of its process in bytes, as text.").nullable(),
  hostSeenAt: at.nullable().describe("When these values were reported."),
  suspected: z.boolean().describe("Whether it has sent no heartbeat for too long."),
  blockedSince: at
    .nullable()
    .describe("When synchronous code started to block the worker's event loop; null if it is not blocked."),
  blockedJobs: z
    .array(z.string())
    .nullable()
    .describe("The job whose code blocks the event loop. Several jobs if it is unknown which of them blocks it."),
  version: z.string().nullable().describe("Its version of Legwork."),
  name: z.string().describe("Its readable name: the host and the process id, such as mail-1:4211."),
  state: z
    .enum(["active", "quiet", "draining"])
    .describe("`quiet`: it takes no new jobs. `draining`: it also stops when the last of its running jobs has ended."),
  quietSince: at.nullable().describe("When it became quiet or began to drain; null while it is active."),
  quietBy: z.string().nullable().describe("The actor who made it quiet or began to drain it."),
  lacks: z.array(z.string()).describe("Tasks that it does not have and for which jobs are waiting."),
  excluded: z.array(z.string()).describe("The tasks that it has but was started without (--only, --except)."),
  queueSlots: z
    .record(z.string(), z.number())
    .nullable()
    .describe("How many jobs of a queue it runs at a time, by queue; null if only its concurrency limits them."),
}).meta({ description: "A Legwork worker." });

export const queuePage = page(queueSchema, "The queues, by name.");
export const taskPage = page(taskSchema, "A page of tasks, by name.");
export const workerPage = page(workerSchema, "The workers, oldest first.");

export const taskCursor = cursorOver("tasks", taskName);
export const taskQuery = z.strictObject({
  queue: queueName.optional(),
  after: taskName.optional().describe("Return only tasks after the one with this name, to get the next page."),
  cursor: taskCursor.schema.optional(),
  limit: pageLimit,
});

export const pauseBody = z
  .strictObject({ reason: text(1_000).optional().describe("The reason, shown when a user asks why a job is not running.") })
  .optional()
  .meta({ examples: [{ reason: "provider is down" }] });

export const limitKey = text(512)
  .regex(/^[^.]+(\.[^.]+)*$/, "expected a path such as userId or user.id")
  .describe("A path in the payload, such as user.id: the limit applies to each value there separately.");

const limitMax = z
  .int()
  .min(1, "a limit must be at least 1; to keep jobs from starting, pause the queue or task")
  .max(MAX_INTEGER);

export const limitBody = z
  .discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("concurrency"),
      max: limitMax.describe("The maximum number of jobs that run at a time, across all workers."),
      key: limitKey.optional(),
    }),
    z.strictObject({
      kind: z.literal("rate"),
      max: limitMax.describe("The maximum number of jobs that start within any period of length `per`."),
      per: duration,
      key: limitKey.optional(),
    }),
  ])
  .meta({ description: "The limit.", examples: [{ kind: "rate", max: 100, per: "1m", key: "user.id" }] });

export const retryPolicyBody = z
  .strictObject({
    attempts: z
      .int()
      .min(1)
      .max(32_767)
      .optional()
      .describe("Attempts in total, for jobs enqueued without maxAttempts; 25 by default."),
    backoff: z
      .enum(["fixed", "linear", "exponential"])
      .optional()
      .describe("How delays grow; graphile-worker's exponential back-off by default."),
    delay: duration.optional().describe("The delay after the first attempt; 1 s by default."),
    factor: z
      .number()
      .min(1)
      .max(1_000)
      .optional()
      .describe("For exponential: the factor by which each delay grows; 2 by default."),
    maxDelay: duration.optional(),
    jitter: z.boolean().optional().describe("Shorten each delay by a random amount, up to half of it."),
    on: z
      .array(text(200))
      .min(1)
      .max(100)
      .optional()
      .describe("Names, codes or classes of the errors that are retried; all by default."),
  })
  .refine(({ backoff, delay, factor, maxDelay }) => backoff !== undefined || (delay ?? factor ?? maxDelay) === undefined, {
    error: "a delay needs a backoff: fixed, linear or exponential",
    path: ["backoff"],
  })
  .meta({
    description: "The retry policy.",
    examples: [{ attempts: 5, backoff: "exponential", delay: "10s", maxDelay: "1h", jitter: true }],
  });

export const limitUseSchema = row({
  kind: z.enum(["concurrency", "rate"]),
  key: z.string().nullable().describe("The path of the key in the payload; null for a limit without a key."),
  value: z.string().nullable().describe("The key's value; [redacted] if one of the tasks redacts it."),
  inUse: countText("Slots in use, as text."),
  waiting: countText("Jobs waiting in line for it, as text."),
  freesAt: at.nullable().describe("When the next slot of a rate limit becomes free, if known."),
  keyValues: countText("The number of values that the limit has in total, as text."),
  isPartial: z.boolean().describe("Whether there are more than were counted: counting stops at 100,000 slots or jobs."),
});

export const limitUseQuery = z.strictObject({
  atMost: wholeNumber(1, 100).default(20).describe("The maximum number of values for each limit."),
});
export const limitUsePage = page(
  limitUseSchema,
  "The values in use. A token that is bound to a tenant sees only those of its tenant's jobs.",
);

/** A queue, with the number of its waiting and running jobs. */
export type Queue = Answer<typeof queueSchema>;
/** A registered task. */
export type TaskInfo = Answer<typeof taskSchema>;
/** A Legwork worker. */
export type Worker = Answer<typeof workerSchema>;
/** A limit. */
export type Limit = Answer<typeof limitSchema>;
