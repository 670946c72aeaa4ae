import { z } from "zod";
import { MAX_LOOKED_AT } from "../bounds.ts";
import { type Answer, row } from "./rows.ts";
import { at, atOrNever } from "./times.ts";
import { cursorOver, page, pageLimit } from "./page.ts";
import { JOB_STATES } from "./states.ts";
import { duration, jobId, json, MAX_INTEGER, queueName, taskName, text, time, wholeNumber } from "./values.ts";

const id = z.string().describe("The job's id: a whole number, as text because it may be larger than a JSON number holds.");

/** A row of `legwork.jobs`, as JSON. */
export const jobSchema = row({
  id,
  task: z.string(),
  queue: z.string(),
  state: z.enum(JOB_STATES),
  priority: z.int().describe("Smaller runs first."),
  attempts: z.int().describe("Attempts used, the running one included."),
  maxAttempts: z.int(),
  payload: z.unknown().describe("What the task is given; what its definition redacts is [redacted]."),
  result: z.unknown().describe("What the task returned; null until the job has completed."),
  error: z.string().nullable().describe("The message of the last error."),
  runAt: atOrNever.describe("When it may start; null for never."),
  createdAt: at,
  startedAt: at.nullable().describe("When its last attempt started."),
  finishedAt: at.nullable().describe("When it ended."),
  worker: z.string().nullable(),
  jobKey: z.string().nullable(),
  serialKey: z.string().nullable(),
  tenant: z.string().nullable(),
  correlationId: z.string().nullable(),
  parentId: z.string().nullable(),
  progress: z.number().nullable().describe("How much is done, 0 to 100, by its task's own account."),
  progressMessage: z.string().nullable(),
}).meta({
  description: "A job: a row of legwork.jobs.",
  examples: [
    {
      id: "42",
      task: "notify/email",
      queue: "notification",
      state: "completed",
      priority: 0,
      attempts: 1,
      maxAttempts: 25,
      payload: { to: "ann@example.com" },
      result: { message_id: "m-1" },
      error: null,
      runAt: "2026-11-22T03:40:34.000Z",
      createdAt: "2026-11-22T03:40:34.000Z",
      startedAt: "2026-11-22T03:40:34.679Z",
      finishedAt: "2026-11-22T03:40:34.702Z",
      worker: "worker-1",
      jobKey: null,
      serialKey: null,
      tenant: "acme",
      correlationId: "order-17",
      parentId: null,
      progress: null,
      progressMessage: null,
    },
  ],
});

export const attemptSchema = row({
  attempt: z.int().describe("Counted from 1."),
  state: z.enum(["running", "completed", "failed"]),
  errorName: z.string().nullable(),
  errorMessage: z.string().nullable(),
  errorStack: z.string().nullable().describe("Where the task threw it."),
  errorCode: z.string().nullable(),
  startedAt: at.nullable(),
  finishedAt: at.nullable(),
  retryAt: at.nullable().describe("When the next attempt was due."),
  worker: z.string().nullable(),
}).describe("One execution of a job.");

export const jobWithAttemptsSchema = jobSchema
  .extend({
    schedule: z.string().nullable().describe("The schedule that enqueued it; null for none."),
    scheduleDueAt: at.nullable().describe("For which of its times."),
    attemptList: z.array(attemptSchema).describe("The last 100, oldest first. GET /jobs/{id}/attempts has them all."),
  })
  .describe("A job with its attempts and its schedule.");

export const logLineSchema = z
  .object({
    id: z.string(),
    attempt: z.int(),
    loggedAt: at,
    level: z.enum(["info", "warn", "error", "fatal"]),
    message: z.string(),
    fields: z.record(z.string(), z.unknown()).nullable().describe("What was logged beside the text; null for nothing."),
  })
  .describe("A line that the task has logged.");

export const reasonSchema = z
  .object({
    position: z.int(),
    reason: z.string().describe("A word for programs, such as queue_paused or concurrency_limit."),
    detail: z.string(),
    fix: z.string().describe("What to do about it."),
  })
  .describe("A reason why the job does not run.");

export const doneSchema = z
  .object({ id, state: z.enum(JOB_STATES).describe("The job's state afterwards.") })
  .meta({ description: "What became of the job.", examples: [{ id: "42", state: "cancelled" }] });

/** The parameters of legwork.enqueue but for task and payload, by their own names. */
const enqueueOptionsSchema = z.strictObject({
  runAt: time.optional().describe("When it may start; now by default."),
  priority: z.int().min(-32_768).max(32_767).optional().describe("Smaller runs first; 0 by default."),
  jobKey: text(512).optional().describe("While a job with this key waits, it is replaced."),
  jobKeyMode: z.enum(["replace", "preserve_run_at", "unsafe_dedupe"]).optional(),
  serialKey: text(128).optional().describe("Jobs that share it run one at a time."),
  maxAttempts: z.int().min(1).max(32_767).optional().describe("25 by default."),
  tenant: text(200).optional().describe("Whose job it is. A token of one tenant makes jobs of that tenant and no other."),
  correlationId: text(200).optional(),
  expiresAt: time.optional().describe("A job that has not started by then ends as expired."),
  uniqueFor: duration.optional().describe("For that long the same request makes no other job and gets the id of this one."),
  uniqueKey: text(512)
    .optional()
    .describe("What makes two requests the same for uniqueFor; tenant, task and payload by default."),
  debounce: duration
    .optional()
    .describe("With jobKey: each request replaces the waiting job and moves its start that far ahead."),
  debounceMax: duration.optional().describe("How far ahead of the first request debounce may move the start."),
  throttle: duration
    .optional()
    .describe("With jobKey: one start in that time at most; requests between are merged into one job."),
  rateLimit: z.int().min(1).max(MAX_INTEGER).optional().describe("With ratePer: one request more is refused with LW429."),
  ratePer: duration.optional(),
  rateKey: text(512).optional().describe("What rateLimit counts by; the task by default."),
  dependsOn: z.array(jobId).min(1).max(1_000).optional().describe("Jobs that have to end before it may start."),
  onDependencyFailure: z
    .enum(["cancel", "run"])
    .optional()
    .describe("What becomes of it when one of them does not complete; cancel by default."),
  overlap: z.enum(["allow", "serial"]).optional().describe("serial, with jobKey: waits for the running job with its key."),
});

export const newJobSchema = enqueueOptionsSchema
  .extend({
    task: taskName.describe("A known task."),
    payload: json.optional().describe("What the task is given; {} by default."),
  })
  .meta({
    description: "A job to enqueue: the parameters of legwork.enqueue.",
    examples: [{ task: "notify/email", payload: { to: "ann@example.com" }, priority: -10, correlationId: "order-17" }],
  });

export const createdSchema = z
  .object({ id })
  .meta({ description: "The job; with a job key or uniqueFor it may have been there already.", examples: [{ id: "42" }] });

/** What names failed jobs: the fields of legwork_private.failed_jobs_like. */
export const failedFilterSchema = z.strictObject({
  ids: z.array(jobId).min(1).max(10_000).optional(),
  task: taskName.optional(),
  queue: queueName.optional(),
  tenant: text(256).optional(),
  fingerprint: text(64).optional().describe("A group of GET /failed-groups."),
  error: text(1_000).optional().describe("A part of the error's message, in upper or lower case."),
  failedAfter: time.optional(),
  failedBefore: time.optional(),
});

/** What names jobs that have not ended: the fields of legwork_private.live_jobs_like. */
export const liveFilterSchema = z.strictObject({
  ids: z.array(jobId).min(1).max(10_000).optional(),
  state: z.enum(["scheduled", "pending", "blocked", "paused", "running", "retrying"]).optional(),
  task: taskName.optional(),
  queue: queueName.optional(),
  tenant: text(256).optional(),
  correlationId: text(256).optional(),
  parentId: jobId.optional(),
  createdAfter: time.optional(),
  createdBefore: time.optional(),
});

/** What names jobs that have ended: the fields of legwork_private.finished_jobs_like. */
export const finishedFilterSchema = liveFilterSchema.extend({
  state: z.enum(["completed", "failed", "cancelled", "expired"]).optional(),
  error: text(1_000).optional().describe("A part of the error's message, in upper or lower case."),
});

export const jobCursor = cursorOver("jobs", jobId);
export const logCursor = cursorOver("logs", jobId);

export const jobQuery = z.strictObject({
  state: z.enum(JOB_STATES).optional(),
  task: taskName.optional(),
  queue: queueName.optional(),
  tenant: text(256).optional(),
  correlationId: text(256).optional(),
  parentId: jobId.optional().describe("Only what that job has enqueued."),
  jobKey: text(512).optional(),
  priority: wholeNumber(-32_768, 32_767).optional(),
  error: text(1_000).optional().describe("A part of the error's message, in upper or lower case."),
  payload: text(1_000)
    .regex(/^[^:]+:/, "expected a path and a value, such as user.id:42")
    .optional()
    .describe(
      `A path in the payload and what stands there, such as user.id:42. Reads the payloads of ${MAX_LOOKED_AT.toLocaleString("en")} jobs that the other ` +
        "filters leave, at most; `lookedAt` says of how many. A page may be empty and have a next one, which looks further.",
    ),
  brief: z.stringbool().optional().describe("Without payload and result, which are null then and may be large."),
  createdAfter: time.optional().describe("Created then or later."),
  createdBefore: time.optional(),
  order: z.enum(["newest", "oldest"]).default("newest").describe("Which come first."),
  before: jobId.optional().describe("Only jobs with a smaller id: the next page when the newest come first."),
  after: jobId.optional().describe("Only jobs with a larger id: the next page when the oldest come first."),
  cursor: jobCursor.schema.optional(),
  limit: pageLimit,
});

export const jobPage = page(jobSchema, "A page of jobs.")
  .extend({
    lookedAt: z.int().optional().describe("Of a search in payloads: how many were read for this page."),
    lookedTo: z.string().nullable().optional().describe("Of a search in payloads: the last job whose payload was read."),
  })
  .describe("A page of jobs.");

export const progressSchema = z
  .object({
    id: z.string(),
    state: z.enum(JOB_STATES),
    attempts: z.int(),
    progress: z.number().nullable(),
    progressMessage: z.string().nullable(),
  })
  .describe("How far the job is, by its task's own account.");

export const logQuery = z.strictObject({
  after: jobId.optional().describe("Only lines after the one with this id: the next page, or what was logged since."),
  cursor: logCursor.schema.optional(),
  limit: pageLimit,
});
/** How many come before: they are in the order in which they began, and none is put between. */
const position = z.string().regex(/^\d{1,9}$/);

export const attemptCursor = cursorOver("attempts", position);
export const attemptQuery = z.strictObject({ cursor: attemptCursor.schema.optional(), limit: pageLimit });
export const attemptPage = page(attemptSchema, "A page of attempts.");

export const logPage = page(logLineSchema, "A page of log lines.");

export const stepSchema = row({
  kind: z.enum(["run", "wait", "sleep"]),
  name: z.string(),
  state: z.enum(["completed", "timed_out", "waiting"]),
  result: z.unknown(),
  attempt: z.int(),
  startedAt: at,
  finishedAt: at.nullable(),
  deadline: at.nullable().describe("Until when it waits; null for ever, and for what does not wait."),
});
export const stepCursor = cursorOver("steps", position);
export const stepQuery = z.strictObject({
  cursor: stepCursor.schema.optional(),
  limit: pageLimit.default(500).describe("Steps of the page."),
});
export const stepPage = page(stepSchema, "The steps.");

export const reasonPage = page(reasonSchema, "Every reason, in the order in which they hold the job back.");

export const reasonBody = z
  .strictObject({ reason: text(1_000).optional().describe("Why; the job's history says it.") })
  .optional()
  .meta({ examples: [{ reason: "wrong recipients" }] });

export const signalBody = z
  .strictObject({ payload: json.optional() })
  .optional()
  .meta({ examples: [{ payload: { approved: true } }] });
export const signalSchema = z
  .object({ counts: z.boolean().describe("Whether this one does.") })
  .describe("What became of the signal.");

export const rerunBody = z
  .strictObject({
    payload: json.optional().describe("Another payload; the old one by default."),
    discard: z.boolean().optional().describe("Give up the old job too, which must have failed."),
  })
  .optional()
  .meta({ examples: [{ payload: { to: "ann@example.com" }, discard: true }] });
export const rerunSchema = z
  .object({ id: z.string().describe("The new job's id.") })
  .meta({ description: "The new job.", examples: [{ id: "43" }] });

export const rerunRecordSchema = z
  .object({
    id: z.string().describe("The new job."),
    originalId: z.string().describe("The job that it repeats."),
    payloadChanged: z.boolean(),
    requestedBy: z.string(),
    requestedAt: at,
  })
  .describe("A re-run.");
export const rerunPage = page(rerunRecordSchema, "The re-runs, 100 at most; the one whose id is the job's says what it repeats.");

export const priorityBody = z
  .strictObject({ priority: z.int().min(-32_768).max(32_767) })
  .meta({ description: "The priority.", examples: [{ priority: -10 }] });
export const prioritySchema = z
  .object({ id: z.string(), priority: z.int(), was: z.int().describe("What it was before, to take it back.") })
  .describe("What was changed.");

/** Jobs of one request at most. */
const MAX_JOBS = 1_000;

export const newJobsBody = z
  .strictObject({ jobs: z.array(newJobSchema).min(1).max(MAX_JOBS) })
  .meta({ examples: [{ jobs: [{ task: "notify/email", payload: { to: "ann@example.com" } }, { task: "report/daily" }] }] });
export const newJobsSchema = z
  .object({ ids: z.array(z.string()) })
  .meta({ description: "The jobs' ids, in the order they were given.", examples: [{ ids: ["42", "43"] }] });

export const runTaskBody = enqueueOptionsSchema
  .extend({ payload: json.optional().describe("What the task is given; {} by default.") })
  .optional()
  .meta({ examples: [{ payload: { to: "ann@example.com" } }] });

/** A job. */
export type Job = Answer<typeof jobSchema>;
/** A job with its attempts and its schedule. */
export type JobWithAttempts = Answer<typeof jobWithAttemptsSchema>;
/** A line that a job has logged. */
export type LogLine = Answer<typeof logLineSchema>;
/** A step of a job. */
export type Step = Answer<typeof stepSchema>;
