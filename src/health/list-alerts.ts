import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";

export type AlertState = "open" | "acknowledged" | "resolved";
export type AlertSeverity = "warning" | "critical";

/** A row of `legwork.alerts`. */
export interface AlertRow {
  id: string;
  rule: string;
  kind: string;
  target: string;
  state: AlertState;
  severity: AlertSeverity;
  message: string;
  value: number;
  threshold: number;
  raised_at: Date;
  critical_at: Date | null;
  clear_since: Date | null;
  resolved_at: Date | null;
  acknowledged_at: Date | null;
  acknowledged_by: string | null;
  note: string | null;
  silenced: boolean;
  jobs: string[];
}

/**
 * Lists alerts, newest first: unresolved alerts or, with `all`, the last `limit` (100) in any state.
 *
 * @example
 * import { listAlerts } from "legwork/operations";
 *
 * const critical = (await listAlerts(client)).filter(({ severity }) => severity === "critical");
 */
export async function listAlerts(client: Queryable, options: { all?: boolean; limit?: number } = {}): Promise<AlertRow[]> {
  const rows = await selectRows(
    client,
    "select * from legwork.alerts where $1 or state <> 'resolved' order by id desc limit $2",
    [options.all ?? false, options.limit ?? 100],
  );
  return rows;
}
