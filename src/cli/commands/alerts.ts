import { Command } from "commander";
import type { Alert, AlertRule } from "../../contract/alerts.ts";
import { formatNumber } from "../../wording.ts";
import { durationText } from "../duration-text.ts";
import { duration, idOf } from "../option-values.ts";
import type { Operations } from "../operations/operations.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { color, printDone, printJson, printTable, relativeTime } from "../output.ts";
import { assertOneOf, assertTogether } from "../together.ts";

type Flags = RemoteFlags & {
  all?: boolean;
  rules?: boolean;
  json?: boolean;
  ack?: string;
  note?: string;
  silence?: string;
  endSilence?: string;
  rule?: string;
  target?: string;
  reason?: string;
};

export function alertsCommand(): Command {
  return withRemoteOptions(new Command("alerts"))
    .description("List open alerts, acknowledge an alert or silence alerts")
    .option("--all", "Include the last 100 resolved alerts")
    .option("--rules", "List the alert rules instead")
    .option("--ack <id>", "Alert to acknowledge", idOf("an alert"))
    .option("--note <text>", "Note for the acknowledgment, with --ack")
    .option("--silence <duration>", "Time during which alerts are raised but not sent, such as 2h", duration(1_000))
    .option("--rule <name>", "Alert rule to silence, with --silence (default: all)")
    .option("--target <name>", "Task, queue or host to silence, with --silence (default: all)")
    .option("--reason <text>", "Reason for the silence, with --silence")
    .option("--end-silence <id>", "Silence to end early", idOf("a silence"))
    .option(
      "--json",
      "Print an array of complete rows; with --ack, --silence or --end-silence, an object with the id and the result",
    )
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
      assertOneOf(flags, ["ack", "silence", "endSilence", "rules", "all"]);
      await withOperations(flags, (operations) => run(operations, flags));
    });
}

async function run(operations: Operations, flags: Flags): Promise<void> {
  const { json, ack, silence, endSilence, rule, target, reason } = flags;
  if (ack !== undefined) {
    await operations.acknowledgeAlert(ack, flags.note === undefined ? {} : { note: flags.note });
    printDone(json, { id: ack, acknowledged: true }, `Alert ${ack} has been acknowledged.`);
  } else if (silence !== undefined) {
    const id = await operations.silenceAlerts(silence, { rule, target, reason });
    const text = `Alerts are silenced for ${durationText(silence)} (silence ${id}). To end it early: legwork alerts --end-silence ${id}`;
    printDone(json, { id, silenced: true }, text);
  } else if (endSilence !== undefined) {
    const ended = await operations.endSilence(endSilence);
    printDone(json, { id: endSilence, ended }, `Silence ${endSilence} ${ended ? "has been ended" : "was not in effect"}.`);
  } else if (flags.rules === true) {
    const rules = await operations.listAlertRules();
    if (json === true) printJson(rules);
    else printRules(rules);
  } else {
    const alerts = await operations.listAlerts({ all: flags.all ?? false });
    if (json === true) printJson(alerts);
    else if (alerts.length === 0) console.log("No alerts.");
    else printAlerts(alerts);
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
      alert.target,
      relativeTime(alert.raisedAt),
      alert.message,
    ]),
    ["RAISED", "STATE", "RULE"],
  );
}

function printRules(rules: readonly AlertRule[]): void {
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
    ["KIND", "RAISE AFTER", "RESOLVE AFTER", "STATE"],
  );
}

function threshold(value: number | null): string {
  if (value === null) return "";
  return Number.isInteger(value) ? formatNumber(value) : String(value);
}

function delayText(delay: string): string {
  return delay === "00:00:00" ? "immediately" : durationText(delay);
}
