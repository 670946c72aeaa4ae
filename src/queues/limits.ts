import { assertInteger, COUNTS, durationToInterval } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import type { Duration } from "../duration.ts";

/** What a limit applies to: a queue or a task; with `key`, each value at that path in the payload (`user.id`) separately. */
export type LimitTarget = ({ queue: string; task?: undefined } | { task: string; queue?: undefined }) & { key?: string };

/**
 * Sets how many jobs may run at a time, across all workers. Calling it again changes the limit; running jobs count and are not stopped.
 * Throws LW400 for a limit below 1, LW404 for an unknown queue or task.
 *
 * @example
 * import { limitConcurrency } from "legwork/operations";
 *
 * await limitConcurrency(client, 1, { task: "notify/email", key: "to" });
 */
export async function limitConcurrency(client: Queryable, max: number, target: LimitTarget): Promise<void> {
  assertInteger("max", max, COUNTS, "To keep jobs from starting, pause the queue or the task.");
  await callFunction(client, "legwork.limit_concurrency", { max, ...target });
}

/**
 * Sets how many jobs may start within any period of length `per`. Throws like `limitConcurrency`, and LW400 for an invalid period.
 *
 * @example
 * import { limitRate } from "legwork/operations";
 *
 * await limitRate(client, 100, "1m", { task: "notify/email" });
 */
export async function limitRate(client: Queryable, max: number, per: Duration, target: LimitTarget): Promise<void> {
  assertInteger("max", max, COUNTS, "To keep jobs from starting, pause the queue or the task.");
  await callFunction(client, "legwork.limit_rate", { max, per: durationToInterval("per", per, 1), ...target });
}

/**
 * Removes a limit. Returns whether there was one. A limit from the task's definition stays removed until `resetLimits` is called.
 *
 * @example
 * import { dropLimit } from "legwork/operations";
 *
 * const wasLimited = await dropLimit(client, "rate", { task: "notify/email" });
 */
export async function dropLimit(client: Queryable, kind: "concurrency" | "rate", target: LimitTarget): Promise<boolean> {
  const [row] = await callFunction(client, "legwork.drop_limit", { kind, ...target });
  return row.drop_limit;
}

/**
 * Restores the limits of a task's definition and removes all others. Throws LW404 for an unknown task.
 *
 * @example
 * import { resetLimits } from "legwork/operations";
 *
 * await resetLimits(client, "notify/email");
 */
export async function resetLimits(client: Queryable, task: string): Promise<void> {
  await callFunction(client, "legwork.reset_limits", { task });
}

/** How much of a limit is in use, from `legwork.limits_in_use()`. Counts are strings. */
export interface LimitUse {
  scope: "queue" | "task";
  name: string;
  kind: "concurrency" | "rate";
  /** The path of the key in the payload; null for a limit without a key. */
  key: string | null;
  /** The limit for each key. */
  max: number;
  /** Slots in use, across all keys. */
  used: string;
  keys: string;
  full_keys: string;
  sampled_at: Date;
}

/**
 * Lists how much of each limit is in use, as counted a few seconds ago.
 *
 * @example
 * import { listLimitUse } from "legwork/operations";
 *
 * const full = (await listLimitUse(client)).filter(({ full_keys }) => full_keys !== "0");
 */
export async function listLimitUse(client: Queryable): Promise<LimitUse[]> {
  const rows = await selectRows(client, "select * from legwork.limits_in_use()");
  return rows;
}
