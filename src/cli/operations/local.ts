import { listAuditLog } from "../../access/audit-log.ts";
import { createToken, listTokens, revokeToken } from "../../access/tokens.ts";
import { alertRuleSchema, alertSchema, healthSchema, taskStatisticsSchema } from "../../contract/alerts.ts";
import { bulkActionSchema, bulkPreviewSchema } from "../../contract/bulk-actions.ts";
import { failedGroupSchema } from "../../contract/bulk.ts";
import {
  jobCountSchema,
  jobResultSchema,
  jobSchema,
  jobWithAttemptsSchema,
  logLineSchema,
  stepSchema,
} from "../../contract/jobs.ts";
import { type Queue, queueSchema, type TaskInfo, taskSchema, workerSchema } from "../../contract/queues.ts";
import { fromRow, fromRows, type Row } from "../../contract/rows.ts";
import { scheduleRunSchema, scheduleSchema } from "../../contract/schedules.ts";
import { timelineEntrySchema } from "../../contract/timeline.ts";
import { auditLineSchema, overviewSchema } from "../../contract/system.ts";
import { tokenSchema } from "../../contract/tokens.ts";
import { batchSchema, toBatchJobRow, toStepRows, workflowSchema, workflowWithStepsSchema } from "../../contract/workflows.ts";
import { callFunction } from "../../db/call-function.ts";
import { acknowledgeAlert } from "../../health/acknowledge-alert.ts";
import { listAlertRules } from "../../health/alert-rules.ts";
import { listAlerts } from "../../health/list-alerts.ts";
import { readHealth } from "../../health/read-health.ts";
import { readInstallation } from "../../health/read-installation.ts";
import { readTaskStatistics } from "../../health/read-statistics.ts";
import { endSilence, silenceAlerts } from "../../health/silence-alerts.ts";
import { diagnose } from "../../health/doctor.ts";
import type { Pool } from "../../db/pool.ts";
import { getBulkAction, listBulkActions, previewBulkAction, startBulkAction, stopBulkAction } from "../../jobs/bulk-actions.ts";
import { cancelJob, cancelJobs } from "../../jobs/cancel-job.ts";
import { discardJob, discardJobs } from "../../jobs/discard-job.ts";
import { enqueue, enqueueWithOutcome } from "../../jobs/enqueue.ts";
import { explainJob } from "../../jobs/explain-job.ts";
import { listFailedGroups } from "../../jobs/failed-jobs.ts";
import { countJobs } from "../../jobs/count-jobs.ts";
import { awaitState } from "../../jobs/job-result.ts";
import { getJob, listJobs } from "../../jobs/read-jobs.ts";
import { lastLogs, logsAfter } from "../../jobs/read-logs.ts";
import { listSteps } from "../../jobs/read-steps.ts";
import { readTimeline } from "../../jobs/read-timeline.ts";
import { rerunJob } from "../../jobs/rerun-job.ts";
import { setPriority } from "../../jobs/set-priority.ts";
import { retryJob, retryJobs } from "../../jobs/retry-job.ts";
import { runBulkAction } from "../../jobs/run-bulk-actions.ts";
import { sendSignal } from "../../jobs/send-signal.ts";
import { explainQueue } from "../../queues/explain-queue.ts";
import { explainWorker } from "../../queues/explain-worker.ts";
import { dropLimit, limitConcurrency, limitRate, resetLimits } from "../../queues/limits.ts";
import { readOverview } from "../../queues/overview.ts";
import { emergencyStop, pauseQueue, pauseTask, resumeAll, resumeQueue, resumeTask } from "../../queues/pause.ts";
import { drainWorker, quietWorker, resumeWorker } from "../../queues/quiet-worker.ts";
import { listQueues, listTasks, listWorkers } from "../../queues/read-queues.ts";
import { disableSchedule, enableSchedule } from "../../schedules/enable-schedule.ts";
import { explainSchedule } from "../../schedules/explain-schedule.ts";
import { getSchedule, listScheduleRuns, listSchedules } from "../../schedules/list-schedules.ts";
import { previewSchedule } from "../../schedules/preview-schedule.ts";
import { runSchedule } from "../../schedules/run-schedule.ts";
import { schedule } from "../../schedules/schedule.ts";
import { unschedule } from "../../schedules/unschedule.ts";
import { cancelWorkflow } from "../../workflows/cancel-workflow.ts";
import { explainWorkflow } from "../../workflows/explain-workflow.ts";
import { getBatch, listBatches } from "../../workflows/batches.ts";
import { getWorkflow, listWorkflows } from "../../workflows/read-workflows.ts";
import { retryWorkflow } from "../../workflows/retry-workflow.ts";
import { inCommands } from "../command-wording.ts";
import type { Operations } from "./operations.ts";
import { toJson } from "../../json.ts";

/** The commands' operations on a database connection. */
export function localOperations(pool: Pool): Operations {
  return {
    enqueue: (task, payload, options) => enqueue(pool, task, payload, options),
    enqueueWithOutcome: (task, payload, options) => enqueueWithOutcome(pool, task, payload, options),
    listJobs: async (filter) => fromRows(jobSchema, await listJobs(pool, filter)),
    countJobs: async (filter, by) => fromRows(jobCountSchema, await countJobs(pool, filter, by)),
    getJob: async (id) => fromRow(jobWithAttemptsSchema, await getJob(pool, id)),
    awaitJob: async (id, timeout) => fromRow(jobResultSchema, await awaitState(pool, id, timeout)),
    listSteps: async (id) => fromRows(stepSchema, await listSteps(pool, id)),
    readTimeline: async (id) => fromRows(timelineEntrySchema, await readTimeline(pool, id)),
    lastLogs: async (id, limit) => fromRows(logLineSchema, await lastLogs(pool, id, limit)),
    logsAfter: async (id, after) => fromRows(logLineSchema, await logsAfter(pool, id, after)),
    explainJob: async (id) => inCommands(await explainJob(pool, id)),
    explainSchedule: async (name) => inCommands(await explainSchedule(pool, name)),
    explainWorkflow: async (id) => inCommands(await explainWorkflow(pool, id)),
    explainQueue: async (name) => inCommands(await explainQueue(pool, name)),
    explainWorker: async (id) => inCommands(await explainWorker(pool, id)),
    cancelJob: (id, reason) => cancelJob(pool, id, reason),
    cancelJobs: (filter, options) => cancelJobs(pool, filter, options),
    retryJob: (id) => retryJob(pool, id),
    retryJobs: (filter, options) => retryJobs(pool, filter, options),
    discardJob: (id) => discardJob(pool, id),
    discardJobs: (filter, options) => discardJobs(pool, filter, options),
    previewBulkAction: async (action, filter, options) =>
      fromRow(bulkPreviewSchema, await previewBulkAction(pool, action, filter, options)),
    startBulkAction: (action, filter, options) => startBulkAction(pool, action, filter, options),
    // The command itself does part of the work, so that the bulk action ends even if no worker or server is running.
    advanceBulkAction: async (id) => (await runBulkAction(pool, id)) ?? 0,
    getBulkAction: async (id) => fromRow(bulkActionSchema, await getBulkAction(pool, id)),
    listBulkActions: async (page) => fromRows(bulkActionSchema, await listBulkActions(pool, page)),
    stopBulkAction: (id) => stopBulkAction(pool, id),
    rerunJob: (id, options) => rerunJob(pool, id, options),
    setPriority: (id, priority) => setPriority(pool, id, priority),
    listFailedGroups: async (filter) => fromRows(failedGroupSchema, await listFailedGroups(pool, filter)),
    listQueues: async () => fromRows(queueSchema, (await listQueues(pool)) as Row<Queue>[]),
    listTasks: async () => fromRows(taskSchema, (await listTasks(pool)) as Row<TaskInfo>[]),
    listWorkers: async () => fromRows(workerSchema, await listWorkers(pool)),
    quietWorker: (worker) => quietWorker(pool, worker),
    drainWorker: (worker) => drainWorker(pool, worker),
    resumeWorker: (worker) => resumeWorker(pool, worker),
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
      return fromRow(scheduleSchema, await getSchedule(pool, name));
    },
    getSchedule: async (name) => fromRow(scheduleSchema, await getSchedule(pool, name)),
    listSchedules: async (filter) => fromRows(scheduleSchema, await listSchedules(pool, filter)),
    listScheduleRuns: async (name, options) => fromRows(scheduleRunSchema, await listScheduleRuns(pool, name, options)),
    previewSchedule: (timing, options) => previewSchedule(timing, { ...options, client: pool }),
    enableSchedule: (name) => enableSchedule(pool, name),
    disableSchedule: (name) => disableSchedule(pool, name),
    runSchedule: (name) => runSchedule(pool, name),
    unschedule: (name) => unschedule(pool, name),
    startWorkflow: async (name, steps, options) => {
      const [row] = await callFunction(pool, "legwork.start_workflow", {
        name,
        steps: toJson("steps", toStepRows(steps)),
        tenant: options.tenant,
        correlation_id: options.correlationId,
        deadline: options.deadline?.toISOString(),
      });
      return String(row.start_workflow);
    },
    listWorkflows: async (filter) => fromRows(workflowSchema, await listWorkflows(pool, filter)),
    getWorkflow: async (id) => fromRow(workflowWithStepsSchema, await getWorkflow(pool, id)),
    cancelWorkflow: (id, reason) => cancelWorkflow(pool, id, reason),
    retryWorkflow: (id, options) => retryWorkflow(pool, id, options),
    enqueueBatch: async (jobs, { callback, ...options }) => {
      const [row] = await callFunction(pool, "legwork.enqueue_batch", {
        jobs: toJson("jobs", Array.isArray(jobs) ? jobs.map(toBatchJobRow) : jobs),
        description: options.description,
        callback: callback === undefined ? undefined : toJson("callback", toBatchJobRow(callback)),
        tenant: options.tenant,
        correlation_id: options.correlationId,
      });
      return String(row.enqueue_batch);
    },
    listBatches: async (filter) => fromRows(batchSchema, await listBatches(pool, filter)),
    getBatch: async (id) => fromRow(batchSchema, await getBatch(pool, id)),
    readTaskStatistics: async (period) => fromRows(taskStatisticsSchema, await readTaskStatistics(pool, period)),
    readHealth: async () => fromRows(healthSchema, await readHealth(pool)),
    listAlerts: async (options) => fromRows(alertSchema, await listAlerts(pool, options)),
    listAlertRules: async () => fromRows(alertRuleSchema, await listAlertRules(pool)),
    acknowledgeAlert: (id, options) => acknowledgeAlert(pool, id, options),
    silenceAlerts: (duration, options) => silenceAlerts(pool, duration, options),
    endSilence: (id) => endSilence(pool, id),
    listAuditLog: async (filter) => fromRows(auditLineSchema, await listAuditLog(pool, filter)),
    createToken: (options) => createToken(pool, options),
    listTokens: async () => fromRows(tokenSchema, await listTokens(pool)),
    revokeToken: (id) => revokeToken(pool, id),
    readOverview: async () => fromRow(overviewSchema, await readOverview(pool)),
    readInstallation: () => readInstallation(pool),
    diagnose: () => diagnose(pool, { pool }),
  };
}
