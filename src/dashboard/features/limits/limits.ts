import { formatInterval } from "../../components/time/format-intervals.ts";

/** What has rules: a queue or a task. */
export interface Target {
  scope: "queue" | "task";
  name: string;
}

export interface Limit {
  kind: "concurrency" | "rate";
  max: number;
  per?: string;
  key?: string;
}

export interface RetryPolicy {
  attempts?: number | null;
  backoff?: "fixed" | "linear" | "exponential" | null;
  delay?: string | null;
  factor?: number | null;
  max_delay?: string | null;
  jitter?: boolean | null;
  retry_on?: string[] | null;
}

export interface Ruled {
  name: string;
  paused_at: string | null;
  paused_by: string | null;
  pause_reason: string | null;
  limits: Limit[] | null;
  retry: RetryPolicy | null;
}

/** A queue of GET /queues. Counts are text. */
export interface Queue extends Ruled {
  running: string;
  pending: string;
  blocked: string;
  paused: string;
  later: string;
  oldest: string | null;
}

/** A task of GET /tasks. */
export interface Task extends Ruled {
  description: string | null;
  queue: string;
  payload_schema: unknown;
  result_schema: unknown;
  redact: string[] | null;
  registered_at: string | null;
  updated_at: string | null;
}

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
  const { attempts, backoff, delay, factor, max_delay, jitter, retry_on } = policy;
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
    attempts === null || attempts === undefined ? undefined : `${attempts} ${attempts === 1 ? "attempt" : "attempts"} in all`,
    attempts === 1 ? undefined : wait,
    max_delay === null || max_delay === undefined ? undefined : `${formatInterval(max_delay)} at most`,
    jitter === true ? "up to half of it less at random" : undefined,
    retry_on === null || retry_on === undefined ? undefined : `only for ${retry_on.join(", ")}`,
  ].filter((part) => part !== undefined);
  const text = parts.join("; ");
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}

/** What the server understands as a length of time; an empty one is for the server to judge. */
export const DURATION_HINT = "Such as 500ms, 30s, 5m or 2h.";
