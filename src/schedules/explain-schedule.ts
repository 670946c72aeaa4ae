import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import type { Reason } from "../jobs/explain-job.ts";

/**
 * Explains why a schedule has not fired, and what happened to its last occurrences. Throws LW404 for an unknown schedule.
 *
 * @example
 * import { explainSchedule } from "legwork/operations";
 *
 * for (const { detail, fix } of await explainSchedule(client, "daily-report")) console.log(`${detail} ${fix}`);
 */
export async function explainSchedule(client: Queryable, name: string): Promise<Reason[]> {
  return await callFunction(client, "legwork.explain_schedule", { name });
}
