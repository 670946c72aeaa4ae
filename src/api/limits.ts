import type { Queryable } from "../db/pool.ts";
import type { Duration } from "../duration.ts";
import { limitUse } from "../queues/limit-use.ts";
import { dropLimit, limitConcurrency, limitRate, type LimitTarget, listLimitUse, resetLimits } from "../queues/limits.ts";
import { type KeyUsage, type LimitUsage, toKeyUsage, toLimitUsage } from "./queue-rows.ts";

/** `legwork.limits`: how many jobs of a queue or a task run at a time or start in a period; with `key`, for each value at that place of the payload. */
export interface Limits {
  /**
   * At most `max` jobs run at a time, over all workers. Calling it again changes it; jobs that run already are counted and not stopped.
   * Throws LW400 for a limit below 1, LW404 for an unknown queue or task.
   *
   * @example
   * await legwork.limits.setConcurrency(5, { queue: "notification" });
   * await legwork.limits.setConcurrency(1, { task: "notify/email", key: "to" });  // one at a time for each address
   */
  setConcurrency(max: number, target: LimitTarget): Promise<void>;
  /**
   * At most `max` jobs start within any span of the length `per`. Throws as `setConcurrency`, and LW400 for a window that is not valid.
   *
   * @example
   * await legwork.limits.setRate(100, "1m", { task: "notify/email" });
   */
  setRate(max: number, per: Duration, target: LimitTarget): Promise<void>;
  /**
   * Removes a limit; resolves to whether there was one. One that the task's definition declares stays away until `reset`.
   *
   * @example
   * const wasLimited = await legwork.limits.remove("rate", { task: "notify/email" });
   */
  remove(kind: "concurrency" | "rate", target: LimitTarget): Promise<boolean>;
  /**
   * Gives a task the limits that its definition declares, and no others. Throws LW404 for an unknown task.
   *
   * @example
   * await legwork.limits.reset("notify/email");
   */
  reset(task: string): Promise<void>;
  /**
   * How much of each limit was in use at the last look, some seconds ago.
   *
   * @example
   * const full = (await legwork.limits.list()).filter(({ fullKeys }) => fullKeys !== "0");
   */
  list(): Promise<LimitUsage[]>;
  /**
   * How much of the limits of a queue or a task is used up, by the values of their keys: for each limit `atMost` (20) of them, those with the
   * longest lines first. Throws LW404 for an unknown queue or task.
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
