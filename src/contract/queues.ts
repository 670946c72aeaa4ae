import { z } from "zod";
import { type Answer, fromColumn, row } from "./rows.ts";
import { at } from "./times.ts";
import { cursorOver, page, pageLimit } from "./page.ts";
import { count, duration, MAX_INTEGER, queueName, taskName, text, wholeNumber } from "./values.ts";

const limitSchema = z
  .object({
    kind: z.enum(["concurrency", "rate"]),
    max: z.int(),
    per: z.string().optional().describe("The window of a rate limit, as hh:mm:ss."),
    key: z.string().optional().describe("Where in the payload the key is."),
  })
  .describe("A limit.");

/** How jobs are retried. What is null is as graphile-worker has it. */
const retryRules = z.object({
  attempts: z.int().nullable(),
  backoff: z.enum(["fixed", "linear", "exponential"]).nullable(),
  delay: z.string().nullable().describe("As hh:mm:ss."),
  factor: z.number().nullable(),
  maxDelay: z.string().nullable(),
  jitter: z.boolean(),
  on: fromColumn("retry_on", z.array(z.string()).nullable().describe("The only errors worth a retry; null for all.")),
});

const pause = {
  pausedAt: at.nullable().describe("Since when it is paused; null when it is not."),
  pausedBy: z.string().nullable(),
  pauseReason: z.string().nullable(),
};

/** A row of `legwork.queues`, as JSON. */
export const queueSchema = row({
  name: z.string(),
  ...pause,
  limits: z.array(limitSchema).nullable(),
  running: count,
  pending: count,
  blocked: count.describe("Jobs that wait for a limit."),
  paused: count,
  later: count.describe("Jobs whose time, or next attempt, is ahead."),
  oldest: at.nullable().describe("Since when the job that has waited longest could have started."),
  retry: retryRules.nullable().describe("How its jobs are retried, unless their task says otherwise."),
  failed: count.describe("Failed jobs that can be retried."),
  countedAt: at.nullable().describe("When its jobs were counted, where more than 2,000 live; null for within the last second."),
}).meta({ description: "A queue, with what waits and runs in it." });

/** A row of `legwork.tasks`, as JSON. */
export const taskSchema = row({
  name: z.string(),
  description: z.string().nullable(),
  queue: z.string(),
  payloadSchema: z.unknown().describe("JSON Schema of its payload; null when it takes anything."),
  resultSchema: z.unknown(),
  redact: z.array(z.string()).nullable(),
  registeredAt: at.nullable(),
  updatedAt: at.nullable(),
  ...pause,
  limits: z.array(limitSchema).nullable().describe("Those of its queue come on top."),
  retry: retryRules.nullable().describe("How its jobs are retried; null for graphile-worker's default."),
}).meta({ description: "A task." });

/** A row of `legwork.workers`, as JSON. */
export const workerSchema = row({
  id: z.string(),
  host: z.string(),
  pid: z.int(),
  concurrency: z.int(),
  tasks: z.array(z.string()),
  running: z.array(z.string()).describe("The jobs it runs."),
  startedAt: at,
  seenAt: at,
  cpu: z
    .number()
    .nullable()
    .describe("How much of its machine is in use, from 0 to 1, as are the others; null before it has told."),
  memory: z.number().nullable(),
  memoryTotal: z.string().nullable().describe("Bytes, as text."),
  disk: z.number().nullable(),
  diskTotal: z.string().nullable(),
  heapBytes: z.string().nullable().describe("What its process keeps in JavaScript's heap, in bytes, as text."),
  hostSeenAt: at.nullable().describe("When it told."),
  suspected: z.boolean().describe("Whether it has been silent for too long."),
  blockedSince: at.nullable().describe("Since when synchronous code has held up its event loop; null while that turns."),
  blockedJobs: z
    .array(z.string())
    .nullable()
    .describe("The job whose code that is; several when it is one of them and not known which."),
  version: z.string().nullable().describe("The version of Legwork that it runs."),
}).meta({ description: "A Legwork worker." });

export const queuePage = page(queueSchema, "The queues, by name.");
export const taskPage = page(taskSchema, "A page of tasks, by name.");
export const workerPage = page(workerSchema, "The workers, the oldest first.");

export const taskCursor = cursorOver("tasks", taskName);
export const taskQuery = z.strictObject({
  queue: queueName.optional(),
  after: taskName.optional().describe("Only tasks after the one of this name: the next page."),
  cursor: taskCursor.schema.optional(),
  limit: pageLimit,
});

export const pauseBody = z
  .strictObject({ reason: text(1_000).optional().describe("Why; shown to whoever asks why a job does not run.") })
  .optional()
  .meta({ examples: [{ reason: "provider is down" }] });

export const limitKey = text(512)
  .regex(/^[^.]+(\.[^.]+)*$/, "expected a path such as userId or user.id")
  .describe("Where in the payload to look, such as user.id: each value there has the limit for itself.");

const limitMax = z.int().min(1, "a limit must be at least 1; to let nothing start, pause").max(MAX_INTEGER);

export const limitBody = z
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

export const retryPolicyBody = z
  .strictObject({
    attempts: z.int().min(1).max(32_767).optional().describe("In all, for jobs enqueued without a number; 25 by default."),
    backoff: z.enum(["fixed", "linear", "exponential"]).optional().describe("How delays grow; graphile-worker's own by default."),
    delay: duration.optional().describe("After the first attempt; 1 s by default."),
    factor: z.number().min(1).max(1_000).optional().describe("Of exponential: what each delay is multiplied with; 2 by default."),
    maxDelay: duration.optional(),
    jitter: z.boolean().optional().describe("Take away up to half of each delay at random."),
    on: z
      .array(text(200))
      .min(1)
      .max(100)
      .optional()
      .describe("Names, codes or classes of the errors worth a retry; all by default."),
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
  key: z.string().nullable().describe("Where in the payload the key is; null for a limit without one."),
  value: z.string().nullable().describe("The key's value; [redacted] where one of the tasks redacts it."),
  inUse: z.string().describe("Places taken, as text."),
  waiting: z.string().describe("Jobs in line that have to pass it, as text."),
  freesAt: at.nullable().describe("When the next slot of a rate limit becomes free, as far as that is known."),
  keyValues: z.string().describe("How many values the limit has in all, as text."),
  isPartial: z.boolean().describe("Whether there was more than is counted: 100,000 slots or jobs."),
});

export const limitUseQuery = z.strictObject({ atMost: wholeNumber(1, 100).default(20).describe("Values of each limit.") });
export const limitUsePage = page(limitUseSchema, "The values. Of one tenant's jobs for whoever is confined to it.");

/** A queue, with what waits and runs in it. */
export type Queue = Answer<typeof queueSchema>;
/** A task as it is known. */
export type TaskInfo = Answer<typeof taskSchema>;
/** A Legwork worker. */
export type Worker = Answer<typeof workerSchema>;
/** A limit. */
export type Limit = Answer<typeof limitSchema>;
