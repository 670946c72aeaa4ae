import { assertInteger, COUNTS, durationToInterval } from "../bounds.ts";
import type { AlertKind } from "../contract/states.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import type { Duration } from "../duration.ts";
import { LegworkError } from "../errors.ts";

/** Where an alert is sent. `from: "critical"` leaves out warnings; `payload` is added to the payload of the job that sends it. */
export type AlertChannel = { from?: "warning" | "critical"; payload?: Readonly<Record<string, unknown>> } & (
  | { webhook: string }
  | { slack: string }
  | { email: string | readonly string[] }
  | { task: string }
);

export type { AlertKind };

/** The settings of an alert rule. Omitted settings keep their value; both thresholds are replaced together. */
export interface AlertRule {
  /** Required for a new rule. */
  kind?: AlertKind;
  /** The only task, queue, schedule, check or host watched; by default each of them is watched separately. */
  target?: string;
  /** A value of at least this raises a warning. */
  warning?: number;
  /** A value of at least this is critical. */
  critical?: number;
  /** The period over which rates and running times are measured; 15 minutes by default. */
  period?: Duration;
  /** The minimum number of attempts in the period for the rule to apply; 1 by default. */
  atLeast?: number;
  /** How long the value must exceed the threshold before the alert is raised; 0 by default. */
  raiseAfter?: Duration;
  /** How long the value must be back below the threshold before the alert is resolved; 2 minutes by default. */
  resolveAfter?: Duration;
  /** Where alerts of this rule are sent, instead of to the default channels. */
  channels?: readonly AlertChannel[];
  enabled?: boolean;
}

/** A row of `legwork_private.alert_rules`, with intervals in Postgres's text format. */
export interface AlertRuleRow {
  name: string;
  kind: AlertKind;
  target: string | null;
  warning: number | null;
  critical: number | null;
  period: string;
  at_least: number;
  raise_after: string;
  resolve_after: string;
  /** The number of the rule's own channels; null if it uses the default channels. The addresses of channels are secret and left out. */
  channels: number | null;
  is_enabled: boolean;
}

/**
 * Creates an alert rule or changes one. Throws LW400 for invalid settings, LW404 for an unknown rule without a kind.
 *
 * @example
 * import { setAlertRule } from "legwork/operations";
 *
 * await setAlertRule(client, "mail-fails", { kind: "error_rate", target: "notify/email", warning: 0.1, critical: 0.5 });
 */
export async function setAlertRule(client: Queryable, name: string, rule: AlertRule): Promise<void> {
  assertInteger("atLeast", rule.atLeast, COUNTS);
  await callFunction(client, "legwork.set_alert_rule", {
    name,
    kind: rule.kind,
    target: rule.target,
    warning: rule.warning,
    critical: rule.critical,
    period: durationToInterval("period", rule.period),
    at_least: rule.atLeast,
    raise_after: durationToInterval("raiseAfter", rule.raiseAfter),
    resolve_after: durationToInterval("resolveAfter", rule.resolveAfter),
    channels: rule.channels === undefined ? undefined : JSON.stringify(rule.channels),
    enabled: rule.enabled,
  });
}

/**
 * Removes a rule and resolves its open alerts. Throws LW404 for an unknown rule.
 *
 * @example
 * import { dropAlertRule } from "legwork/operations";
 *
 * await dropAlertRule(client, "backlog_age");
 */
export async function dropAlertRule(client: Queryable, name: string): Promise<void> {
  await callFunction(client, "legwork.drop_alert_rule", { name });
}

/**
 * Sets where alerts are sent for rules without their own channels. Throws LW400 for an invalid channel.
 *
 * @example
 * import { setAlertChannels } from "legwork/operations";
 *
 * await setAlertChannels(client, [{ email: "ops@example.com", from: "critical" }]);
 */
export async function setAlertChannels(client: Queryable, channels: readonly AlertChannel[]): Promise<void> {
  await callFunction(client, "legwork.set_alert_channels", { channels: JSON.stringify(channels) });
}

const COLUMNS = `name, kind, target, warning, critical, period::text, at_least, raise_after::text, resolve_after::text, channels, is_enabled`;

/**
 * Lists all rules, by name.
 *
 * @example
 * import { listAlertRules } from "legwork/operations";
 *
 * const enabled = (await listAlertRules(client)).filter(({ is_enabled }) => is_enabled);
 */
export async function listAlertRules(client: Queryable): Promise<AlertRuleRow[]> {
  const rows = await selectRows(client, `select ${COLUMNS} from legwork.alert_rule_list order by name`);
  return rows;
}

/**
 * Returns one rule. Throws LW404 for an unknown rule.
 *
 * @example
 * import { getAlertRule } from "legwork/operations";
 *
 * const { warning, critical } = await getAlertRule(client, "backlog_age");
 */
export async function getAlertRule(client: Queryable, name: string): Promise<AlertRuleRow> {
  const rows = await selectRows(client, `select ${COLUMNS} from legwork.alert_rule_list where name = $1`, [name]);
  if (rows[0] !== undefined) return rows[0];
  throw new LegworkError("LW404", `Alert rule '${name}' does not exist.`, {
    hint: "`select name from legwork.alert_rule_list` lists them.",
    action: { do: "list_alert_rules" },
  });
}

/**
 * Restores the built-in rules that are missing. Returns how many were restored.
 *
 * @example
 * import { restoreAlertRules } from "legwork/operations";
 *
 * const restored = await restoreAlertRules(client);
 */
export async function restoreAlertRules(client: Queryable): Promise<number> {
  const [row] = await callFunction(client, "legwork.restore_alert_rules", {});
  return row.restore_alert_rules;
}
