import { z } from "zod";
import { JOB_STATES } from "../../../jobs/read-jobs.ts";
import { duration, jobId, json, MAX_INTEGER, queueName, taskName, text, time } from "../values.ts";

const at = z.iso.datetime();
const id = z.string().describe("The job's id: a whole number, as text because it may be larger than a JSON number holds.");

/** A row of `legwork.jobs`, as JSON. */
export const jobSchema = z
  .object({
    id,
    task: z.string(),
    queue: z.string(),
    state: z.enum(JOB_STATES),
    priority: z.int().describe("Smaller runs first."),
    attempts: z.int().describe("Attempts used, the running one included."),
    max_attempts: z.int(),
    payload: z.unknown().describe("What the task is given; what its definition redacts is [redacted]."),
    result: z.unknown().describe("What the task returned; null until the job has completed."),
    error: z.string().nullable().describe("The message of the last error."),
    run_at: at.nullable().describe("When it may start; null for never."),
    created_at: at,
    started_at: at.nullable().describe("When its last attempt started."),
    finished_at: at.nullable().describe("When it ended."),
    worker: z.string().nullable(),
    job_key: z.string().nullable(),
    serial_key: z.string().nullable(),
    tenant: z.string().nullable(),
    correlation_id: z.string().nullable(),
    parent_id: z.string().nullable(),
    progress: z.number().nullable().describe("How much is done, 0 to 100, by its task's own account."),
    progress_message: z.string().nullable(),
  })
  // Columns that later versions add.
  .loose()
  .meta({
    description: "A job: a row of legwork.jobs.",
    examples: [
      {
        id: "42",
        task: "notify/email",
        queue: "notification",
        state: "completed",
        priority: 0,
        attempts: 1,
        max_attempts: 25,
        payload: { to: "ann@example.com" },
        result: { message_id: "m-1" },
        error: null,
        run_at: "2026-11-22T03:40:34.000Z",
        created_at: "2026-11-22T03:40:34.000Z",
        started_at: "2026-11-22T03:40:34.679Z",
        finished_at: "2026-11-22T03:40:34.702Z",
        worker: "worker-1",
        job_key: null,
        serial_key: null,
        tenant: "acme",
        correlation_id: "order-17",
        parent_id: null,
        progress: null,
        progress_message: null,
      },
    ],
  });

export const attemptSchema = z
  .object({
    attempt: z.int().describe("Counted from 1."),
    state: z.enum(["running", "completed", "failed"]),
    error_name: z.string().nullable(),
    error_message: z.string().nullable(),
    error_stack: z.string().nullable().describe("Where the task threw it."),
    error_code: z.string().nullable(),
    started_at: at.nullable(),
    finished_at: at.nullable(),
    retry_at: at.nullable().describe("When the next attempt was due."),
    worker: z.string().nullable(),
  })
  .loose()
  .describe("One execution of a job.");

export const jobWithAttemptsSchema = jobSchema
  .extend({
    schedule: z.string().nullable().describe("The schedule that enqueued it; null for none."),
    schedule_due_at: at.nullable().describe("For which of its times."),
    attempt_list: z.array(attemptSchema).describe("The last 100, oldest first. GET /jobs/{id}/attempts has them all."),
  })
  .loose()
  .describe("A job with its attempts and its schedule.");

export const logLineSchema = z
  .object({
    id: z.string(),
    attempt: z.int(),
    logged_at: at,
    level: z.enum(["info", "warn", "error", "fatal"]),
    message: z.string(),
    fields: z.unknown().describe("What was logged beside the text; null for nothing."),
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
export const enqueueOptionsSchema = z.strictObject({
  run_at: time.optional().describe("When it may start; now by default."),
  priority: z.int().min(-32_768).max(32_767).optional().describe("Smaller runs first; 0 by default."),
  job_key: text(512).optional().describe("While a job with this key waits, it is replaced."),
  job_key_mode: z.enum(["replace", "preserve_run_at", "unsafe_dedupe"]).optional(),
  serial_key: text(128).optional().describe("Jobs that share it run one at a time."),
  max_attempts: z.int().min(1).max(32_767).optional().describe("25 by default."),
  tenant: text(200).optional().describe("Whose job it is. A token of one tenant makes jobs of that tenant and no other."),
  correlation_id: text(200).optional(),
  expires_at: time.optional().describe("A job that has not started by then ends as expired."),
  unique_for: duration.optional().describe("For that long the same request makes no other job and gets the id of this one."),
  unique_key: text(512)
    .optional()
    .describe("What makes two requests the same for unique_for; tenant, task and payload by default."),
  debounce: duration
    .optional()
    .describe("With job_key: each request replaces the waiting job and moves its start that far ahead."),
  debounce_max: duration.optional().describe("How far ahead of the first request debounce may move the start."),
  throttle: duration
    .optional()
    .describe("With job_key: one start in that time at most; requests between are merged into one job."),
  rate_limit: z.int().min(1).max(MAX_INTEGER).optional().describe("With rate_per: one request more is refused with LW429."),
  rate_per: duration.optional(),
  rate_key: text(512).optional().describe("What rate_limit counts by; the task by default."),
  depends_on: z.array(jobId).min(1).max(1_000).optional().describe("Jobs that have to end before it may start."),
  on_dependency_failure: z
    .enum(["cancel", "run"])
    .optional()
    .describe("What becomes of it when one of them does not complete; cancel by default."),
  overlap: z.enum(["allow", "serial"]).optional().describe("serial, with job_key: waits for the running job with its key."),
});

export const newJobSchema = enqueueOptionsSchema
  .extend({
    task: taskName.describe("A known task."),
    payload: json.optional().describe("What the task is given; {} by default."),
  })
  .meta({
    description: "A job to enqueue: the parameters of legwork.enqueue.",
    examples: [{ task: "notify/email", payload: { to: "ann@example.com" }, priority: -10, correlation_id: "order-17" }],
  });

export const createdSchema = z
  .object({ id })
  .meta({ description: "The job; with a job key or unique_for it may have been there already.", examples: [{ id: "42" }] });

/** What names failed jobs: the fields of legwork_private.failed_jobs_like. */
export const failedFilterSchema = z.strictObject({
  ids: z.array(jobId).min(1).max(10_000).optional(),
  task: taskName.optional(),
  queue: queueName.optional(),
  tenant: text(256).optional(),
  fingerprint: text(64).optional().describe("A group of GET /failed-groups."),
  error: text(1_000).optional().describe("A part of the error's message, in upper or lower case."),
  failed_after: time.optional(),
  failed_before: time.optional(),
});

/** What names jobs that have not ended: the fields of legwork_private.live_jobs_like. */
export const liveFilterSchema = z.strictObject({
  ids: z.array(jobId).min(1).max(10_000).optional(),
  state: z.enum(["scheduled", "pending", "blocked", "paused", "running", "retrying"]).optional(),
  task: taskName.optional(),
  queue: queueName.optional(),
  tenant: text(256).optional(),
  correlation_id: text(256).optional(),
  parent_id: jobId.optional(),
  created_after: time.optional(),
  created_before: time.optional(),
});

/** What names jobs that have ended: the fields of legwork_private.finished_jobs_like. */
export const finishedFilterSchema = liveFilterSchema.extend({
  state: z.enum(["completed", "failed", "cancelled", "expired"]).optional(),
  error: text(1_000).optional().describe("A part of the error's message, in upper or lower case."),
});
