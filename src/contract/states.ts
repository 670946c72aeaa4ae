/** The states of a job, in the order of its life cycle; the values of `legwork.job_state`. */
export const JOB_STATES = [
  "scheduled",
  "pending",
  "blocked",
  "paused",
  "running",
  "retrying",
  "completed",
  "failed",
  "cancelled",
  "expired",
] as const;
export type JobState = (typeof JOB_STATES)[number];

/** The states of a workflow, in the order of its life cycle. */
export const WORKFLOW_STATES = ["running", "compensating", "cancelling", "completed", "failed", "cancelled", "expired"] as const;
export type WorkflowState = (typeof WORKFLOW_STATES)[number];

/** The states of a batch, in the order of its life cycle. */
export const BATCH_STATES = ["running", "completed", "failed"] as const;

/** The types of targets in the audit log, from the most common to the least common. */
export const AUDIT_TARGETS = [
  "job",
  "jobs",
  "queue",
  "task",
  "all",
  "schedule",
  "workflow",
  "alert",
  "alert_rule",
  "silence",
  "token",
  "login",
  "setting",
] as const;

/** What alert rules can watch. docs/guides/alerts.md explains each kind. */
export const ALERT_KINDS = [
  "consecutive_failures",
  "error_rate",
  "failed_jobs",
  "slow_runs",
  "stuck_jobs",
  "backlog_age",
  "schedule_late",
  "no_worker",
  "database",
  "host_cpu",
  "host_memory",
  "host_disk",
  "worker_memory",
] as const;
export type AlertKind = (typeof ALERT_KINDS)[number];
