import { failedGroupSchema } from "../contract/bulk.ts";
import {
  attemptSchema,
  jobCountSchema,
  jobSchema,
  jobWithAttemptsSchema,
  logLineSchema,
  rerunRecordSchema,
  stepSchema,
} from "../contract/jobs.ts";
import { type Answer, rowReader } from "../contract/rows.ts";
import { timelineEntrySchema } from "../contract/timeline.ts";

/** A job. Ids and counts are strings, because they may exceed what a number holds exactly. */
export type Job = Answer<typeof jobSchema>;
export const toJob = rowReader(jobSchema);

/** One execution of a job. */
export type Attempt = Answer<typeof attemptSchema>;
export const toAttempt = rowReader(attemptSchema);

/** A job with its attempts and the schedule that enqueued it. */
export type JobDetails = Answer<typeof jobWithAttemptsSchema>;
export const toJobDetails = rowReader(jobWithAttemptsSchema);

/** A line that a job logged. */
export type LogLine = Answer<typeof logLineSchema>;
export const toLogLine = rowReader(logLineSchema);

/** A durable step of a job. */
export type Step = Answer<typeof stepSchema>;
export const toStep = rowReader(stepSchema);

/** Something that happened to a job: a wait, an attempt, a step, an action. */
export type TimelineEntry = Answer<typeof timelineEntrySchema>;
export const toTimelineEntry = rowReader(timelineEntrySchema);

/** Failed jobs with the same error. */
export type FailedGroup = Answer<typeof failedGroupSchema>;
export const toFailedGroup = rowReader(failedGroupSchema);

/** A rerun of another job. */
export type Rerun = Answer<typeof rerunRecordSchema>;
export const toRerun = rowReader(rerunRecordSchema);

/** A value of a field, and the number of jobs that have it. */
export type JobCount = Answer<typeof jobCountSchema>;
export const toJobCount = rowReader(jobCountSchema);
