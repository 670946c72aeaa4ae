import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";

/**
 * Removes a schedule; its jobs and what became of its occurrences stay. Throws LW404 for an unknown one, LW409 for an entry of a
 * crontab.
 *
 * @example
 * import { unschedule } from "legwork/operations";
 *
 * await unschedule(client, "daily-report");
 */
export async function unschedule(client: Queryable, name: string, options: { asOf?: Date } = {}): Promise<void> {
  await callFunction(client, "legwork.unschedule", { name, as_of: options.asOf });
}
