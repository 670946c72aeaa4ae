import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";

/**
 * Removes a schedule. Its jobs and the history of its occurrences are kept. Throws LW404 for an unknown schedule, LW409 for a crontab
 * entry.
 *
 * @example
 * import { unschedule } from "legwork/operations";
 *
 * await unschedule(client, "daily-report");
 */
export async function unschedule(client: Queryable, name: string, options: { asOf?: Date } = {}): Promise<void> {
  await callFunction(client, "legwork.unschedule", { name, as_of: options.asOf });
}
