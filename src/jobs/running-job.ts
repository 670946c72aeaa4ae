/** The row of `legwork.jobs` while the job runs. Ids are strings, because they may be too large for a JavaScript number. */
export interface RunningJob {
  readonly id: string;
  readonly task: string;
  readonly queue: string;
  readonly priority: number;
  /** The number of this attempt, from 1. */
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly runAt: Date;
  readonly createdAt: Date;
  readonly jobKey: string | null;
  readonly tenant: string | null;
  /** Shared by all jobs with the same origin; the job's own id by default. */
  readonly correlationId: string;
  readonly parentId: string | null;
}
