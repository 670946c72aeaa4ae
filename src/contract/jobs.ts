import { z } from "zod";
import { MAX_LOOKED_AT } from "../bounds.ts";
import { parseDuration } from "../duration.ts";
import { formatNumber } from "../wording.ts";
import { type Answer, row } from "./rows.ts";
import { at, atOrNever } from "./times.ts";
import { cursorOver, page, pageLimit } from "./page.ts";
import { JOB_STATES } from "./states.ts";
import { duration, jobId, json, MAX_INTEGER, queueName, taskName, text, time, wholeNumber } from "./values.ts";

const id = z.string().describe("The job's id: a whole number, as text because it may exceed what JSON numbers hold exactly.");

/** A row of `legwork.jobs`, as JSON. */
export const jobSchema = row({
  id,
  task: z.string(),
  queue: z.string(),
  state: z.enum(JOB_STATES),
  priority: z.int().describe("Smaller numbers run first."),
  attempts: z.int().describe("Attempts so far, including the running one."),
  maxAttempts: z.int(),
  payload: z.unknown().describe("The task's input. Fields that the task's definition redacts are shown as [redacted]."),
  result: z.unknown().describe("What the task returned; null until the job has completed."),
  error: z.string().nullable().describe("The message of the last error."),
  runAt: atOrNever.describe("When it may start; null if it waits indefinitely."),
  createdAt: at,
  startedAt: at.nullable().describe("When its last attempt started."),
  finishedAt: at.nullable().describe("When it ended."),
  worker: z.string().nullable().describe("The worker of the last attempt."),
  jobKey: z.string().nullable(),
  serialKey: z.string().nullable().describe("Jobs with the same serial key run one at a time."),
  tenant: z.string().nullable().describe("The customer that the job belongs to."),
  correlationId: z.string().nullable().describe("Shared by all jobs with the same cause."),
  parentId: z.string().nullable().describe("The job that enqueued it; null if no job did."),
  traceId: z
    .string()
    .nullable()
    .describe(
      "The id of the OpenTelemetry trace in which it was enqueued, and to which its attempts belong; null without tracing.",
    ),
  progress: z.number().nullable().describe("The progress that the task last reported, from 0 to 100."),
  progressMessage: z.string().nullable().describe("The message that the task last reported with its progress."),
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
      traceId: null,
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
  errorStack: z.string().nullable().describe("The stack trace."),
  errorCode: z.string().nullable(),
  startedAt: at.nullable(),
  finishedAt: at.nullable(),
  retryAt: at.nullable().describe("When the next attempt was due."),
  worker: z.string().nullable(),
}).describe("One execution of a job.");

export const jobWithAttemptsSchema = jobSchema
  .extend({
    schedule: z.string().nullable().describe("The schedule that enqueued it; null if no schedule did."),
    scheduleDueAt: at.nullable().describe("The occurrence of the schedule for which it was enqueued."),
    links: z
      .array(z.object({ name: z.string(), url: z.string() }))
      .optional()
      .describe("Links to the job in other systems, as configured (LEGWORK_JOB_LINKS). Not part of lists."),
    attemptList: z
      .array(attemptSchema)
      .describe("The last 100 attempts, oldest first. GET /jobs/{id}/attempts lists all of them."),
  })
  .describe("A job with its attempts and its schedule.");

export const logLineSchema = z
  .object({
    id: z.string(),
    attempt: z.int(),
    loggedAt: at,
    level: z.enum(["info", "warn", "error", "fatal"]),
    message: z.string(),
    fields: z.record(z.string(), z.unknown()).nullable().describe("The structured fields of the line; null if it has none."),
  })
  .describe("A line that the task logged.");

const actionSchema = z
  .object({
    do: z
      .string()
      .describe("The action, such as retry_job or resume_queue. Clients should ignore actions that they do not know."),
    id: z.string().optional().describe("The job, workflow or database session that it applies to."),
    name: z.string().optional().describe("The queue, task, schedule, signal or worker that it applies to."),
    scope: z.string().optional().describe("For a limit: whether name is a queue or a task."),
    max: z.int().optional().describe("For a limit: its new maximum."),
    per: z.string().optional().describe("For a rate limit: its period, such as 1h."),
    key: z.string().optional().describe("For a limit: the path of its key in the payload."),
    priority: z.int().optional().describe("For set_priority: the new priority."),
    task: z.string().optional().describe("For rerun_job: a different task."),
    discard: z.boolean().optional().describe("For rerun_job: whether to discard the failed job."),
    asks: z.array(z.string()).optional().describe("Arguments that the user has to fill in, such as payload."),
  })
  .describe("An action that the client may perform, with its arguments.");

/** An action that a fix suggests. */
export type SuggestedAction = z.infer<typeof actionSchema>;

export const reasonSchema = z
  .object({
    position: z.int(),
    reason: z.string().describe("A machine-readable code, such as queue_paused or concurrency_limit."),
    detail: z.string(),
    fix: z.string().describe("What to do about it. Requests are in backquotes."),
    actions: z
      .array(actionSchema)
      .describe(
        "The actions that the fix suggests, one for each text in backquotes. Empty if nothing can be done, or if the client may not do it.",
      ),
  })
  .describe("A reason: why a job is not running, a schedule has not fired, or a queue, workflow or worker does not progress.");

export const doneSchema = z
  .object({ id, state: z.enum(JOB_STATES).describe("The job's new state.") })
  .meta({ description: "The job after the request.", examples: [{ id: "42", state: "cancelled" }] });

/** The parameters of legwork.enqueue except task and payload, under the same names. */
const enqueueOptionsSchema = z.strictObject({
  runAt: time.optional().describe("When it may start; now by default."),
  priority: z.int().min(-32_768).max(32_767).optional().describe("Smaller numbers run first; 0 by default."),
  jobKey: text(512).optional().describe("A waiting job with the same key is replaced."),
  jobKeyMode: z
    .enum(["replace", "preserve_run_at", "unsafe_dedupe"])
    .optional()
    .describe(
      "With jobKey: preserve_run_at keeps the waiting job's time, unsafe_dedupe keeps the waiting job; replace by default.",
    ),
  serialKey: text(128).optional().describe("Jobs with the same serial key run one at a time."),
  maxAttempts: z.int().min(1).max(32_767).optional().describe("The maximum number of attempts; 25 by default."),
  tenant: text(200)
    .optional()
    .describe("The customer that the job belongs to. A token that is bound to a tenant can only enqueue jobs of that tenant."),
  correlationId: text(200).optional().describe("Shared by all jobs with the same cause; the job's id by default."),
  expiresAt: time.optional().describe("The start deadline, after which the job expires."),
  uniqueFor: duration
    .optional()
    .describe("Within this period, an identical request does not enqueue another job and returns the id of this one."),
  uniqueKey: text(512).optional().describe("The key by which uniqueFor compares requests; tenant, task and payload by default."),
  debounce: duration
    .optional()
    .describe("With jobKey: each request replaces the waiting job and delays its start by this much from now."),
  debounceMax: duration.optional().describe("The longest time after the first request that debounce may delay the start."),
  throttle: duration
    .optional()
    .describe("With jobKey: at most one start within this period; requests in between are merged into one job."),
  rateLimit: z
    .int()
    .min(1)
    .max(MAX_INTEGER)
    .optional()
    .describe("With ratePer: how many requests are accepted within ratePer; further requests fail with LW429."),
  ratePer: duration.optional().describe("With rateLimit: the period in which requests are counted."),
  rateKey: text(512).optional().describe("The key under which rateLimit counts; the task by default."),
  dependsOn: z.array(jobId).min(1).max(1_000).optional().describe("Jobs that must end before this one may start."),
  onDependencyFailure: z
    .enum(["cancel", "run"])
    .optional()
    .describe("What happens to this job when one of them does not complete; cancel by default."),
  overlap: z
    .enum(["allow", "serial"])
    .optional()
    .describe("serial, with jobKey: the job waits until the running job with the same key has ended."),
});

export const newJobSchema = enqueueOptionsSchema
  .extend({
    task: taskName.describe("The name of a registered task."),
    payload: json.optional().describe("The task's input; {} by default."),
  })
  .meta({
    description: "A job to enqueue: the parameters of legwork.enqueue.",
    examples: [{ task: "notify/email", payload: { to: "ann@example.com" }, priority: -10, correlationId: "order-17" }],
  });

export const createdSchema = z
  .object({ id })
  .meta({ description: "The job. With a job key or uniqueFor, it may be a job that already existed.", examples: [{ id: "42" }] });

export const enqueuedSchema = createdSchema
  .extend({
    created: z.boolean().describe("Whether the request created the job; false if it was merged with an earlier request."),
    mergedBy: z
      .enum(["uniqueFor", "jobKey", "debounce", "throttle"])
      .nullable()
      .describe("The option that merged the request with an existing job; null for a new job."),
  })
  .meta({
    description: "The job. With a job key or uniqueFor, it may be a job that already existed.",
    examples: [{ id: "42", created: true, mergedBy: null }],
  });

/** A filter for failed jobs: the fields of legwork_private.failed_jobs_like. */
export const failedFilterSchema = z.strictObject({
  ids: z.array(jobId).min(1).max(10_000).optional(),
  state: z.literal("failed").optional().describe("Accepted so that filters of lists can be reused; these jobs have all failed."),
  task: taskName.optional(),
  queue: queueName.optional(),
  tenant: text(256).optional(),
  correlationId: text(256).optional(),
  parentId: jobId.optional(),
  createdAfter: time.optional(),
  createdBefore: time.optional(),
  fingerprint: text(64).optional().describe("A group from GET /failed-groups."),
  error: text(1_000).optional().describe("Part of the error message; case is ignored."),
  failedAfter: time.optional(),
  failedBefore: time.optional(),
  failedSince: duration.optional().describe("Only jobs that failed at most this long ago, whenever they were created."),
});

/** A filter for jobs that have not ended: the fields of legwork_private.live_jobs_like. */
export const liveFilterSchema = z.strictObject({
  ids: z.array(jobId).min(1).max(10_000).optional(),
  state: z.enum(["scheduled", "pending", "blocked", "paused", "running", "retrying"]).optional(),
  task: taskName.optional(),
  queue: queueName.optional(),
  tenant: text(256).optional(),
  correlationId: text(256).optional(),
  parentId: jobId.optional(),
  jobKey: text(512).optional(),
  createdAfter: time.optional(),
  createdBefore: time.optional(),
});

/** A filter for jobs that have ended: the fields of legwork_private.finished_jobs_like. */
export const finishedFilterSchema = liveFilterSchema.omit({ jobKey: true }).extend({
  state: z.enum(["completed", "failed", "cancelled", "expired"]).optional(),
  error: text(1_000).optional().describe("Part of the error message; case is ignored."),
  finishedAfter: time.optional(),
  finishedBefore: time.optional(),
  finishedSince: duration.optional().describe("Only jobs that ended at most this long ago."),
});

export const jobCursor = cursorOver("jobs", jobId);
export const logCursor = cursorOver("logs", jobId);

/** One state or several, separated by commas. */
const states = text(200)
  .transform((value) => value.split(","))
  .pipe(z.array(z.enum(JOB_STATES)).min(1))
  .meta({
    description: "Only jobs in this state, or in any of several separated by commas.",
    examples: ["failed", "failed,cancelled"],
  });

export const jobQuery = z.strictObject({
  state: states.optional(),
  task: taskName.optional(),
  queue: queueName.optional(),
  tenant: text(256).optional(),
  correlationId: text(256).optional(),
  parentId: jobId.optional().describe("Only jobs that this job enqueued."),
  jobKey: text(512).optional(),
  worker: text(256).optional().describe("Only jobs that this worker is running or was the last to run."),
  priority: wholeNumber(-32_768, 32_767).optional(),
  error: text(1_000).optional().describe("Part of the error message; case is ignored."),
  payload: text(1_000)
    .regex(/^[^:]+:/, "expected a path and a value, such as user.id:42")
    .optional()
    .describe(
      `A path in the payload and the value there, such as user.id:42. Reads the payloads of at most ${formatNumber(MAX_LOOKED_AT)} jobs that match the ` +
        "other filters; `lookedAt` is the number read. A page may be empty and still have a next page, which continues the search.",
    ),
  brief: z.stringbool().optional().describe("Leave out payload and result, which may be large; both are null then."),
  createdAfter: time.optional().describe("Only jobs created at or after this time."),
  createdBefore: time.optional().describe("Only jobs created before this time."),
  finishedAfter: time
    .optional()
    .describe("Only jobs that ended at or after this time. A failed job ended when its last attempt failed."),
  finishedBefore: time.optional().describe("Only jobs that ended before this time."),
  finishedSince: duration.optional().describe("Only jobs that ended at most this long ago, whenever they were created."),
  order: z
    .enum(["newest", "oldest", "longest"])
    .default("newest")
    .describe("Which jobs come first. `longest` sorts running jobs by how long they have been running, and has a single page."),
  before: jobId.optional().describe("Only jobs with a smaller id: the next page with order newest."),
  after: jobId.optional().describe("Only jobs with a larger id: the next page with order oldest."),
  cursor: jobCursor.schema.optional(),
  limit: pageLimit,
});

export const jobPage = page(jobSchema, "A page of jobs.")
  .extend({
    lookedAt: z.int().optional().describe("For a search in payloads: the number of payloads read for this page."),
    lookedTo: z.string().nullable().optional().describe("For a search in payloads: the last job whose payload was read."),
  })
  .describe("A page of jobs.");

/** The fields by which jobs can be counted. */
export const COUNT_FIELDS = ["state", "task", "queue", "tenant", "worker"] as const;

export const jobCountQuery = jobQuery
  .omit({ payload: true, brief: true, order: true, before: true, after: true, cursor: true, limit: true })
  .extend({
    by: text(100)
      .default("state")
      .transform((value) => value.split(","))
      .pipe(z.array(z.enum(COUNT_FIELDS)).min(1))
      .meta({ description: "What to count by: one field, or several separated by commas.", examples: ["state", "state,task"] }),
  });

export const jobCountSchema = row({
  field: z.enum(COUNT_FIELDS),
  value: z.string().describe("The state, task, queue, tenant or worker."),
  jobs: z.int().describe("The number of jobs; at most 10,000."),
  isCapped: z.boolean().describe("Whether there are, or may be, more jobs than `jobs`."),
}).meta({
  description: "The number of jobs with one value of a field.",
  examples: [{ field: "state", value: "failed", jobs: 17, isCapped: false }],
});

export const jobCountPage = page(jobCountSchema, "The counts, by field and largest first; at most 100 values for each field.");

export const progressSchema = z
  .object({
    id: z.string(),
    state: z.enum(JOB_STATES),
    attempts: z.int(),
    progress: z.number().nullable(),
    progressMessage: z.string().nullable(),
  })
  .describe("The progress that the task last reported.");

/** The longest time that a request waits for a result (ms): proxies close a connection that is silent for a minute. */
const LONGEST_WAIT_MS = 55_000;

export const resultQuery = z.strictObject({
  wait: duration
    .refine(
      (value) => (parseDuration(value) ?? 0) <= LONGEST_WAIT_MS,
      "expected a duration of at most 55s; repeat the request to wait longer",
    )
    .default("0s")
    .describe("How long to wait for the job to end, at most 55s. After that, the response contains the job's current state."),
});
export const jobResultSchema = row({
  id: z.string(),
  state: z.enum(JOB_STATES),
  result: z.unknown().describe("What the task returned, without redacted values; null until the job has completed."),
  error: z
    .string()
    .nullable()
    .describe("The last error, or why the job was cancelled or has expired; null for a job that has completed."),
  finishedAt: at.nullable().describe("When the job ended; null until then. A job that waits for another attempt has not ended."),
}).describe("How the job ended, or its current state if it has not ended.");

export const logQuery = z.strictObject({
  after: jobId.optional().describe("Only lines after the line with this id: the next page, or lines logged since then."),
  cursor: logCursor.schema.optional(),
  limit: pageLimit,
});
/** The number of rows before the page. Rows are ordered by when they began, so a new row always comes last. */
const position = z.string().regex(/^\d{1,9}$/);

export const attemptCursor = cursorOver("attempts", position);
export const attemptQuery = z.strictObject({ cursor: attemptCursor.schema.optional(), limit: pageLimit });
export const attemptPage = page(attemptSchema, "A page of attempts.");

export const logPage = page(logLineSchema, "A page of log lines.");

export const stepSchema = row({
  kind: z.enum(["run", "wait", "sleep", "invoke"]),
  name: z.string(),
  state: z.enum(["completed", "failed", "timed_out", "waiting"]),
  result: z.unknown(),
  error: z.string().nullable().describe("The message of its error; null unless it failed."),
  attempt: z.int(),
  startedAt: at,
  finishedAt: at.nullable(),
  deadline: at.nullable().describe("When the wait times out; null if it never does, and for steps that do not wait."),
  childId: z.string().nullable().describe("The job that the step has invoked; null for other steps."),
});
export const stepCursor = cursorOver("steps", position);
export const stepQuery = z.strictObject({
  cursor: stepCursor.schema.optional(),
  limit: pageLimit.default(500).describe("The maximum number of steps on the page."),
});
export const stepPage = page(stepSchema, "The steps.");

export const reasonPage = page(reasonSchema, "All reasons, in the order in which they apply.");

export const reasonBody = z
  .strictObject({ reason: text(1_000).optional().describe("The reason, recorded in the job's history.") })
  .optional()
  .meta({ examples: [{ reason: "wrong recipients" }] });

export const signalBody = z
  .strictObject({ payload: json.optional() })
  .optional()
  .meta({ examples: [{ payload: { approved: true } }] });
export const signalSchema = z
  .object({
    counts: z
      .boolean()
      .describe("Whether the signal counts: false for a repeated signal of this name, and when the wait for it has timed out."),
  })
  .describe("What happened to the signal.");

export const rerunBody = z
  .strictObject({
    payload: json.optional().describe("The new job's payload; that of the original job by default."),
    discard: z.boolean().optional().describe("Also discard the original job, which must have failed."),
    task: taskName.optional().describe("A different task, for example if the name of the original one was misspelled."),
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
  .describe("A rerun.");
export const rerunPage = page(
  rerunRecordSchema,
  "The reruns, at most 100. If this job is itself a rerun, the entry with its own id names the job that it repeats.",
);

export const priorityBody = z
  .strictObject({ priority: z.int().min(-32_768).max(32_767) })
  .meta({ description: "The new priority.", examples: [{ priority: -10 }] });
export const prioritySchema = z
  .object({ id: z.string(), priority: z.int(), was: z.int().describe("The previous priority, to undo the change.") })
  .describe("The changed priority.");

/** The maximum number of jobs in one request. */
const MAX_JOBS = 1_000;

export const newJobsBody = z
  .strictObject({ jobs: z.array(newJobSchema).min(1).max(MAX_JOBS) })
  .meta({ examples: [{ jobs: [{ task: "notify/email", payload: { to: "ann@example.com" } }, { task: "report/daily" }] }] });
export const newJobsSchema = z
  .object({ ids: z.array(z.string()) })
  .meta({ description: "The jobs' ids, in the order of the request.", examples: [{ ids: ["42", "43"] }] });

export const runTaskBody = enqueueOptionsSchema
  .extend({ payload: json.optional().describe("The task's input; {} by default.") })
  .optional()
  .meta({ examples: [{ payload: { to: "ann@example.com" } }] });

/** A job. */
export type Job = Answer<typeof jobSchema>;
/** A job with its attempts and its schedule. */
export type JobWithAttempts = Answer<typeof jobWithAttemptsSchema>;
export type JobResult = Answer<typeof jobResultSchema>;
/** A line that a job logged. */
export type LogLine = Answer<typeof logLineSchema>;
/** A step of a job. */
export type Step = Answer<typeof stepSchema>;
/** The number of jobs with one value of a field. */
export type JobCount = Answer<typeof jobCountSchema>;
