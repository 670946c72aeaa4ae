import type { Queryable } from "../db/pool.ts";
import type { Duration } from "../duration.ts";
import { limitUse } from "../queues/limit-use.ts";
import { dropLimit, limitConcurrency, limitRate, type LimitTarget, listLimitUse, resetLimits } from "../queues/limits.ts";
import { type KeyUsage, type LimitUsage, toKeyUsage, toLimitUsage } from "./queue-rows.ts";

/**
 * `legwork.limits`: how many jobs of a queue or a task run at a time or start in a period; with `key`, separately for each value at that path in the
 * payload.
 */
export interface Limits {
  /**
   * Sets how many jobs may run at a time, across all workers. Calling it again changes the limit; running jobs count and are not stopped.
   * Throws LW400 for a limit below 1, LW404 for an unknown queue or task.
   *
   * @example
   * await legwork.limits.setConcurrency(5, { queue: "notification" });
   * await legwork.limits.setConcurrency(1, { task: "notify/email", key: "to" });  // one at a time for each address
   */
  setConcurrency(max: number, target: LimitTarget): Promise<void>;
  /**
   * Sets how many jobs may start within any period of length `per`. Throws like `setConcurrency`, and LW400 for an invalid period.
   *
   * @example
   * await legwork.limits.setRate(100, "1m", { task: "notify/email" });
   */
  setRate(max: number, per: Duration, target: LimitTarget): Promise<void>;
  /**
   * Removes a limit. Returns whether there was one. A limit from the task's definition stays removed until `reset` is called.
   *
   * @example
   * const wasLimited = await legwork.limits.remove("rate", { task: "notify/email" });
   */
  remove(kind: "concurrency" | "rate", target: LimitTarget): Promise<boolean>;
  /**
   * Restores the limits of a task's definition and removes all others. Throws LW404 for an unknown task.
   *
   * @example
   * await legwork.limits.reset("notify/email");
   */
  reset(task: string): Promise<void>;
  /**
   * Lists how much of each limit is in use, as counted a few seconds ago.
   *
   * @example
   * const full = (await legwork.limits.list()).filter(({ fullKeys }) => fullKeys !== "0");
   */
  list(): Promise<LimitUsage[]>;
  /**
   * Lists how much of the limits of a queue or a task is in use, by key value: at most `atMost` (20) values per limit, longest lines first. Throws
   * LW404 for an unknown queue or task.
   *
   * @example
   * const usage = await legwork.limits.usage({ task: "notify/email" });
   */
  usage(
    target: { queue: string; task?: undefined } | { task: string; queue?: undefined },
    options?: { atMost?: number },
  ): Promise<KeyUsage[]>;
}

export function limitsOn(client: Queryable): Limits {
  return {
    setConcurrency: (max, target) => limitConcurrency(client, max, target),
    setRate: (max, per, target) => limitRate(client, max, per, target),
    remove: (kind, target) => dropLimit(client, kind, target),
    reset: (task) => resetLimits(client, task),
    list: async () => (await listLimitUse(client)).map(toLimitUsage),
    usage: async (target, { atMost } = {}) => (await limitUse(client, target, atMost)).map(toKeyUsage),
  };
}
