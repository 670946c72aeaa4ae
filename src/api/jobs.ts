import type { Queryable } from "../db/pool.ts";
import { cancelJob, cancelJobs, type LiveFilter } from "../jobs/cancel-job.ts";
import { discardJob, discardJobs } from "../jobs/discard-job.ts";
import type { EnqueueOnOptions } from "../jobs/enqueue.ts";
import { explainJob, type Reason } from "../jobs/explain-job.ts";
import { type FailedFilter, listFailedGroups } from "../jobs/failed-jobs.ts";
import { getJob, type JobFilter, type JobState, listAttempts, listJobs } from "../jobs/read-jobs.ts";
import { lastLogs, logsAfter } from "../jobs/read-logs.ts";
import { listSteps } from "../jobs/read-steps.ts";
import { type FinishedFilter, listReruns, rerunJob, rerunJobs, type RerunOptions } from "../jobs/rerun-job.ts";
import { retryJob, retryJobs } from "../jobs/retry-job.ts";
import { sendSignal } from "../jobs/send-signal.ts";
import { setPriorities, setPriority } from "../jobs/set-priority.ts";
import type { TaskName } from "../jobs/task-registry.ts";
import { enqueueManyTyped, enqueueOnTyped, type JobSpec } from "../jobs/typed-enqueue.ts";
import { type BoundEnqueue, bindEnqueue } from "./bound-enqueue.ts";
import {
  type Attempt,
  type FailedGroup,
  type Job,
  type JobDetails,
  type LogLine,
  type Rerun,
  type Step,
  toAttempt,
  toFailedGroup,
  toJob,
  toJobDetails,
  toLogLine,
  toRerun,
  toStep,
} from "./job-rows.ts";

/** `legwork.jobs`: what a job can be asked for and told. */
export interface Jobs {
  /**
   * Enqueues a job and resolves to its id. The task is given by its name, or by itself when its definition states its name. Once the registry has entries
   * (`legwork types`), a wrong name or payload does not compile.
   *
   * Throws LW422 naming the field of the payload that does not fit, LW404 for an unknown task, LW409 when a keyed job cannot be replaced, LW400 for
   * options that do not go together, LW429 over the rate limit.
   *
   * @example
   * const id = await legwork.jobs.enqueue("notify/welcome", { userId: 3 });
   * const later = await legwork.jobs.enqueue("notify/welcome", { userId: 4 }, { jobKey: "welcome:4", runAt: new Date("2030-01-01T09:00:00Z") });
   */
  readonly enqueue: BoundEnqueue;
  /**
   * Enqueues any number of jobs in one statement, all or none, and resolves to their ids in the same order. Throws as `enqueue` does.
   *
   * @example
   * const ids = await legwork.jobs.enqueueMany([
   *   { task: "notify/welcome", payload: { userId: 3 } },
   *   { task: "notify/welcome", payload: { userId: 4 }, priority: -1 },
   * ]);
   */
  enqueueMany(jobs: readonly JobSpec[]): Promise<string[]>;
  /**
   * Makes a trigger on a table that enqueues `task` in the transaction of each change. Calling it again replaces the trigger.
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
   * Jobs that match, newest first, 50 unless `limit` says otherwise. Throws LW400 for filters that no index serves.
   *
   * @example
   * const failed = await legwork.jobs.list({ state: "failed", task: "notify/email", limit: 20 });
   * const next = await legwork.jobs.list({ state: "failed", task: "notify/email", limit: 20, before: failed.at(-1)?.id });
   */
  list(filter?: Partial<JobFilter>): Promise<Job[]>;
  /**
   * One job with its attempts, oldest first, and the schedule that enqueued it. Throws LW404 for a job that does not exist or whose history has been deleted.
   *
   * @example
   * const { state, payload, error, attemptList } = await legwork.jobs.get("43");
   */
  get(id: string): Promise<JobDetails>;
  /**
   * The attempts of a job, oldest first; none for a job that does not exist.
   *
   * @example
   * for (const { attempt, state, errorMessage } of await legwork.jobs.attempts("43")) console.log(attempt, state, errorMessage);
   */
  attempts(id: string): Promise<Attempt[]>;
  /**
   * What a job has logged, oldest first: the last `limit` lines, 500 unless given, or with `after` those after the line with that id.
   *
   * @example
   * const lines = await legwork.jobs.logs("42");
   * const newer = await legwork.jobs.logs("42", { after: lines.at(-1)?.id ?? "0" });
   */
  logs(id: string, options?: { after?: string; limit?: number }): Promise<LogLine[]>;
  /**
   * The durable steps of a job, in the order in which they began.
   *
   * @example
   * const waiting = (await legwork.jobs.steps("42")).filter(({ state }) => state === "waiting");
   */
  steps(id: string): Promise<Step[]>;
  /**
   * Why a job does not run: every reason, in the order in which they hold it back, each with a fix. Throws LW404 for an unknown job.
   *
   * @example
   * for (const { detail, fix } of await legwork.jobs.explain("42")) console.log(`${detail} ${fix}`);
   */
  explain(id: string): Promise<Reason[]>;
  /**
   * Cancels a job. One that waits never starts; one that runs is told to stop by its signal within a second and is not retried.
   * Resolves to `cancelled`, or to `running` while its worker is being told. Throws LW404 for an unknown job, LW409 for one that has ended.
   *
   * @example
   * await legwork.jobs.cancel("42", "wrong recipients");
   */
  cancel(id: string, reason?: string): Promise<JobState>;
  /**
   * Cancels the jobs that match, oldest first and at most 10,000 (`atMost`), and resolves to their ids. With `preview` nothing changes: these are the ones that
   * would be cancelled. Throws LW400 for a filter that is not valid, LW404 for an unknown task or queue.
   *
   * @example
   * const ids = await legwork.jobs.cancelMany({ task: "notify/email" }, { reason: "wrong recipients", preview: true });
   */
  cancelMany(filter: LiveFilter, options?: { reason?: string; preview?: boolean; atMost?: number }): Promise<string[]>;
  /**
   * Lets a job start now: a failed one gets all its attempts again, one that waits for its time or its next attempt waits no more for that. Limits and pauses still
   * hold it back. Resolves to its state. Throws LW404 for an unknown job, LW409 for one that runs or has ended other than failed.
   *
   * @example
   * await legwork.jobs.retry("43");
   */
  retry(id: string): Promise<JobState>;
  /**
   * Retries the failed jobs that match, oldest first and at most 10,000 (`atMost`), and resolves to their ids. With `preview` nothing changes. Throws LW400 for a
   * filter that is not valid, LW404 for an unknown task or queue.
   *
   * @example
   * const ids = await legwork.jobs.retryMany({ task: "notify/email", error: "ECONNREFUSED" });
   */
  retryMany(filter: FailedFilter, options?: { preview?: boolean; atMost?: number }): Promise<string[]>;
  /**
   * Gives up a failed job: it cannot be retried any more and stays in the history as failed. Throws LW404 for an unknown job, LW409 for one that has not failed.
   *
   * @example
   * await legwork.jobs.discard("43");
   */
  discard(id: string): Promise<void>;
  /**
   * Gives up the failed jobs that match; otherwise as `retryMany`.
   *
   * @example
   * const ids = await legwork.jobs.discardMany({ failedBefore: new Date("2026-01-01") });
   */
  discardMany(filter: FailedFilter, options?: { preview?: boolean; atMost?: number }): Promise<string[]>;
  /**
   * Runs a job again that has ended: a new one with its task, payload, priority, serial key, attempts, tenant and correlation id, and the old one as its parent. Its job
   * key, time, expiry and dependencies are not taken. Resolves to the new job's id. Throws LW404 for an unknown job, LW409 for one that has not ended or whose whole
   * payload is not in the history, LW422 for a payload that its task does not take.
   *
   * @example
   * const id = await legwork.jobs.rerun("43", { payload: { to: "ann@example.com" } });
   */
  rerun(id: string, options?: RerunOptions): Promise<string>;
  /**
   * Runs the jobs that match again, oldest first and at most 10,000 (`atMost`), and resolves to the ids of the old ones. With the same `asOf` the next call
   * goes on with those that have not been run again since then. With `preview` nothing changes. Throws LW400 for a filter that would have to read the whole history,
   * LW404 for an unknown task or queue, LW409 when a payload among them is redacted: then none is run.
   *
   * @example
   * const asOf = new Date();
   * const ids = await legwork.jobs.rerunMany({ state: "failed", task: "notify/email" }, { asOf });
   */
  rerunMany(filter: FinishedFilter, options?: { asOf?: Date; preview?: boolean; atMost?: number }): Promise<string[]>;
  /**
   * What a job is a re-run of, and the re-runs of it, 100 at most. Throws LW404 for an unknown job.
   *
   * @example
   * const reruns = await legwork.jobs.reruns("43");
   */
  reruns(id: string): Promise<Rerun[]>;
  /**
   * Changes when a job's turn comes: smaller runs first. Of a running job it holds for its next attempt. Resolves to what it was before. Throws LW404 for an unknown
   * job, LW409 for one that has ended, LW400 for a number that is not between -32768 and 32767.
   *
   * @example
   * const before = await legwork.jobs.setPriority("42", -10);
   */
  setPriority(id: string, priority: number): Promise<number>;
  /**
   * Changes the priority of the jobs that match and have another one, oldest first and at most 10,000 (`atMost`), and resolves to their ids and their old priorities.
   * With `preview` nothing changes. Throws LW400 for a filter that is not valid, LW404 for an unknown task or queue.
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
   * Sends a job the signal that its task waits for (`step.waitFor`), now or later, with a payload. Of each name the first one counts: resolves to whether this one
   * does; to false also when the wait for it has timed out. Throws LW404 for an unknown job, LW409 for one that has ended, LW400 for a name that is not valid, LW413
   * for a payload over 256 KB.
   *
   * @example
   * const counts = await legwork.jobs.signal("42", "approved", { by: "ann" });
   */
  signal(id: string, name: string, payload?: unknown): Promise<boolean>;
  /**
   * The failed jobs that can be retried, grouped by what went wrong, the largest group first.
   *
   * @example
   * const [worst] = await legwork.jobs.failedGroups();
   * if (typeof worst?.fingerprint === "string") await legwork.jobs.retryMany({ fingerprint: worst.fingerprint });
   */
  failedGroups(): Promise<FailedGroup[]>;
}

/** Lines of one page of logs. */
const LOG_LINES = 500;

export function jobsOn(client: Queryable): Jobs {
  return {
    enqueue: bindEnqueue(client),
    enqueueMany: (jobs) => enqueueManyTyped(client, jobs),
    enqueueOn: (table, events, task, options) => enqueueOnTyped(client, table, events, task, options),
    list: async (filter) => (await listJobs(client, { limit: 50, ...filter })).map(toJob),
    get: async (id) => toJobDetails(await getJob(client, id)),
    attempts: async (id) => (await listAttempts(client, id)).map(toAttempt),
    logs: async (id, { after, limit = LOG_LINES } = {}) =>
      (after === undefined ? await lastLogs(client, id, limit) : await logsAfter(client, id, after, limit)).map(toLogLine),
    steps: async (id) => (await listSteps(client, id)).map(toStep),
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
    failedGroups: async () => (await listFailedGroups(client)).map(toFailedGroup),
  };
}
