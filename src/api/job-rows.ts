import type { FailedGroup as FailedGroupRow } from "../jobs/failed-jobs.ts";
import type { AttemptRow, FoundJob, JobRow } from "../jobs/read-jobs.ts";
import type { LogRow } from "../jobs/read-logs.ts";
import type { StepRow } from "../jobs/read-steps.ts";
import type { RerunRow } from "../jobs/rerun-job.ts";
import { type CamelCased, camelCased } from "./camel-case.ts";

const JOB = {
  max_attempts: "maxAttempts",
  run_at: "runAt",
  created_at: "createdAt",
  started_at: "startedAt",
  finished_at: "finishedAt",
  job_key: "jobKey",
  serial_key: "serialKey",
  correlation_id: "correlationId",
  parent_id: "parentId",
  progress_message: "progressMessage",
} as const;

/** A job; ids and counts are strings, for they may be larger than a number holds. */
export type Job = CamelCased<JobRow>;
export const toJob = camelCased<JobRow>(JOB);

/** One execution of a job. */
export type Attempt = CamelCased<AttemptRow>;
export const toAttempt = camelCased<AttemptRow>({
  error_name: "errorName",
  error_message: "errorMessage",
  error_stack: "errorStack",
  error_code: "errorCode",
  started_at: "startedAt",
  finished_at: "finishedAt",
  retry_at: "retryAt",
});

/** A job with its attempts and the schedule that it is from. */
export type JobDetails = Omit<CamelCased<FoundJob>, "attemptList"> & { attemptList: Attempt[] };
const renameDetails = camelCased<FoundJob>({
  ...JOB,
  attempt_list: "attemptList",
  schedule_due_at: "scheduleDueAt",
});
export function toJobDetails(row: FoundJob): JobDetails {
  return { ...renameDetails(row), attemptList: row.attempt_list.map(toAttempt) };
}

/** A line that a job has logged. */
export type LogLine = CamelCased<LogRow>;
export const toLogLine = camelCased<LogRow>({ logged_at: "loggedAt" });

/** A durable part of a job. */
export type Step = CamelCased<StepRow>;
export const toStep = camelCased<StepRow>({ started_at: "startedAt", finished_at: "finishedAt" });

/** Failed jobs with the same error. */
export type FailedGroup = CamelCased<FailedGroupRow>;
export const toFailedGroup = camelCased<FailedGroupRow>({
  first_at: "firstAt",
  last_at: "lastAt",
  last_id: "lastId",
  last_error: "lastError",
});

/** A job that repeats another. */
export type Rerun = CamelCased<RerunRow>;
export const toRerun = camelCased<RerunRow>({
  original_id: "originalId",
  payload_changed: "payloadChanged",
  requested_by: "requestedBy",
  requested_at: "requestedAt",
});
