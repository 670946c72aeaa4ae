import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";

/**
 * Runs a schedule now, also a disabled one, and resolves to the job's id. It does not count against `maxRuns` and does not wait for what
 * the schedule requires. Throws LW404 for an unknown one, LW409 for an entry of a crontab and while `maxInstances` of its jobs live.
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
