import type { Json } from "../../../contract/rows.ts";
import type { queueSchema } from "../../../contract/queues.ts";
import type { Task } from "../../api/tasks.ts";
import { formatInterval } from "../../components/time/format-intervals.ts";
import { words } from "./words.ts";

/** A queue or a task: both have limits, a retry policy and a pause switch. */
export interface Target {
  scope: "queue" | "task";
  name: string;
}

/** A queue of GET /queues. Counts are text. */
export type Queue = Json<typeof queueSchema>;

/** The fields that queues and tasks share. */
export type Ruled = Pick<Queue, keyof Queue & keyof Task>;

export type Limit = NonNullable<Ruled["limits"]>[number];
export type RetryPolicy = NonNullable<Ruled["retry"]>;

/** The REST route of a queue or a task, or a route below it. */
export function routeOf({ scope, name }: Target, below = ""): string {
  return `/${scope}s/${encodeURIComponent(name)}${below}`;
}

/** A limit in words: 10 concurrent, 100 per minute per userId. */
export function describeLimit({ kind, max, per, key }: Limit): string {
  return words.limit(max, kind === "concurrency" ? undefined : formatInterval(per), key);
}

/** A retry policy in words. */
export function describeRetry(policy: RetryPolicy | null): string {
  if (policy === null) return words.policy.default;
  const { attempts, backoff, delay, factor, maxDelay, jitter, on } = policy;
  const first = formatInterval(delay ?? "00:00:01");
  const wait =
    backoff === "fixed"
      ? words.policy.fixed(first)
      : backoff === "linear"
        ? words.policy.linear(first)
        : backoff === "exponential"
          ? words.policy.exponential(first, factor ?? 2)
          : words.policy.defaultBackoff;
  const parts = [
    attempts === null ? undefined : words.policy.attempts(attempts),
    attempts === 1 ? undefined : wait,
    maxDelay === null ? undefined : words.policy.maxDelay(formatInterval(maxDelay)),
    jitter ? words.policy.jitter : undefined,
    on === null ? undefined : words.policy.onlyFor(on),
  ].filter((part) => part !== undefined);
  const text = parts.join(", ");
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}
