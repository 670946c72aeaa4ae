/**
 * The operations behind the tree of `createLegwork`: one function for each, whose first parameter is the connection. Rows have SQL column names, in
 * snake_case.
 */
export { listAuditLog } from "./access/audit-log.ts";
export type { AuditFilter, AuditRow } from "./access/audit-log.ts";
export { createToken, findToken, listTokens, revokeToken } from "./access/tokens.ts";
export type { FoundToken, TokenOptions, TokenRow } from "./access/tokens.ts";
export { diagnose } from "./health/doctor.ts";
export type { Finding } from "./health/doctor.ts";
export { acknowledgeAlert } from "./health/acknowledge-alert.ts";
export {
  dropAlertRule,
  getAlertRule,
  listAlertRules,
  restoreAlertRules,
  setAlertChannels,
  setAlertRule,
} from "./health/alert-rules.ts";
export type { AlertChannel, AlertKind, AlertRule, AlertRuleRow } from "./health/alert-rules.ts";
export { listAlerts } from "./health/list-alerts.ts";
export type { AlertRow, AlertSeverity, AlertState } from "./health/list-alerts.ts";
export { readHealth } from "./health/read-health.ts";
export type { HealthRow, HealthStatus } from "./health/read-health.ts";
export { listWorkerStarts, readSeries } from "./health/read-series.ts";
export type { SeriesIntervalRow, WorkerStart } from "./health/read-series.ts";
export { readTaskStatistics } from "./health/read-statistics.ts";
export type { TaskStatistics } from "./health/read-statistics.ts";
export { endSilence, listSilences, silenceAlerts } from "./health/silence-alerts.ts";
export type { SilenceRow } from "./health/silence-alerts.ts";
export { getBulkAction, listBulkActions, previewBulkAction, startBulkAction, stopBulkAction } from "./jobs/bulk-actions.ts";
export type { BulkActionKind, BulkActionRow, BulkFilter, BulkOptions, BulkPreviewRow } from "./jobs/bulk-actions.ts";
export { cancelJob, cancelJobs } from "./jobs/cancel-job.ts";
export type { LiveFilter } from "./jobs/cancel-job.ts";
export { countJobs } from "./jobs/count-jobs.ts";
export type { CountField, CountFilter, JobCount } from "./jobs/count-jobs.ts";
export { discardJob, discardJobs } from "./jobs/discard-job.ts";
export type { EnqueueOnOptions } from "./jobs/enqueue.ts";
export { explainJob } from "./jobs/explain-job.ts";
export type { Reason } from "./jobs/explain-job.ts";
export { listFailedGroups } from "./jobs/failed-jobs.ts";
export type { FailedFilter, FailedGroup, FailedGroupFilter } from "./jobs/failed-jobs.ts";
export { getJob, listAttempts, listJobs, searchPayloads } from "./jobs/read-jobs.ts";
export type { AttemptRow, FoundJob, JobFilter, JobRow, JobState, PayloadSearch } from "./jobs/read-jobs.ts";
export { lastLogs, logsAfter } from "./jobs/read-logs.ts";
export type { LogRow } from "./jobs/read-logs.ts";
export { listSteps } from "./jobs/read-steps.ts";
export type { StepRow } from "./jobs/read-steps.ts";
export { readTimeline } from "./jobs/read-timeline.ts";
export type { TimelineRow } from "./jobs/read-timeline.ts";
export { listReruns, rerunJob, rerunJobs } from "./jobs/rerun-job.ts";
export type { FinishedFilter, RerunOptions, RerunRow } from "./jobs/rerun-job.ts";
export { retryJob, retryJobs } from "./jobs/retry-job.ts";
export { sendSignal } from "./jobs/send-signal.ts";
export { setPriorities, setPriority } from "./jobs/set-priority.ts";
export { explainQueue } from "./queues/explain-queue.ts";
export { explainWorker } from "./queues/explain-worker.ts";
export { limitUse } from "./queues/limit-use.ts";
export type { LimitUseRow } from "./queues/limit-use.ts";
export { dropLimit, limitConcurrency, limitRate, listLimitUse, resetLimits } from "./queues/limits.ts";
export type { LimitTarget, LimitUse } from "./queues/limits.ts";
export { readOverview } from "./queues/overview.ts";
export type { Overview } from "./queues/overview.ts";
export { emergencyStop, pauseQueue, pauseTask, resumeAll, resumeQueue, resumeTask } from "./queues/pause.ts";
export { drainWorker, quietWorker, resumeWorker } from "./queues/quiet-worker.ts";
export { getQueue, getTask, listQueues, listTasks, listWorkers } from "./queues/read-queues.ts";
export type { LimitRow, QueueRow, TaskRow, WorkerRow } from "./queues/read-queues.ts";
export { dropRetryPolicy, setRetryPolicy } from "./queues/retry-policy.ts";
export type { RetryTarget } from "./queues/retry-policy.ts";
export { disableSchedule, enableSchedule } from "./schedules/enable-schedule.ts";
export { explainSchedule } from "./schedules/explain-schedule.ts";
export { getSchedule, listScheduleRuns, listSchedules } from "./schedules/list-schedules.ts";
export type { ScheduleRow, ScheduleRunRow } from "./schedules/list-schedules.ts";
export { planSchedules } from "./schedules/plan-schedules.ts";
export { previewSchedule } from "./schedules/preview-schedule.ts";
export type { Preview, PreviewOptions } from "./schedules/preview-schedule.ts";
export { runSchedule } from "./schedules/run-schedule.ts";
export { scheduleLoad } from "./schedules/schedule-load.ts";
export type { ScheduleLoad } from "./schedules/schedule-load.ts";
export { schedule } from "./schedules/schedule.ts";
export type { ScheduleOptions, Timing } from "./schedules/schedule.ts";
export { unschedule } from "./schedules/unschedule.ts";
export { findViews, viewsFor } from "./db/confinement.ts";
export { withPrincipal } from "./access/principal.ts";
export type { Principal, Role, Surface } from "./access/principal.ts";
export { enqueueBatch, getBatch, listBatches } from "./workflows/batches.ts";
export type { BatchFilter, BatchJob, BatchOptions, BatchRow } from "./workflows/batches.ts";
export { cancelWorkflow } from "./workflows/cancel-workflow.ts";
export { explainWorkflow } from "./workflows/explain-workflow.ts";
export { getWorkflow, listWorkflows } from "./workflows/read-workflows.ts";
export type { WorkflowFilter, WorkflowRow, WorkflowState, WorkflowStepRow } from "./workflows/read-workflows.ts";
export { retryWorkflow } from "./workflows/retry-workflow.ts";
export { startWorkflow } from "./workflows/start-workflow.ts";
export type { StartWorkflowOptions } from "./workflows/start-workflow.ts";

// The types that `defineConfig`, `defineTask`, `defineWorkflow` and `migrate` take and return, for code that has to name them.
export type { ConfigFile, StartContext } from "./config.ts";
export type { Progress, StepContext, WorkflowContext } from "./jobs/define-task.ts";
export type { InvokeOptions, OwnSteps, Stored } from "./jobs/step-context.ts";
export type { ConcurrencyLimit, RateLimit } from "./jobs/task-policy.ts";
export type {
  CheckedWorkflowSteps,
  Compensation,
  SubWorkflow,
  Workflow,
  WorkflowJob,
  WorkflowSteps,
} from "./workflows/define-workflow.ts";
export type { MigrationOptions, MigrationResult } from "./db/migrate.ts";
