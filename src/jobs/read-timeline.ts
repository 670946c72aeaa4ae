import { assertId } from "../bounds.ts";
import type { TimelineKind } from "../contract/timeline-kinds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";

/** A row of `legwork.job_timeline`. */
export interface TimelineRow {
  position: number;
  kind: TimelineKind;
  started_at: Date;
  /** Null while the entry continues; equal to `started_at` for an event. */
  ended_at: Date | null;
  /** When the entry will end, if that is known. */
  expected_at: Date | null;
  /** The state of an attempt, step or child job; null for everything else. */
  state: string | null;
  attempt: number | null;
  label: string;
  detail: string | null;
  actor: string | null;
  target_type: string | null;
  target: string | null;
}

/**
 * Lists what happened to a job, in the order in which it began: why it waited, attempts, steps, signals, jobs that it enqueued, and what users did to
 * it. Throws LW404 for an unknown job.
 *
 * @example
 * import { readTimeline } from "legwork/operations";
 *
 * for (const { label, started_at, detail } of await readTimeline(client, "42")) console.log(started_at, label, detail);
 */
export async function readTimeline(client: Queryable, id: string): Promise<TimelineRow[]> {
  return await callFunction(client, "legwork.job_timeline", { job_id: assertId("job", id) });
}
