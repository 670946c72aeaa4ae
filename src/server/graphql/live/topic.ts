import type { JobState } from "../../../jobs/read-jobs.ts";

/** A topic to which clients can subscribe. Equal subscriptions for the same tenant share one reading. */
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

/** A job as it was when it was read: its identifying fields and those that change before it ends. */
export interface LiveJob {
  readonly id: string;
  readonly [field: string]: unknown;
}

/** The result of reading a topic. The text stays the same as long as nothing has changed. */
export interface Reading {
  readonly text: string;
  readonly rows: readonly LiveJob[];
}

/** The content of a message, with the changes since the previous message. */
export interface LiveEvent {
  readonly readAt: string;
  readonly rows: readonly LiveJob[];
  readonly changed: readonly LiveJob[];
  readonly gone: readonly string[];
}

/** The message that updates a subscriber from the reading that was sent last to the current one. */
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
