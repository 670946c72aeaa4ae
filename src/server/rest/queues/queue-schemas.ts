import { z } from "zod";

const at = z.iso.datetime();
const count = z.string().describe("A number, as text.");

const limitSchema = z
  .object({
    kind: z.enum(["concurrency", "rate"]),
    max: z.int(),
    per: z.string().optional().describe("The window of a rate limit, as hh:mm:ss."),
    key: z.string().optional().describe("Where in the payload the key is."),
  })
  .describe("A limit.");

const pause = {
  paused_at: at.nullable().describe("Since when it is paused; null when it is not."),
  paused_by: z.string().nullable(),
  pause_reason: z.string().nullable(),
};

/** A row of `legwork.queues`, as JSON. */
export const queueSchema = z
  .object({
    name: z.string(),
    ...pause,
    limits: z.array(limitSchema).nullable(),
    running: count,
    pending: count,
    blocked: count.describe("Jobs that wait for a limit."),
    paused: count,
    later: count.describe("Jobs whose time, or next attempt, is ahead."),
    oldest: at.nullable().describe("Since when the job that has waited longest could have started."),
    retry: z.record(z.string(), z.unknown()).nullable().describe("How its jobs are retried, unless their task says otherwise."),
  })
  .loose()
  .meta({ description: "A queue, with what waits and runs in it." });

/** A row of `legwork.tasks`, as JSON. */
export const taskSchema = z
  .object({
    name: z.string(),
    description: z.string().nullable(),
    queue: z.string(),
    payload_schema: z.unknown().describe("JSON Schema of its payload; null when it takes anything."),
    result_schema: z.unknown(),
    redact: z.array(z.string()).nullable(),
    registered_at: at.nullable(),
    updated_at: at.nullable(),
    ...pause,
    limits: z.array(limitSchema).nullable().describe("Those of its queue come on top."),
    retry: z.record(z.string(), z.unknown()).nullable().describe("How its jobs are retried; null for graphile-worker's default."),
  })
  .loose()
  .meta({ description: "A task." });

/** A row of `legwork.workers`, as JSON. */
export const workerSchema = z
  .object({
    id: z.string(),
    host: z.string(),
    pid: z.int(),
    concurrency: z.int(),
    tasks: z.array(z.string()),
    running: z.array(z.string()).describe("The jobs it runs."),
    started_at: at,
    seen_at: at,
    suspected: z.boolean().describe("Whether it has been silent for too long."),
    blocked_since: at
      .nullable()
      .optional()
      .describe("Since when synchronous code has held up its event loop; null while that turns."),
    blocked_jobs: z
      .array(z.string())
      .nullable()
      .optional()
      .describe("The job whose code that is; several when it is one of them and not known which."),
    version: z.string().nullable().optional().describe("The version of Legwork that it runs."),
  })
  .loose()
  .meta({ description: "A Legwork worker." });
