import { callFunction } from "../db/call-function.ts";
import { diagnose } from "../health/doctor.ts";
import type { Pool } from "../db/pool.ts";
import { cancelJob, cancelJobs, type LiveFilter } from "../jobs/cancel-job.ts";
import { discardJob, discardJobs } from "../jobs/discard-job.ts";
import { enqueue, type EnqueueOptions } from "../jobs/enqueue.ts";
import { explainJob } from "../jobs/explain-job.ts";
import { type FailedFilter, listFailedGroups } from "../jobs/failed-jobs.ts";
import { getJob, type JobFilter, listJobs } from "../jobs/read-jobs.ts";
import { lastLogs, logsAfter } from "../jobs/read-logs.ts";
import { listSteps } from "../jobs/read-steps.ts";
import { rerunJob, type RerunOptions } from "../jobs/rerun-job.ts";
import { setPriority } from "../jobs/set-priority.ts";
import { retryJob, retryJobs } from "../jobs/retry-job.ts";
import { sendSignal } from "../jobs/send-signal.ts";
import { dropLimit, limitConcurrency, limitRate, type LimitTarget, resetLimits } from "../queues/limits.ts";
import { readOverview } from "../queues/overview.ts";
import { emergencyStop, pauseQueue, pauseTask, resumeAll, resumeQueue, resumeTask } from "../queues/pause.ts";
import { listQueues, listTasks, listWorkers } from "../queues/read-queues.ts";
import { disableSchedule, enableSchedule } from "../schedules/enable-schedule.ts";
import { getSchedule, listScheduleRuns, listSchedules } from "../schedules/list-schedules.ts";
import { previewSchedule, type PreviewOptions } from "../schedules/preview-schedule.ts";
import { runSchedule } from "../schedules/run-schedule.ts";
import { schedule, type ScheduleOptions, type Timing } from "../schedules/schedule.ts";
import { unschedule } from "../schedules/unschedule.ts";
import { cancelWorkflow } from "../workflows/cancel-workflow.ts";
import { type BatchFilter, type BatchOptions, getBatch, listBatches } from "../workflows/batches.ts";
import { getWorkflow, listWorkflows, type WorkflowFilter } from "../workflows/read-workflows.ts";
import { retryWorkflow } from "../workflows/retry-workflow.ts";
import type { StartWorkflowOptions } from "../workflows/start-workflow.ts";
import { toJson } from "../json.ts";

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
    rerunJob: (id: string, options: RerunOptions) => rerunJob(pool, id, options),
    setPriority: (id: string, priority: number) => setPriority(pool, id, priority),
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
    sendSignal: (id: string, name: string, payload: unknown) => sendSignal(pool, id, name, payload),
    schedule: async (name: string, task: string, options: ScheduleOptions) => {
      await schedule(pool, name, task, options);
      return await getSchedule(pool, name);
    },
    getSchedule: (name: string) => getSchedule(pool, name),
    listSchedules: (filter: { tenant?: string }) => listSchedules(pool, filter),
    listScheduleRuns: (name: string, options: { limit: number }) => listScheduleRuns(pool, name, options),
    previewSchedule: (timing: Timing, options: Omit<PreviewOptions, "client">) =>
      previewSchedule(timing, { ...options, client: pool }),
    enableSchedule: (name: string) => enableSchedule(pool, name),
    disableSchedule: (name: string) => disableSchedule(pool, name),
    runSchedule: (name: string) => runSchedule(pool, name),
    unschedule: (name: string) => unschedule(pool, name),
    /** The steps are what `legwork.start_workflow` takes. */
    startWorkflow: async (name: string, steps: unknown, options: StartWorkflowOptions) => {
      const [row] = await callFunction(pool, "start_workflow", {
        name,
        steps: toJson("steps", steps),
        tenant: options.tenant,
        correlation_id: options.correlationId,
        deadline: options.deadline?.toISOString(),
      });
      return String(row.start_workflow);
    },
    listWorkflows: (filter: WorkflowFilter) => listWorkflows(pool, filter),
    getWorkflow: (id: string) => getWorkflow(pool, id),
    cancelWorkflow: (id: string, reason?: string) => cancelWorkflow(pool, id, reason),
    retryWorkflow: (id: string, options: { deadline?: Date; fromStep?: string }) => retryWorkflow(pool, id, options),
    /** The jobs and the callback are what `legwork.enqueue_batch` takes. */
    enqueueBatch: async (
      jobs: unknown,
      { callback, ...options }: Pick<BatchOptions, "description" | "tenant" | "correlationId"> & { callback?: unknown },
    ) => {
      const [row] = await callFunction(pool, "enqueue_batch", {
        jobs: toJson("jobs", jobs),
        description: options.description,
        callback: callback === undefined ? undefined : toJson("callback", callback),
        tenant: options.tenant,
        correlation_id: options.correlationId,
      });
      return String(row.enqueue_batch);
    },
    listBatches: (filter: BatchFilter) => listBatches(pool, filter),
    getBatch: (id: string) => getBatch(pool, id),
    readOverview: () => readOverview(pool),
    diagnose: () => diagnose(pool, { pool }),
  };
}

/** What commands do, wherever that is done: on the database, or by asking a server. */
export type Operations = ReturnType<typeof localOperations>;
