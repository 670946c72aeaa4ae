import type { AuditFilter } from "../../access/audit-log.ts";
import type { TokenOptions } from "../../access/tokens.ts";
import type { Alert, AlertRule, Health, TaskStatistics } from "../../contract/alerts.ts";
import type { BulkAction, BulkPreview } from "../../contract/bulk-actions.ts";
import type { FailedGroup } from "../../contract/bulk.ts";
import type { Job, JobCount, JobResult, JobWithAttempts, LogLine, Step } from "../../contract/jobs.ts";
import type { Queue, TaskInfo, Worker } from "../../contract/queues.ts";
import type { Schedule, ScheduleRun } from "../../contract/schedules.ts";
import type { TimelineEntry } from "../../contract/timeline.ts";
import type { AuditLine, Overview } from "../../contract/system.ts";
import type { Token } from "../../contract/tokens.ts";
import type { Batch, Workflow, WorkflowWithSteps } from "../../contract/workflows.ts";
import type { BulkActionKind, BulkFilter, BulkOptions } from "../../jobs/bulk-actions.ts";
import type { LiveFilter } from "../../jobs/cancel-job.ts";
import type { Enqueued, EnqueueOptions } from "../../jobs/enqueue.ts";
import type { CountField, CountFilter } from "../../jobs/count-jobs.ts";
import type { Reason } from "../../jobs/explain-job.ts";
import type { FailedFilter, FailedGroupFilter } from "../../jobs/failed-jobs.ts";
import type { JobFilter, JobState } from "../../jobs/read-jobs.ts";
import type { RerunOptions } from "../../jobs/rerun-job.ts";
import type { Finding } from "../../health/doctor.ts";
import type { Installation } from "../../health/read-installation.ts";
import type { LimitTarget } from "../../queues/limits.ts";
import type { Preview, PreviewOptions } from "../../schedules/preview-schedule.ts";
import type { ScheduleOptions, Timing } from "../../schedules/schedule.ts";
import type { BatchFilter, BatchOptions } from "../../workflows/batches.ts";
import type { WorkflowFilter } from "../../workflows/read-workflows.ts";
import type { StartWorkflowOptions } from "../../workflows/start-workflow.ts";

/**
 * The commands' operations, on the database (`local.ts`) or through a server (`remote.ts`). Both throw the same errors with the same codes. An
 * operation that changes many jobs returns their ids; with `preview` it changes nothing and returns the ids of the jobs that it would change.
 */
export interface Operations {
  /** Returns the job's id. */
  enqueue: (task: string, payload: unknown, options: EnqueueOptions) => Promise<string>;
  enqueueWithOutcome: (task: string, payload: unknown, options: EnqueueOptions) => Promise<Enqueued>;
  listJobs: (filter: JobFilter) => Promise<Job[]>;
  countJobs: (filter: CountFilter, by: CountField) => Promise<JobCount[]>;
  getJob: (id: string) => Promise<JobWithAttempts>;
  /** How the job ended, or its state after `timeout` (ms). */
  awaitJob: (id: string, timeout: number) => Promise<JobResult>;
  listSteps: (id: string) => Promise<Step[]>;
  readTimeline: (id: string) => Promise<TimelineEntry[]>;
  /** The last lines that a job logged, oldest first. */
  lastLogs: (id: string, limit: number) => Promise<LogLine[]>;
  /** The lines after the one with the id `after`; without it, the first ones. */
  logsAfter: (id: string, after?: string) => Promise<LogLine[]>;
  /** The reasons why a job is not running, in the order in which they apply. */
  explainJob: (id: string) => Promise<Reason[]>;
  explainSchedule: (name: string) => Promise<Reason[]>;
  explainWorkflow: (id: string) => Promise<Reason[]>;
  explainQueue: (name: string) => Promise<Reason[]>;
  explainWorker: (id: string) => Promise<Reason[]>;
  /** Returns the job's new state: `running` for a job that has been signaled to stop. */
  cancelJob: (id: string, reason?: string) => Promise<JobState>;
  cancelJobs: (filter: LiveFilter, options: { reason?: string; preview: boolean }) => Promise<string[]>;
  retryJob: (id: string) => Promise<JobState>;
  retryJobs: (filter: FailedFilter, options: { preview: boolean }) => Promise<string[]>;
  discardJob: (id: string) => Promise<void>;
  discardJobs: (filter: FailedFilter, options: { preview: boolean }) => Promise<string[]>;
  /** What a bulk action would do now. */
  previewBulkAction: (action: BulkActionKind, filter: BulkFilter, options: BulkOptions) => Promise<BulkPreview>;
  /** Returns the bulk action's id. */
  startBulkAction: (action: BulkActionKind, filter: BulkFilter, options: BulkOptions) => Promise<string>;
  /** Processes the next chunk of a bulk action, unless a server does that. Returns how long to wait before the next call (ms). */
  advanceBulkAction: (id: string) => Promise<number>;
  getBulkAction: (id: string) => Promise<BulkAction>;
  listBulkActions: (page: { limit: number }) => Promise<BulkAction[]>;
  /** Returns its state: `stopped`, or the state in which it had already ended. */
  stopBulkAction: (id: string) => Promise<BulkAction["state"]>;
  /** Returns the new job's id. */
  rerunJob: (id: string, options: RerunOptions) => Promise<string>;
  /** Returns the priority that the job had before. */
  setPriority: (id: string, priority: number) => Promise<number>;
  listFailedGroups: (filter: FailedGroupFilter) => Promise<FailedGroup[]>;
  /** Returns whether this signal counts: only the first signal of each name does. */
  sendSignal: (id: string, name: string, payload: unknown) => Promise<boolean>;

  listQueues: () => Promise<Queue[]>;
  listTasks: () => Promise<TaskInfo[]>;
  listWorkers: () => Promise<Worker[]>;
  /** A worker is named by its id or host:pid. */
  quietWorker: (worker: string) => Promise<void>;
  drainWorker: (worker: string) => Promise<void>;
  /** Returns whether it was quiet or draining. */
  resumeWorker: (worker: string) => Promise<boolean>;
  limitConcurrency: (max: number, target: LimitTarget) => Promise<void>;
  limitRate: (max: number, per: string, target: LimitTarget) => Promise<void>;
  /** Returns whether the limit existed. */
  dropLimit: (kind: "concurrency" | "rate", target: LimitTarget) => Promise<boolean>;
  /** Resets a task's limits to those that its definition declares. */
  resetLimits: (task: string) => Promise<void>;
  pauseQueue: (queue: string, reason?: string) => Promise<void>;
  /** Returns whether it was paused. */
  resumeQueue: (queue: string) => Promise<boolean>;
  pauseTask: (task: string, reason?: string) => Promise<void>;
  /** Returns whether it was paused. */
  resumeTask: (task: string) => Promise<boolean>;
  emergencyStop: (reason?: string) => Promise<void>;
  /** Ends the emergency stop. Returns whether there was one. */
  resumeAll: () => Promise<boolean>;

  /** Creates a schedule, or replaces the one with this name. */
  schedule: (name: string, task: string, options: ScheduleOptions) => Promise<Schedule>;
  getSchedule: (name: string) => Promise<Schedule>;
  listSchedules: (filter: { tenant?: string }) => Promise<Schedule[]>;
  /** The outcomes of the last occurrences, newest first. */
  listScheduleRuns: (name: string, options: { limit: number }) => Promise<ScheduleRun[]>;
  previewSchedule: (timing: Timing, options: Omit<PreviewOptions, "client">) => Promise<Preview[]>;
  /** Returns the next occurrence, or null without one. */
  enableSchedule: (name: string) => Promise<Date | null>;
  /** Returns whether it was enabled. */
  disableSchedule: (name: string) => Promise<boolean>;
  /** Returns the job's id. */
  runSchedule: (name: string) => Promise<string>;
  unschedule: (name: string) => Promise<void>;

  /** Accepts the steps in the form of `POST /workflows`. Returns the workflow's id. */
  startWorkflow: (name: string, steps: unknown, options: StartWorkflowOptions) => Promise<string>;
  listWorkflows: (filter: WorkflowFilter) => Promise<Workflow[]>;
  getWorkflow: (id: string) => Promise<WorkflowWithSteps>;
  /** Returns `cancelling` while workflow steps are still running. */
  cancelWorkflow: (id: string, reason?: string) => Promise<"cancelled" | "cancelling">;
  retryWorkflow: (id: string, options: { deadline?: Date; fromStep?: string }) => Promise<void>;
  /** Accepts the jobs and the callback in the form of `POST /batches`. Returns the batch's id. */
  enqueueBatch: (
    jobs: unknown,
    options: Pick<BatchOptions, "description" | "tenant" | "correlationId"> & { callback?: unknown },
  ) => Promise<string>;
  listBatches: (filter: BatchFilter) => Promise<Batch[]>;
  getBatch: (id: string) => Promise<Batch>;

  readTaskStatistics: (period: string) => Promise<TaskStatistics[]>;
  readHealth: () => Promise<Health[]>;
  listAlerts: (options: { all: boolean }) => Promise<Alert[]>;
  listAlertRules: () => Promise<AlertRule[]>;
  acknowledgeAlert: (id: string, options: { note?: string }) => Promise<void>;
  /** Returns the silence's id. */
  silenceAlerts: (duration: string, options: { rule?: string; target?: string; reason?: string }) => Promise<string>;
  /** Returns whether the silence was still in effect. */
  endSilence: (id: string) => Promise<boolean>;
  listAuditLog: (filter: AuditFilter) => Promise<AuditLine[]>;
  /** Returns the token, which cannot be read again. It does not expire if `expiresIn` is null. */
  createToken: (options: TokenOptions) => Promise<string>;
  listTokens: () => Promise<Token[]>;
  /** Returns whether the token was valid until now. */
  revokeToken: (id: string) => Promise<boolean>;

  readOverview: () => Promise<Overview>;
  /** The versions and settings of the database. Empty through a server, which does not disclose them. */
  readInstallation: () => Promise<Installation>;
  /** The doctor's findings, with their fixes. */
  diagnose: () => Promise<Finding[]>;
}
