import { assertInteger, COUNTS, durationToInterval } from "../bounds.ts";
import type { AlertKind } from "../contract/states.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import type { Duration } from "../duration.ts";
import { LegworkError } from "../errors.ts";

/** Whom to tell of an alert. `from: "critical"` leaves warnings out; `payload` is added to the job's. */
export type AlertChannel = { from?: "warning" | "critical"; payload?: Readonly<Record<string, unknown>> } & (
  | { webhook: string }
  | { slack: string }
  | { email: string | readonly string[] }
  | { task: string }
);

export type { AlertKind };

/** What is not given stays as it is; thresholds are given together. */
export interface AlertRule {
  /** Needed for a new rule. */
  kind?: AlertKind;
  /** Only this task, queue, schedule, check or host; each for itself by default. */
  target?: string;
  /** From this value on the alert is a warning. */
  warning?: number;
  /** From this value on it is critical. */
  critical?: number;
  /** Over how long rates and running times are looked at; 15 minutes by default. */
  period?: Duration;
  /** How many attempts there must have been in that time; 1 by default. */
  atLeast?: number;
  /** For how long the value must be too large before the alert is raised; 0 by default. */
  raiseAfter?: Duration;
  /** For how long it must be well again before the alert is resolved; 2 minutes by default. */
  resolveAfter?: Duration;
  /** Whom to tell, in place of the channels that hold for all. */
  channels?: readonly AlertChannel[];
  enabled?: boolean;
}

/** A row of `legwork_private.alert_rules`; intervals as Postgres writes them. */
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
  /** How many channels the rule has of its own; null for those that hold for all. What they are is left out: their addresses are secrets. */
  channels: number | null;
  is_enabled: boolean;
}

/**
 * Makes an alert rule or changes one. Throws LW400 for what makes no sense, LW404 for an unknown rule without a kind.
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
 * Takes a rule away; its open alerts are resolved. Throws LW404 for an unknown rule.
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
 * Whom the rules without channels of their own tell. Throws LW400 for what is no channel.
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
 * Every rule, in the order of their names.
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
 * One rule. Throws LW404 for an unknown one.
 *
 * @example
 * import { getAlertRule } from "legwork/operations";
 *
 * const { warning, critical } = await getAlertRule(client, "backlog_age");
 */
export async function getAlertRule(client: Queryable, name: string): Promise<AlertRuleRow> {
  const rows = await selectRows(client, `select ${COLUMNS} from legwork.alert_rule_list where name = $1`, [name]);
  if (rows[0] !== undefined) return rows[0];
  throw new LegworkError("LW404", `There is no rule '${name}'.`, {
    hint: "`select name from legwork.alert_rule_list` lists them.",
    action: { do: "list_alert_rules" },
  });
}

/**
 * Brings back the rules that Legwork comes with, where there is none of that name; resolves to how many.
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
