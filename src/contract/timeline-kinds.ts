/** The reasons why a job did not run. A timeline shows one reason at a time. */
export const WAIT_KINDS = [
  "scheduled",
  "retry_delay",
  "dependency",
  "paused",
  "limit",
  "serial_key",
  "worker",
  "failed",
] as const;

/** The kinds of `legwork.job_timeline`. */
export const TIMELINE_KINDS = [
  "enqueued",
  ...WAIT_KINDS,
  "attempt",
  "step",
  "signal",
  "sleep",
  "invoke",
  "child",
  "action",
  "end",
] as const;

export type TimelineKind = (typeof TIMELINE_KINDS)[number];
