import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";

/** How much of a limit is in use for one value of its key. Counts are strings, because they may exceed what a number holds exactly. */
export interface LimitUseRow {
  kind: "concurrency" | "rate";
  /** The path of the key in the payload; null for a limit without a key. */
  key: string | null;
  /** Null for a limit without a key, `[redacted]` if one of the tasks redacts it. */
  value: string | null;
  /** The number of slots in use: by jobs that are running or ready to run or, for a rate limit, that started within its period. */
  in_use: string;
  /** The number of jobs in line for this value. */
  waiting: string;
  /** When the next slot of a rate limit becomes free, if known. */
  frees_at: Date | null;
  /** The total number of values for which the limit is in use. */
  key_values: string;
  /** Whether there are more values than were counted. */
  is_partial: boolean;
}

/**
 * Lists how much of the limits of a queue or a task is in use, by key value: at most `atMost` (20) values per limit, longest lines first. Throws
 * LW404 for an unknown queue or task.
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
