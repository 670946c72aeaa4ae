import type { Queryable } from "../db/pool.ts";
import type { Duration } from "../duration.ts";
import { acknowledgeAlert } from "../health/acknowledge-alert.ts";
import {
  type AlertChannel,
  type AlertRule as AlertRuleSettings,
  dropAlertRule,
  getAlertRule,
  listAlertRules,
  restoreAlertRules,
  setAlertChannels,
  setAlertRule,
} from "../health/alert-rules.ts";
import { listAlerts } from "../health/list-alerts.ts";
import { endSilence, listSilences, silenceAlerts } from "../health/silence-alerts.ts";
import { type Alert, type AlertRule, type Silence, toAlert, toAlertRule, toSilence } from "./health-rows.ts";

/** `legwork.alerts.rules`: the rules that raise alerts. */
interface AlertRules {
  /**
   * Lists all rules, by name.
   *
   * @example
   * const enabled = (await legwork.alerts.rules.list()).filter(({ isEnabled }) => isEnabled);
   */
  list(): Promise<AlertRule[]>;
  /**
   * Returns one rule. Throws LW404 for an unknown rule.
   *
   * @example
   * const { warning, critical } = await legwork.alerts.rules.get("backlog_age");
   */
  get(name: string): Promise<AlertRule>;
  /**
   * Creates an alert rule, or changes the given settings of an existing one. Throws LW400 for invalid settings, LW404 for an unknown rule without a
   * kind.
   *
   * @example
   * await legwork.alerts.rules.set("mail-fails", { kind: "error_rate", target: "notify/email", warning: 0.1, critical: 0.5, period: "15m" });
   */
  set(name: string, rule: AlertRuleSettings): Promise<void>;
  /**
   * Removes a rule and resolves its open alerts. Throws LW404 for an unknown rule.
   *
   * @example
   * await legwork.alerts.rules.remove("backlog_age");
   */
  remove(name: string): Promise<void>;
  /**
   * Restores the built-in rules that are missing. Returns how many were restored.
   *
   * @example
   * const restored = await legwork.alerts.rules.restore();
   */
  restore(): Promise<number>;
}

/** `legwork.alerts`: what needs attention, and where it is reported. */
export interface Alerts {
  /**
   * Lists alerts, newest first: unresolved alerts or, with `all`, the last `limit` (100) in any state.
   *
   * @example
   * const critical = (await legwork.alerts.list()).filter(({ severity }) => severity === "critical");
   */
  list(options?: { all?: boolean; limit?: number }): Promise<Alert[]>;
  /**
   * Acknowledges an open alert: it is not sent again before it is resolved. `by` is the database role by default.
   * Throws LW404 for an unknown alert, LW409 for a resolved one.
   *
   * @example
   * const [alert] = await legwork.alerts.list();
   * if (alert !== undefined) await legwork.alerts.acknowledge(alert.id, { note: "restarting the mail server" });
   */
  acknowledge(id: string, options?: { note?: string; by?: string }): Promise<void>;
  /**
   * Silences alerts for a period: all of them, or those of a rule, a target, or both. They are still raised and resolved, but not sent. Returns the
   * silence's id. Throws LW404 for an unknown rule, LW400 for an invalid duration.
   *
   * @example
   * const id = await legwork.alerts.silence("2h", { target: "notify/email", reason: "maintenance" });
   */
  silence(duration: Duration, options?: { rule?: string; target?: string; reason?: string }): Promise<string>;
  /**
   * Lists the silences in effect, starting with the one that ends first.
   *
   * @example
   * const silences = await legwork.alerts.silences();
   */
  silences(): Promise<Silence[]>;
  /**
   * Ends a silence early. Returns whether it was in effect.
   *
   * @example
   * for (const { id } of await legwork.alerts.silences()) await legwork.alerts.endSilence(id);
   */
  endSilence(id: string): Promise<boolean>;
  /**
   * Sets where alerts are sent for rules without their own channels. Throws LW400 for an invalid channel.
   *
   * @example
   * await legwork.alerts.setChannels([{ slack: "https://hooks.slack.com/services/T0/B0/x" }, { email: "ops@example.com", from: "critical" }]);
   */
  setChannels(channels: readonly AlertChannel[]): Promise<void>;
  /** The rules that raise alerts. */
  readonly rules: AlertRules;
}

export function alertsOn(client: Queryable): Alerts {
  return {
    list: async (options) => (await listAlerts(client, options)).map(toAlert),
    acknowledge: (id, options) => acknowledgeAlert(client, id, options),
    silence: (duration, options) => silenceAlerts(client, duration, options),
    silences: async () => (await listSilences(client)).map(toSilence),
    endSilence: (id) => endSilence(client, id),
    setChannels: (channels) => setAlertChannels(client, channels),
    rules: {
      list: async () => (await listAlertRules(client)).map(toAlertRule),
      get: async (name) => toAlertRule(await getAlertRule(client, name)),
      set: (name, rule) => setAlertRule(client, name, rule),
      remove: (name) => dropAlertRule(client, name),
      restore: () => restoreAlertRules(client),
    },
  };
}
