import { assertInteger, COUNTS, durationToInterval } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import type { Duration } from "../duration.ts";

/** What is limited: a queue or a task; with `key`, each value at that place of the payload (`user.id`) for itself. */
export type LimitTarget = ({ queue: string; task?: undefined } | { task: string; queue?: undefined }) & { key?: string };

/**
 * At most `max` jobs run at a time, over all workers. Calling again changes it; jobs that run already are counted and not stopped.
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
 * At most `max` jobs start within any span of the length `per`. Throws as `limitConcurrency`, and LW400 for a window that is none.
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
 * Takes a limit away; resolves to whether there was one. One that the task's definition declares stays away until `resetLimits`.
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
 * Gives a task the limits that its definition declares, and no others. Throws LW404 for an unknown task.
 *
 * @example
 * import { resetLimits } from "legwork/operations";
 *
 * await resetLimits(client, "notify/email");
 */
export async function resetLimits(client: Queryable, task: string): Promise<void> {
  await callFunction(client, "legwork.reset_limits", { task });
}

/** How much of a limit is in use, as `legwork.limits_in_use()` tells it. Counts are strings. */
export interface LimitUse {
  scope: "queue" | "task";
  name: string;
  kind: "concurrency" | "rate";
  /** Where in the payload the key is; null for a limit without one. */
  key: string | null;
  /** Allowed, for each key. */
  max: number;
  /** In use, by all keys. */
  used: string;
  keys: string;
  full_keys: string;
  sampled_at: Date;
}

/**
 * How much of each limit was in use at the last look, some seconds ago.
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
