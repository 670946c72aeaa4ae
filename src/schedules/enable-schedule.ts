import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { planned } from "./schedule.ts";

/**
 * Lets a schedule occur again from now on; what was due meanwhile is no occurrence. Resolves to the next one. Throws LW404 for an unknown
 * one, LW409 for an entry of a crontab.
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
 * Nothing of a schedule is due until it is enabled again; jobs that it has enqueued stay. Resolves to whether it was enabled. Throws as
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
