import { Command } from "commander";
import { type Alert, alertRuleSchema, alertSchema } from "../../contract/alerts.ts";
import { fromRows } from "../../contract/rows.ts";
import { loadConfig } from "../../config.ts";
import type { Queryable } from "../../db/pool.ts";
import { acknowledgeAlert } from "../../health/acknowledge-alert.ts";
import { listAlertRules } from "../../health/alert-rules.ts";
import { listAlerts } from "../../health/list-alerts.ts";
import { silenceAlerts } from "../../health/silence-alerts.ts";
import { formatNumber } from "../../wording.ts";
import { durationText } from "../duration-text.ts";
import { duration, idOf } from "../option-values.ts";
import { type CommonFlags, withCommonOptions, withDatabase } from "../options.ts";
import { color, printJson, printTable, relativeTime, shorten } from "../output.ts";
import { assertOneOf, assertTogether } from "../together.ts";
import { visibleRows } from "../visible.ts";

type Flags = CommonFlags & {
  all?: boolean;
  rules?: boolean;
  json?: boolean;
  ack?: string;
  note?: string;
  silence?: string;
  rule?: string;
  target?: string;
  reason?: string;
};

export function alertsCommand(): Command {
  return withCommonOptions(new Command("alerts"))
    .description("List open alerts, acknowledge an alert or silence alerts")
    .option("--all", "Include the last 100 resolved alerts")
    .option("--rules", "List the alert rules instead")
    .option("--ack <id>", "Alert to acknowledge", idOf("an alert"))
    .option("--note <text>", "Note for the acknowledgment, with --ack")
    .option("--silence <duration>", "Time during which alerts are raised but not sent, such as 2h", duration(1_000))
    .option("--rule <name>", "Alert rule to silence, with --silence (default: all)")
    .option("--target <name>", "Task, queue or host to silence, with --silence (default: all)")
    .option("--reason <text>", "Reason for the silence, with --silence")
    .option("--json", "Print an array of complete rows")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork alerts
  $ legwork alerts --ack 7 --note 'provider is down, waiting'
  $ legwork alerts --silence 2h --rule backlog_age --reason 'importing'

The exit code is 1 when a critical alert is open, otherwise 0.`,
    )
    .action(async (flags: Flags) => {
      assertTogether(flags, { note: "ack", rule: "silence", target: "silence", reason: "silence" });
      assertOneOf(flags, ["ack", "silence", "rules", "all"]);
      const { databaseUrl, dataDir, logLevel } = flags;
      const { config } = await loadConfig({ databaseUrl, dataDir, logLevel });
      await withDatabase(config, (pool) => run(pool, flags));
    });
}

async function run(pool: Queryable, flags: Flags): Promise<void> {
  if (flags.ack !== undefined) {
    await acknowledgeAlert(pool, flags.ack, { note: flags.note });
    console.log(`Alert ${flags.ack} has been acknowledged.`);
  } else if (flags.silence !== undefined) {
    const { rule, target, reason } = flags;
    const id = await silenceAlerts(pool, flags.silence, { rule, target, reason });
    console.log(
      `Alerts are silenced for ${durationText(flags.silence)} (silence ${id}). To end it early, in SQL: select legwork.end_silence(${id});`,
    );
  } else if (flags.rules === true) {
    await printRules(pool, flags.json);
  } else {
    const alerts = fromRows(alertSchema, await listAlerts(pool, { all: flags.all ?? false }));
    if (flags.json === true) printJson(alerts);
    else if (alerts.length === 0) console.log("No alerts.");
    else printAlerts(visibleRows(alerts));
    if (alerts.some(({ state, severity }) => state === "open" && severity === "critical")) process.exitCode = 1;
  }
}

function printAlerts(alerts: readonly Alert[]): void {
  printTable(
    ["ID", "SEVERITY", "STATE", "RULE", "TARGET", "RAISED", "MESSAGE"],
    alerts.map((alert) => [
      alert.id,
      color(alert.state === "resolved" ? "gray" : alert.severity === "critical" ? "red" : "yellow", alert.severity),
      alert.silenced ? `${alert.state}, silenced` : alert.state,
      alert.rule,
      shorten(alert.target, 40),
      relativeTime(alert.raisedAt),
      shorten(alert.message, 100),
    ]),
  );
}

async function printRules(pool: Queryable, json: boolean | undefined): Promise<void> {
  const found = fromRows(alertRuleSchema, await listAlertRules(pool));
  if (json === true) return printJson(found);
  const rules = visibleRows(found);
  printTable(
    ["RULE", "KIND", "TARGET", "WARNING", "CRITICAL", "PERIOD", "RAISE AFTER", "RESOLVE AFTER", "STATE"],
    rules.map((rule) => [
      rule.name,
      rule.kind,
      rule.target ?? "each",
      threshold(rule.warning),
      threshold(rule.critical),
      durationText(rule.period),
      delayText(rule.raiseAfter),
      delayText(rule.resolveAfter),
      rule.isEnabled ? "" : "disabled",
    ]),
  );
}

function threshold(value: number | null): string {
  if (value === null) return "";
  return Number.isInteger(value) ? formatNumber(value) : String(value);
}

function delayText(delay: string): string {
  return delay === "00:00:00" ? "immediately" : durationText(delay);
}
