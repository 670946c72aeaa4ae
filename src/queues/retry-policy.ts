import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { LegworkError } from "../errors.ts";
import { describeRetry, type RetryPolicy, retrySchema } from "../jobs/task-policy.ts";

export type RetryTarget = { queue: string; task?: undefined } | { task: string; queue?: undefined };

/**
 * Sets how the jobs of a queue or a task are retried, starting with their next failure. Replaces the previous policy. Throws LW400 for an invalid
 * policy, LW404 for an unknown queue or task.
 *
 * @example
 * import { setRetryPolicy } from "legwork/operations";
 *
 * await setRetryPolicy(client, { attempts: 5, backoff: "exponential", delay: "10s" }, { queue: "notification" });
 */
export async function setRetryPolicy(client: Queryable, policy: RetryPolicy, target: RetryTarget): Promise<void> {
  const parsed = retrySchema.safeParse(policy);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new LegworkError("LW400", `Invalid retry policy: ${issue?.path.join(".")}: ${issue?.message}.`, {
      hint: 'For example { attempts: 5, backoff: "exponential", delay: "10s", maxDelay: "1h" }.',
    });
  }
  await callFunction(client, "legwork.set_retry_policy", { ...describeRetry(policy), ...target });
}

/**
 * Removes the policy that `setRetryPolicy` set. Returns whether there was one. Throws LW404 for an unknown queue or task.
 *
 * @example
 * import { dropRetryPolicy } from "legwork/operations";
 *
 * const wasSet = await dropRetryPolicy(client, { queue: "notification" });
 */
export async function dropRetryPolicy(client: Queryable, target: RetryTarget): Promise<boolean> {
  const [row] = await callFunction(client, "legwork.drop_retry_policy", { ...target });
  return row.drop_retry_policy;
}
