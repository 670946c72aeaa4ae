import type { Json } from "../../../contract/rows.ts";
import type { queueSchema, taskSchema } from "../../../contract/queues.ts";
import { formatInterval } from "../../components/time/format-intervals.ts";

/** What has rules: a queue or a task. */
export interface Target {
  scope: "queue" | "task";
  name: string;
}

/** A queue of GET /queues. Counts are text. */
export type Queue = Json<typeof queueSchema>;

/** A task of GET /tasks. */
export type Task = Json<typeof taskSchema>;

/** What both have. */
export type Ruled = Pick<Queue, keyof Queue & keyof Task>;

export type Limit = NonNullable<Ruled["limits"]>[number];
export type RetryPolicy = NonNullable<Ruled["retry"]>;

/** The REST route of a queue or a task, and of what is below it. */
export function routeOf({ scope, name }: Target, below = ""): string {
  return `/${scope}s/${encodeURIComponent(name)}${below}`;
}

/** A limit in words: 10 at a time, 100 per 1 min for each userId. */
export function describeLimit({ kind, max, per, key }: Limit): string {
  const what = kind === "concurrency" ? `${max} at a time` : `${max} per ${formatInterval(per)}`;
  return key === undefined ? what : `${what} for each ${key}`;
}

/** How jobs are retried, in words. */
export function describeRetry(policy: RetryPolicy | null): string {
  if (policy === null) return "graphile-worker's own: 25 attempts, each later by a factor of e, in seconds.";
  const { attempts, backoff, delay, factor, maxDelay, jitter, on } = policy;
  const first = formatInterval(delay ?? "00:00:01");
  const wait =
    backoff === "fixed"
      ? `${first} after each`
      : backoff === "linear"
        ? `${first} after the first, as much more after each`
        : backoff === "exponential"
          ? `${first} after the first, ${factor ?? 2} times as long after each`
          : "graphile-worker's own delays";
  const parts = [
    attempts === null ? undefined : `${attempts} ${attempts === 1 ? "attempt" : "attempts"} in all`,
    attempts === 1 ? undefined : wait,
    maxDelay === null ? undefined : `${formatInterval(maxDelay)} at most`,
    jitter ? "up to half of it less at random" : undefined,
    on === null ? undefined : `only for ${on.join(", ")}`,
  ].filter((part) => part !== undefined);
  const text = parts.join("; ");
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}

/** What the server understands as a length of time; an empty one is for the server to judge. */
export const DURATION_HINT = "Such as 500ms, 30s, 5m or 2h.";
