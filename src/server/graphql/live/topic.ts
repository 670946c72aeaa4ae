import type { JobState } from "../../../jobs/read-jobs.ts";

/** What can be watched. Two who watch the same for the same tenant share one reading. */
export type Topic =
  | {
      readonly kind: "jobs";
      readonly task?: string;
      readonly queue?: string;
      readonly states?: readonly JobState[];
      readonly first: number;
    }
  | { readonly kind: "job"; readonly id: string }
  | { readonly kind: "queues" }
  | { readonly kind: "overview" };

/** A job as it was a moment ago: what changes while it lives, and what it is recognised by. */
export interface LiveJob {
  readonly id: string;
  readonly [field: string]: unknown;
}

/** What a topic reads: the same text for as long as nothing changes. */
export interface Reading {
  readonly text: string;
  readonly rows: readonly LiveJob[];
}

/** What one message says. Of jobs also what is new since the message before it. */
export interface LiveEvent {
  readonly readAt: string;
  readonly rows: readonly LiveJob[];
  readonly changed: readonly LiveJob[];
  readonly gone: readonly string[];
}

/** The difference between what a subscriber was sent last and what is true now. */
export function eventOf(reading: Reading, sent: Reading | undefined, readAt: Date): LiveEvent {
  const before = new Map(sent?.rows.map((row) => [row.id, JSON.stringify(row)]));
  const ids = new Set(reading.rows.map(({ id }) => id));
  return {
    readAt: readAt.toISOString(),
    rows: reading.rows,
    changed: reading.rows.filter((row) => before.get(row.id) !== JSON.stringify(row)),
    gone: [...before.keys()].filter((id) => !ids.has(id)),
  };
}
