import { failedGroupSchema } from "../contract/bulk.ts";
import {
  attemptSchema,
  jobSchema,
  jobWithAttemptsSchema,
  logLineSchema,
  rerunRecordSchema,
  stepSchema,
} from "../contract/jobs.ts";
import { type Answer, rowReader } from "../contract/rows.ts";

/** A job; ids and counts are strings, for they may be larger than a number holds. */
export type Job = Answer<typeof jobSchema>;
export const toJob = rowReader(jobSchema);

/** One execution of a job. */
export type Attempt = Answer<typeof attemptSchema>;
export const toAttempt = rowReader(attemptSchema);

/** A job with its attempts and the schedule that it is from. */
export type JobDetails = Answer<typeof jobWithAttemptsSchema>;
export const toJobDetails = rowReader(jobWithAttemptsSchema);

/** A line that a job has logged. */
export type LogLine = Answer<typeof logLineSchema>;
export const toLogLine = rowReader(logLineSchema);

/** A durable part of a job. */
export type Step = Answer<typeof stepSchema>;
export const toStep = rowReader(stepSchema);

/** Failed jobs with the same error. */
export type FailedGroup = Answer<typeof failedGroupSchema>;
export const toFailedGroup = rowReader(failedGroupSchema);

/** A job that repeats another. */
export type Rerun = Answer<typeof rerunRecordSchema>;
export const toRerun = rowReader(rerunRecordSchema);
