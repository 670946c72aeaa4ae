/** The types that the operations return. */
export type { Job, Attempt, JobDetails, LogLine, Step, FailedGroup, Rerun } from "./job-rows.ts";
export type { RetryRules, Queue, TaskDetails, Worker, WorkersStarted, LimitUsage, KeyUsage, Overview } from "./queue-rows.ts";
export type { Schedule, ScheduleRun } from "./schedule-rows.ts";
export type { Workflow, WorkflowStep, Batch } from "./workflow-rows.ts";
export type { Alert, AlertRule, Silence, TaskStatistics, SeriesInterval } from "./health-rows.ts";
export type { Token, TokenOwner, AuditEntry } from "./access-rows.ts";
export type { HealthRow as Health } from "../health/read-health.ts";
export type { Enqueued } from "../jobs/enqueue.ts";
export type { Reason } from "../jobs/explain-job.ts";
export type { ScheduleLoad } from "../schedules/schedule-load.ts";
export type { Preview as Occurrence } from "../schedules/preview-schedule.ts";
export type { Finding } from "../health/doctor.ts";
export type { LimitRow as Limit } from "../queues/read-queues.ts";
