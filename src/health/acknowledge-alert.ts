import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";

/**
 * Acknowledges an open alert: it is not sent again before it is resolved. `by` is the actor by default.
 * Throws LW404 for an unknown alert, LW409 for a resolved one.
 *
 * @example
 * import { acknowledgeAlert, listAlerts } from "legwork/operations";
 *
 * const [alert] = await listAlerts(client);
 * if (alert !== undefined) await acknowledgeAlert(client, alert.id, { note: "restarting the mail server" });
 */
export async function acknowledgeAlert(
  client: Queryable,
  id: string,
  options: { note?: string; by?: string } = {},
): Promise<void> {
  await callFunction(client, "legwork.acknowledge_alert", { id, note: options.note, by: options.by });
}
