import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { planned } from "./schedule.ts";

/**
 * Enables a schedule from now on: occurrences that were due while it was disabled do not count. Returns the next occurrence. Throws LW404 for an
 * unknown schedule, LW409 for a crontab entry.
 *
 * @example
 * import { enableSchedule } from "legwork/operations";
 *
 * const next = await enableSchedule(client, "daily-report");
 */
export async function enableSchedule(client: Queryable, name: string, options: { asOf?: Date } = {}): Promise<Date | null> {
  await callFunction(client, "legwork.enable_schedule", { name, as_of: options.asOf });
  return await planned(client, name, options.asOf);
}

/**
 * Disables a schedule: it has no occurrences until it is enabled again. Jobs that it has enqueued stay. Returns whether it was enabled. Throws like
 * `enableSchedule`.
 *
 * @example
 * import { disableSchedule } from "legwork/operations";
 *
 * const wasEnabled = await disableSchedule(client, "daily-report");
 */
export async function disableSchedule(client: Queryable, name: string, options: { asOf?: Date } = {}): Promise<boolean> {
  const [row] = await callFunction(client, "legwork.disable_schedule", { name, as_of: options.asOf });
  return row.disable_schedule;
}
