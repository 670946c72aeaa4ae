import { durationToInterval } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import type { Duration } from "../duration.ts";

/**
 * Silences alerts for a period: all of them, or those of a rule, a target, or both. They are still raised and resolved, but not sent. Returns the
 * silence's id. Throws LW404 for an unknown rule, LW400 for an invalid duration.
 *
 * @example
 * import { silenceAlerts } from "legwork/operations";
 *
 * const id = await silenceAlerts(client, "2h", { target: "notify/email", reason: "maintenance" });
 */
export async function silenceAlerts(
  client: Queryable,
  duration: Duration,
  options: { rule?: string; target?: string; reason?: string } = {},
): Promise<string> {
  const [row] = await callFunction(client, "legwork.silence_alerts", {
    duration: durationToInterval("duration", duration, 1_000),
    ...options,
  });
  return String(row.silence_alerts);
}

/**
 * Ends a silence early. Returns whether it was in effect.
 *
 * @example
 * import { endSilence, listSilences } from "legwork/operations";
 *
 * for (const { id } of await listSilences(client)) await endSilence(client, id);
 */
export async function endSilence(client: Queryable, id: string): Promise<boolean> {
  const [row] = await callFunction(client, "legwork.end_silence", { id });
  return row.end_silence;
}

/** A silence in effect. */
export interface SilenceRow {
  id: string;
  /** The rule that is silenced; null for every rule. */
  rule: string | null;
  /** The target that is silenced; null for every target. */
  target: string | null;
  until: Date;
  reason: string | null;
  silenced_by: string;
  silenced_at: Date;
}

/**
 * Lists the silences in effect, starting with the one that ends first.
 *
 * @example
 * import { listSilences } from "legwork/operations";
 *
 * const silences = await listSilences(client);
 */
export async function listSilences(client: Queryable): Promise<SilenceRow[]> {
  const rows = await selectRows(client, "select * from legwork.silences()");
  return rows;
}
