import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";

/** How much of a limit one value of its key has used up. Counts are strings: they may be larger than a number holds. */
export interface LimitUseRow {
  kind: "concurrency" | "rate";
  /** Where in the payload the key is; null for a limit without one. */
  key: string | null;
  /** Null for a limit without a key, `[redacted]` where one of the tasks redacts it. */
  value: string | null;
  /** Slots taken: jobs that run or may start, or that started within the window of a rate limit. */
  in_use: string;
  /** Jobs in line that have to pass it. */
  waiting: string;
  /** When the next slot of a rate limit becomes free, as far as that is known. */
  frees_at: Date | null;
  /** How many values the limit has in all. */
  key_values: string;
  /** Whether there was more than is counted. */
  is_partial: boolean;
}

/**
 * How much of the limits of a queue or a task is used up, by the values of their keys: for each limit `atMost` (20) of them, those with the
 * longest lines first. Throws LW404 for an unknown queue or task.
 *
 * @example
 * import { limitUse } from "legwork/operations";
 *
 * const usage = await limitUse(client, { task: "notify/email" });
 */
export async function limitUse(
  client: Queryable,
  target: { queue: string; task?: undefined } | { task: string; queue?: undefined },
  atMost?: number,
): Promise<LimitUseRow[]> {
  const { queue, task } = target;
  return (await callFunction(client, "legwork.limit_use", {
    scope: queue === undefined ? "task" : "queue",
    name: queue ?? task,
    at_most: atMost,
  })) as LimitUseRow[];
}
