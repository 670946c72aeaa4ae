import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";

/**
 * Runs a schedule now, even a disabled one, and returns the job's id. This does not count against `maxRuns` and does not wait for required
 * schedules. Throws LW404 for an unknown schedule, LW409 for a crontab entry, or while `maxInstances` of its jobs have not ended.
 *
 * @example
 * import { runSchedule } from "legwork/operations";
 *
 * const id = await runSchedule(client, "daily-report");
 */
export async function runSchedule(client: Queryable, name: string, options: { asOf?: Date } = {}): Promise<string> {
  const [row] = await callFunction(client, "legwork.run_schedule", { name, as_of: options.asOf });
  return String(row.run_schedule);
}
