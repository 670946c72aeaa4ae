import { callFunction } from "../../db/call-function.ts";
import { diagnose } from "../../health/doctor.ts";
import type { Pool } from "../../db/pool.ts";
import { cancelJob, cancelJobs } from "../../jobs/cancel-job.ts";
import { discardJob, discardJobs } from "../../jobs/discard-job.ts";
import { enqueue } from "../../jobs/enqueue.ts";
import { explainJob } from "../../jobs/explain-job.ts";
import { listFailedGroups } from "../../jobs/failed-jobs.ts";
import { getJob, listJobs } from "../../jobs/read-jobs.ts";
import { lastLogs, logsAfter } from "../../jobs/read-logs.ts";
import { listSteps } from "../../jobs/read-steps.ts";
import { rerunJob } from "../../jobs/rerun-job.ts";
import { setPriority } from "../../jobs/set-priority.ts";
import { retryJob, retryJobs } from "../../jobs/retry-job.ts";
import { sendSignal } from "../../jobs/send-signal.ts";
import { dropLimit, limitConcurrency, limitRate, resetLimits } from "../../queues/limits.ts";
import { readOverview } from "../../queues/overview.ts";
import { emergencyStop, pauseQueue, pauseTask, resumeAll, resumeQueue, resumeTask } from "../../queues/pause.ts";
import { listQueues, listTasks, listWorkers } from "../../queues/read-queues.ts";
import { disableSchedule, enableSchedule } from "../../schedules/enable-schedule.ts";
import { getSchedule, listScheduleRuns, listSchedules } from "../../schedules/list-schedules.ts";
import { previewSchedule } from "../../schedules/preview-schedule.ts";
import { runSchedule } from "../../schedules/run-schedule.ts";
import { schedule } from "../../schedules/schedule.ts";
import { unschedule } from "../../schedules/unschedule.ts";
import { cancelWorkflow } from "../../workflows/cancel-workflow.ts";
import { getBatch, listBatches } from "../../workflows/batches.ts";
import { getWorkflow, listWorkflows } from "../../workflows/read-workflows.ts";
import { retryWorkflow } from "../../workflows/retry-workflow.ts";
import type { Operations } from "./operations.ts";
import { toJson } from "../../json.ts";

/** What commands do, on a connection to the database. */
export function localOperations(pool: Pool): Operations {
  return {
    enqueue: (task, payload, options) => enqueue(pool, task, payload, options),
    listJobs: (filter) => listJobs(pool, filter),
    getJob: (id) => getJob(pool, id),
    listSteps: (id) => listSteps(pool, id),
    lastLogs: (id, limit) => lastLogs(pool, id, limit),
    logsAfter: (id, after) => logsAfter(pool, id, after),
    explainJob: (id) => explainJob(pool, id),
    cancelJob: (id, reason) => cancelJob(pool, id, reason),
    cancelJobs: (filter, options) => cancelJobs(pool, filter, options),
    retryJob: (id) => retryJob(pool, id),
    retryJobs: (filter, options) => retryJobs(pool, filter, options),
    discardJob: (id) => discardJob(pool, id),
    discardJobs: (filter, options) => discardJobs(pool, filter, options),
    rerunJob: (id, options) => rerunJob(pool, id, options),
    setPriority: (id, priority) => setPriority(pool, id, priority),
    listFailedGroups: () => listFailedGroups(pool),
    listQueues: () => listQueues(pool),
    listTasks: () => listTasks(pool),
    listWorkers: () => listWorkers(pool),
    limitConcurrency: (max, target) => limitConcurrency(pool, max, target),
    limitRate: (max, per, target) => limitRate(pool, max, per, target),
    dropLimit: (kind, target) => dropLimit(pool, kind, target),
    resetLimits: (task) => resetLimits(pool, task),
    pauseQueue: (queue, reason) => pauseQueue(pool, queue, reason),
    resumeQueue: (queue) => resumeQueue(pool, queue),
    pauseTask: (task, reason) => pauseTask(pool, task, reason),
    resumeTask: (task) => resumeTask(pool, task),
    emergencyStop: (reason) => emergencyStop(pool, reason),
    resumeAll: () => resumeAll(pool),
    sendSignal: (id, name, payload) => sendSignal(pool, id, name, payload),
    schedule: async (name, task, options) => {
      await schedule(pool, name, task, options);
      return await getSchedule(pool, name);
    },
    getSchedule: (name) => getSchedule(pool, name),
    listSchedules: (filter) => listSchedules(pool, filter),
    listScheduleRuns: (name, options) => listScheduleRuns(pool, name, options),
    previewSchedule: (timing, options) => previewSchedule(timing, { ...options, client: pool }),
    enableSchedule: (name) => enableSchedule(pool, name),
    disableSchedule: (name) => disableSchedule(pool, name),
    runSchedule: (name) => runSchedule(pool, name),
    unschedule: (name) => unschedule(pool, name),
    startWorkflow: async (name, steps, options) => {
      const [row] = await callFunction(pool, "legwork.start_workflow", {
        name,
        steps: toJson("steps", steps),
        tenant: options.tenant,
        correlation_id: options.correlationId,
        deadline: options.deadline?.toISOString(),
      });
      return String(row.start_workflow);
    },
    listWorkflows: (filter) => listWorkflows(pool, filter),
    getWorkflow: (id) => getWorkflow(pool, id),
    cancelWorkflow: (id, reason) => cancelWorkflow(pool, id, reason),
    retryWorkflow: (id, options) => retryWorkflow(pool, id, options),
    enqueueBatch: async (jobs, { callback, ...options }) => {
      const [row] = await callFunction(pool, "legwork.enqueue_batch", {
        jobs: toJson("jobs", jobs),
        description: options.description,
        callback: callback === undefined ? undefined : toJson("callback", callback),
        tenant: options.tenant,
        correlation_id: options.correlationId,
      });
      return String(row.enqueue_batch);
    },
    listBatches: (filter) => listBatches(pool, filter),
    getBatch: (id) => getBatch(pool, id),
    readOverview: () => readOverview(pool),
    diagnose: () => diagnose(pool, { pool }),
  };
}
