import type { Queryable } from "../db/pool.ts";
import { cancelJob, cancelJobs, type LiveFilter } from "../jobs/cancel-job.ts";
import { type CountField, type CountFilter, countJobs } from "../jobs/count-jobs.ts";
import { discardJob, discardJobs } from "../jobs/discard-job.ts";
import { type Enqueued, enqueueMany, type EnqueueOnOptions, type JobSpec as EnqueueJobSpec } from "../jobs/enqueue.ts";
import { explainJob, type Reason } from "../jobs/explain-job.ts";
import { type FailedFilter, type FailedGroupFilter, listFailedGroups } from "../jobs/failed-jobs.ts";
import { getJob, type JobFilter, type JobState, listAttempts, listJobs } from "../jobs/read-jobs.ts";
import { lastLogs, logsAfter } from "../jobs/read-logs.ts";
import { listSteps } from "../jobs/read-steps.ts";
import { readTimeline } from "../jobs/read-timeline.ts";
import { type FinishedFilter, listReruns, rerunJob, rerunJobs, type RerunOptions } from "../jobs/rerun-job.ts";
import { retryJob, retryJobs } from "../jobs/retry-job.ts";
import { sendSignal } from "../jobs/send-signal.ts";
import { setPriorities, setPriority } from "../jobs/set-priority.ts";
import { allThroughEnqueue } from "../jobs/enqueue-middleware.ts";
import type { Middleware } from "../jobs/middleware.ts";
import type { TaskName } from "../jobs/task-registry.ts";
import { enqueueOnTyped, type JobSpec } from "../jobs/typed-enqueue.ts";
import { type BoundEnqueue, bindEnqueue, bindEnqueueWithOutcome } from "./bound-enqueue.ts";
import {
  type Attempt,
  type FailedGroup,
  type Job,
  type JobCount,
  type JobDetails,
  type LogLine,
  type Rerun,
  type Step,
  type TimelineEntry,
  toAttempt,
  toFailedGroup,
  toJob,
  toJobCount,
  toJobDetails,
  toLogLine,
  toRerun,
  toStep,
  toTimelineEntry,
} from "./job-rows.ts";

/** `legwork.jobs`: enqueue, read and control jobs. */
export interface Jobs {
  /**
   * Enqueues a job and returns its id. Pass the task's name, or its definition if that states a name. With a task registry (`legwork types`), a wrong
   * name or payload does not compile.
   *
   * Throws LW422, naming the field, for a payload that does not match; LW404 for an unknown task; LW409 when a job with the same key cannot be
   * replaced; LW400 for options that cannot be combined; LW429 over the rate limit.
   *
   * @example
   * const id = await legwork.jobs.enqueue("notify/welcome", { userId: 3 });
   * const later = await legwork.jobs.enqueue("notify/welcome", { userId: 4 }, { jobKey: "welcome:4", runAt: new Date("2030-01-01T09:00:00Z") });
   */
  readonly enqueue: BoundEnqueue;
  /**
   * Enqueues a job like `enqueue`, and also returns whether a new job was created: with `jobKey` or `uniqueFor`, the request may be merged with an
   * earlier one. `mergedBy` names the option that caused this.
   *
   * @example
   * const { id, created } = await legwork.jobs.enqueueWithOutcome("notify/welcome", { userId: 3 }, { uniqueFor: "1h" });
   */
  readonly enqueueWithOutcome: BoundEnqueue<Enqueued>;
  /**
   * Enqueues any number of jobs in one statement, either all or none, and returns their ids in the same order. Throws like `enqueue`.
   *
   * @example
   * const ids = await legwork.jobs.enqueueMany([
   *   { task: "notify/welcome", payload: { userId: 3 } },
   *   { task: "notify/welcome", payload: { userId: 4 }, priority: -1 },
   * ]);
   */
  enqueueMany(jobs: readonly JobSpec[]): Promise<string[]>;
  /**
   * Creates a trigger on a table that enqueues `task` in the transaction of each change. Calling it again replaces the trigger.
   * Throws LW404 for an unknown task, LW400 for an unknown event or column.
   *
   * @example
   * await legwork.jobs.enqueueOn("users", ["insert"], "notify/welcome", { payload: { userId: "id" } });
   */
  enqueueOn(
    table: string,
    events: readonly ("insert" | "update" | "delete")[],
    task: TaskName,
    options?: EnqueueOnOptions,
  ): Promise<void>;
  /**
   * Lists matching jobs, newest first; 50 unless `limit` says otherwise. Throws LW400 for filters that no index supports.
   *
   * @example
   * const failed = await legwork.jobs.list({ state: "failed", task: "notify/email", limit: 20 });
   * const next = await legwork.jobs.list({ state: "failed", task: "notify/email", limit: 20, before: failed.at(-1)?.id });
   */
  list(filter?: Partial<JobFilter>): Promise<Job[]>;
  /**
   * Counts matching jobs by state, task, queue, tenant or worker, largest count first: at most 100 values, each counted up to 10,000. The filter's
   * condition on the counted field is ignored. With more than 2,000 unfinished jobs, their counts are a few seconds old.
   *
   * @example
   * const [worst] = await legwork.jobs.count({ state: "failed" }, "task");
   * if (worst !== undefined) console.log(`${worst.value}: ${worst.jobs}${worst.isCapped ? " or more" : ""} failed`);
   */
  count(filter: CountFilter, by: CountField | readonly CountField[]): Promise<JobCount[]>;
  /**
   * Returns one job with its attempts, oldest first, and the schedule that enqueued it. Throws LW404 if the job does not exist or its history was
   * deleted.
   *
   * @example
   * const { state, payload, error, attemptList } = await legwork.jobs.get("43");
   */
  get(id: string): Promise<JobDetails>;
  /**
   * Lists the attempts of a job, oldest first; empty for a job that does not exist.
   *
   * @example
   * for (const { attempt, state, errorMessage } of await legwork.jobs.attempts("43")) console.log(attempt, state, errorMessage);
   */
  attempts(id: string): Promise<Attempt[]>;
  /**
   * Lists the log lines of a job, oldest first: the last `limit` lines (500 by default), or with `after` the lines after the line with that id.
   *
   * @example
   * const lines = await legwork.jobs.logs("42");
   * const newer = await legwork.jobs.logs("42", { after: lines.at(-1)?.id ?? "0" });
   */
  logs(id: string, options?: { after?: string; limit?: number }): Promise<LogLine[]>;
  /**
   * Lists the durable steps of a job, in the order in which they began.
   *
   * @example
   * const waiting = (await legwork.jobs.steps("42")).filter(({ state }) => state === "waiting");
   */
  steps(id: string): Promise<Step[]>;
  /**
   * Lists the events of a job by start time: why it waited, its attempts, steps and signals, the jobs that it enqueued, and what users did with it.
   * Throws LW404 for an unknown job.
   *
   * @example
   * for (const { label, startedAt, detail } of await legwork.jobs.timeline("42")) console.log(startedAt, label, detail);
   */
  timeline(id: string): Promise<TimelineEntry[]>;
  /**
   * Explains why a job is not running: all reasons, in the order in which they hold it back, each with a fix. Throws LW404 for an unknown job.
   *
   * @example
   * for (const { detail, fix } of await legwork.jobs.explain("42")) console.log(`${detail} ${fix}`);
   */
  explain(id: string): Promise<Reason[]>;
  /**
   * Cancels a job. A waiting job never starts. A running job gets the abort signal within a second, and the job is not retried. Returns `cancelled`,
   * or `running` until its worker has responded. Throws LW404 for an unknown job, LW409 for one that has ended.
   *
   * @example
   * await legwork.jobs.cancel("42", "wrong recipients");
   */
  cancel(id: string, reason?: string): Promise<JobState>;
  /**
   * Cancels the jobs that match, oldest first and at most 10,000 (`atMost`). Returns their ids. With `preview` nothing changes: it returns the jobs
   * that would be cancelled. Throws LW400 for an invalid filter, LW404 for an unknown task or queue.
   *
   * @example
   * const ids = await legwork.jobs.cancelMany({ task: "notify/email" }, { reason: "wrong recipients", preview: true });
   */
  cancelMany(filter: LiveFilter, options?: { reason?: string; preview?: boolean; atMost?: number }): Promise<string[]>;
  /**
   * Makes a job start now. A failed job gets all its attempts again; a scheduled or retrying job becomes due at once. Limits and pauses still hold it
   * back. Returns its state. Throws LW404 for an unknown job, LW409 for one that is running, or that has ended in a state other than failed.
   *
   * @example
   * await legwork.jobs.retry("43");
   */
  retry(id: string): Promise<JobState>;
  /**
   * Retries the failed jobs that match, oldest first and at most 10,000 (`atMost`). Returns their ids. With `preview` nothing changes. Throws LW400
   * for an invalid filter, LW404 for an unknown task or queue.
   *
   * @example
   * const ids = await legwork.jobs.retryMany({ task: "notify/email", error: "ECONNREFUSED" });
   */
  retryMany(filter: FailedFilter, options?: { preview?: boolean; atMost?: number }): Promise<string[]>;
  /**
   * Discards a failed job: it can no longer be retried, and stays in the history as failed. Throws LW404 for an unknown job, LW409 for one that has
   * not failed.
   *
   * @example
   * await legwork.jobs.discard("43");
   */
  discard(id: string): Promise<void>;
  /**
   * Discards the failed jobs that match, under the same rules as `retryMany`.
   *
   * @example
   * const ids = await legwork.jobs.discardMany({ failedBefore: new Date("2026-01-01") });
   */
  discardMany(filter: FailedFilter, options?: { preview?: boolean; atMost?: number }): Promise<string[]>;
  /**
   * Reruns a job that has ended: enqueues a new job with the same task, payload, priority, serial key, attempts, tenant and correlation id, and the
   * original as its parent. The original's job key, time, expiry and dependencies are not copied. Returns the new job's id. Throws LW404 for an
   * unknown job, LW409 for one that has not ended or whose payload is no longer complete in the history, LW422 for a payload that its task does not
   * accept.
   *
   * @example
   * const id = await legwork.jobs.rerun("43", { payload: { to: "ann@example.com" } });
   */
  rerun(id: string, options?: RerunOptions): Promise<string>;
  /**
   * Reruns the jobs that match, oldest first and at most 10,000 (`atMost`). Returns the ids of the original jobs. With the same `asOf`, the next call
   * continues with the jobs that have not been rerun since then. With `preview` nothing changes. Throws LW400 for a filter that would have to read
   * the whole history, LW404 for an unknown task or queue, LW409 if any of the payloads is redacted; in that case no job is rerun.
   *
   * @example
   * const asOf = new Date();
   * const ids = await legwork.jobs.rerunMany({ state: "failed", task: "notify/email" }, { asOf });
   */
  rerunMany(filter: FinishedFilter, options?: { asOf?: Date; preview?: boolean; atMost?: number }): Promise<string[]>;
  /**
   * Lists the reruns of a job, and the original if the job is itself a rerun; at most 100. Throws LW404 for an unknown job.
   *
   * @example
   * const reruns = await legwork.jobs.reruns("43");
   */
  reruns(id: string): Promise<Rerun[]>;
  /**
   * Changes a job's priority; smaller numbers run first. For a running job, the change applies to its next attempt. Returns the previous priority.
   * Throws LW404 for an unknown job, LW409 for one that has ended, LW400 for a number outside the range -32768 to 32767.
   *
   * @example
   * const before = await legwork.jobs.setPriority("42", -10);
   */
  setPriority(id: string, priority: number): Promise<number>;
  /**
   * Changes the priority of the jobs that match and have a different one, oldest first and at most 10,000 (`atMost`). Returns their ids and previous
   * priorities. With `preview` nothing changes. Throws LW400 for an invalid filter, LW404 for an unknown task or queue.
   *
   * @example
   * const changed = await legwork.jobs.setPriorityMany({ queue: "notification" }, 10);
   */
  setPriorityMany(
    filter: LiveFilter,
    priority: number,
    options?: { preview?: boolean; atMost?: number },
  ): Promise<{ id: string; was: number }[]>;
  /**
   * Sends a job a signal, with a payload. Its task may already be waiting for the signal (`step.waitFor`), or wait for it later. Only the first
   * signal with each name counts. Returns whether this signal counts: false if it is a repeat, or if the wait for it has timed out. Throws LW404 for
   * an unknown job, LW409 for one that has ended, LW400 for an invalid name, LW413 for a payload over 256 KB.
   *
   * @example
   * const counts = await legwork.jobs.signal("42", "approved", { by: "ann" });
   */
  signal(id: string, name: string, payload?: unknown): Promise<boolean>;
  /**
   * Lists the matching failed jobs that can be retried, grouped by error, largest group first; at most 500 groups. Throws LW400 for an invalid
   * filter, LW404 for an unknown task or queue.
   *
   * @example
   * const [worst] = await legwork.jobs.failedGroups({ failedSince: "10m" });
   * if (typeof worst?.fingerprint === "string") await legwork.jobs.retryMany({ fingerprint: worst.fingerprint });
   */
  failedGroups(filter?: FailedGroupFilter): Promise<FailedGroup[]>;
}

/** The number of lines on a page of logs. */
const LOG_LINES = 500;

export function jobsOn(client: Queryable, middleware: readonly Middleware[] = []): Jobs {
  return {
    enqueue: bindEnqueue(client, middleware),
    enqueueWithOutcome: bindEnqueueWithOutcome(client, middleware),
    enqueueMany: async (jobs) => await enqueueMany(client, await allThroughEnqueue<EnqueueJobSpec>(middleware, jobs)),
    enqueueOn: (table, events, task, options) => enqueueOnTyped(client, table, events, task, options),
    list: async (filter) => (await listJobs(client, { limit: 50, ...filter })).map(toJob),
    count: async (filter, by) => (await countJobs(client, filter, by)).map(toJobCount),
    get: async (id) => toJobDetails(await getJob(client, id)),
    attempts: async (id) => (await listAttempts(client, id)).map(toAttempt),
    logs: async (id, { after, limit = LOG_LINES } = {}) =>
      (after === undefined ? await lastLogs(client, id, limit) : await logsAfter(client, id, after, limit)).map(toLogLine),
    steps: async (id) => (await listSteps(client, id)).map(toStep),
    timeline: async (id) => (await readTimeline(client, id)).map(toTimelineEntry),
    explain: (id) => explainJob(client, id),
    cancel: (id, reason) => cancelJob(client, id, reason),
    cancelMany: (filter, options) => cancelJobs(client, filter, options),
    retry: (id) => retryJob(client, id),
    retryMany: (filter, options) => retryJobs(client, filter, options),
    discard: (id) => discardJob(client, id),
    discardMany: (filter, options) => discardJobs(client, filter, options),
    rerun: (id, options) => rerunJob(client, id, options),
    rerunMany: (filter, options) => rerunJobs(client, filter, options),
    reruns: async (id) => (await listReruns(client, id)).map(toRerun),
    setPriority: (id, priority) => setPriority(client, id, priority),
    setPriorityMany: (filter, priority, options) => setPriorities(client, filter, priority, options),
    signal: (id, name, payload) => sendSignal(client, id, name, payload),
    failedGroups: async (filter) => (await listFailedGroups(client, filter)).map(toFailedGroup),
  };
}
