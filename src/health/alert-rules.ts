import { assertInteger, COUNTS, optionalInterval } from "../bounds.ts";
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

/** What a rule may look at; docs/alerts.md says what each is. */
export const ALERT_KINDS = [
  "consecutive_failures",
  "error_rate",
  "failed_jobs",
  "slow_runs",
  "stuck_jobs",
  "backlog_age",
  "schedule_late",
  "no_worker",
  "database",
  "host_cpu",
  "host_memory",
  "host_disk",
  "worker_memory",
] as const;
export type AlertKind = (typeof ALERT_KINDS)[number];

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

/** Makes an alert rule or changes one. Throws LW400 for what makes no sense, LW404 for an unknown rule without a kind. */
export async function setAlertRule(client: Queryable, name: string, rule: AlertRule): Promise<void> {
  assertInteger("atLeast", rule.atLeast, COUNTS);
  await callFunction(client, "legwork.set_alert_rule", {
    name,
    kind: rule.kind,
    target: rule.target,
    warning: rule.warning,
    critical: rule.critical,
    period: optionalInterval("period", rule.period),
    at_least: rule.atLeast,
    raise_after: optionalInterval("raiseAfter", rule.raiseAfter),
    resolve_after: optionalInterval("resolveAfter", rule.resolveAfter),
    channels: rule.channels === undefined ? undefined : JSON.stringify(rule.channels),
    enabled: rule.enabled,
  });
}

/** Takes a rule away; its open alerts are resolved. Throws LW404 for an unknown rule. */
export async function dropAlertRule(client: Queryable, name: string): Promise<void> {
  await callFunction(client, "legwork.drop_alert_rule", { name });
}

/** Whom the rules without channels of their own tell. Throws LW400 for what is no channel. */
export async function setAlertChannels(client: Queryable, channels: readonly AlertChannel[]): Promise<void> {
  await callFunction(client, "legwork.set_alert_channels", { channels: JSON.stringify(channels) });
}

const COLUMNS = `name, kind, target, warning, critical, period::text, at_least, raise_after::text, resolve_after::text, channels, is_enabled`;

/** Every rule, in the order of their names. */
export async function listAlertRules(client: Queryable): Promise<AlertRuleRow[]> {
  const rows = await selectRows(client, `select ${COLUMNS} from legwork.alert_rule_list order by name`);
  return rows;
}

/** One rule. Throws LW404 for an unknown one. */
export async function getAlertRule(client: Queryable, name: string): Promise<AlertRuleRow> {
  const rows = await selectRows(client, `select ${COLUMNS} from legwork.alert_rule_list where name = $1`, [name]);
  if (rows[0] !== undefined) return rows[0];
  throw new LegworkError("LW404", `There is no rule '${name}'.`, {
    hint: "`select name from legwork.alert_rule_list` lists them.",
    action: { do: "list_alert_rules" },
  });
}

/** Brings back the rules that Legwork comes with, where there is none of that name; resolves to how many. */
export async function restoreAlertRules(client: Queryable): Promise<number> {
  const [row] = await callFunction(client, "legwork.restore_alert_rules", {});
  return row.restore_alert_rules;
}
