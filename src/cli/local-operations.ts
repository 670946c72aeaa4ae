import { diagnose } from "../db/diagnose.ts";
import type { Pool } from "../db/pool.ts";
import { cancelJob, cancelJobs, type LiveFilter } from "../jobs/cancel-job.ts";
import { discardJob, discardJobs } from "../jobs/discard-job.ts";
import { enqueue, type EnqueueOptions } from "../jobs/enqueue.ts";
import { explainJob } from "../jobs/explain-job.ts";
import { type FailedFilter, listFailedGroups } from "../jobs/failed-jobs.ts";
import { getJob, type JobFilter, listJobs } from "../jobs/read-jobs.ts";
import { lastLogs, logsAfter } from "../jobs/read-logs.ts";
import { listSteps } from "../jobs/read-steps.ts";
import { retryJob, retryJobs } from "../jobs/retry-job.ts";
import { dropLimit, limitConcurrency, limitRate, type LimitTarget, resetLimits } from "../queues/limits.ts";
import { readOverview } from "../queues/overview.ts";
import { emergencyStop, pauseQueue, pauseTask, resumeAll, resumeQueue, resumeTask } from "../queues/pause.ts";
import { listQueues, listTasks, listWorkers } from "../queues/read-queues.ts";

/** What commands do, on a connection to the database. */
export function localOperations(pool: Pool) {
  return {
    enqueue: (task: string, payload: unknown, options: EnqueueOptions) => enqueue(pool, task, payload, options),
    listJobs: (filter: JobFilter) => listJobs(pool, filter),
    getJob: (id: string) => getJob(pool, id),
    listSteps: (id: string) => listSteps(pool, id),
    lastLogs: (id: string, limit: number) => lastLogs(pool, id, limit),
    logsAfter: (id: string, after?: string) => logsAfter(pool, id, after),
    explainJob: (id: string) => explainJob(pool, id),
    cancelJob: (id: string, reason?: string) => cancelJob(pool, id, reason),
    cancelJobs: (filter: LiveFilter, options: { reason?: string; preview: boolean }) => cancelJobs(pool, filter, options),
    retryJob: (id: string) => retryJob(pool, id),
    retryJobs: (filter: FailedFilter, options: { preview: boolean }) => retryJobs(pool, filter, options),
    discardJob: (id: string) => discardJob(pool, id),
    discardJobs: (filter: FailedFilter, options: { preview: boolean }) => discardJobs(pool, filter, options),
    listFailedGroups: () => listFailedGroups(pool),
    listQueues: () => listQueues(pool),
    listTasks: () => listTasks(pool),
    listWorkers: () => listWorkers(pool),
    limitConcurrency: (max: number, target: LimitTarget) => limitConcurrency(pool, max, target),
    limitRate: (max: number, per: string, target: LimitTarget) => limitRate(pool, max, per, target),
    dropLimit: (kind: "concurrency" | "rate", target: LimitTarget) => dropLimit(pool, kind, target),
    resetLimits: (task: string) => resetLimits(pool, task),
    pauseQueue: (queue: string, reason?: string) => pauseQueue(pool, queue, reason),
    resumeQueue: (queue: string) => resumeQueue(pool, queue),
    pauseTask: (task: string, reason?: string) => pauseTask(pool, task, reason),
    resumeTask: (task: string) => resumeTask(pool, task),
    emergencyStop: (reason?: string) => emergencyStop(pool, reason),
    resumeAll: () => resumeAll(pool),
    readOverview: () => readOverview(pool),
    diagnose: () => diagnose(pool),
  };
}

/** What commands do, wherever that is done: on the database, or by asking a server. */
export type Operations = ReturnType<typeof localOperations>;
