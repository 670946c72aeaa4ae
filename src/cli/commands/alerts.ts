import { Command } from "commander";
import { type Alert, alertRuleSchema, alertSchema } from "../../contract/alerts.ts";
import { fromRows } from "../../contract/rows.ts";
import { loadConfig } from "../../config.ts";
import type { Queryable } from "../../db/pool.ts";
import { LegworkError } from "../../errors.ts";
import { acknowledgeAlert } from "../../health/acknowledge-alert.ts";
import { listAlertRules } from "../../health/alert-rules.ts";
import { listAlerts } from "../../health/list-alerts.ts";
import { silenceAlerts } from "../../health/silence-alerts.ts";
import { type CommonFlags, withCommonOptions, withDatabase } from "../options.ts";
import { color, printJson, printTable, relativeTime, shorten } from "../output.ts";
import { visibleRows } from "../visible.ts";
import { isId } from "../../id.ts";

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
    .description("list open alerts; acknowledge one, or silence some for a while")
    .option("--all", "list resolved ones as well, the last 100")
    .option("--rules", "list the rules in place of the alerts")
    .option("--ack <id>", "say that you look after this alert")
    .option("--note <text>", "with --ack: what you do about it")
    .option("--silence <duration>", "tell nobody of alerts for so long, such as 2h")
    .option("--rule <name>", "with --silence: only of this rule")
    .option("--target <name>", "with --silence: only of this task, queue or host")
    .option("--reason <text>", "with --silence: why")
    .option("--json", "print an array of whole rows")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork alerts
  $ legwork alerts --ack 7 --note 'provider is down, waiting'
  $ legwork alerts --silence 2h --rule backlog_age --reason 'importing'

Exits with 1 when an alert is critical and open, else with 0.`,
    )
    .action(async (flags: Flags) => {
      const { databaseUrl, dataDir, logLevel } = flags;
      const { config } = await loadConfig({ databaseUrl, dataDir, logLevel });
      await withDatabase(config, (pool) => run(pool, flags));
    });
}

async function run(pool: Queryable, flags: Flags): Promise<void> {
  if (flags.ack !== undefined) {
    if (!isId(flags.ack)) {
      throw new LegworkError("LW400", `--ack: '${flags.ack}' is no id.`, {
        hint: "`legwork alerts` lists the alerts with their ids.",
      });
    }
    await acknowledgeAlert(pool, flags.ack, { note: flags.note });
    console.log(`Alert ${flags.ack} is acknowledged.`);
  } else if (flags.silence !== undefined) {
    const { rule, target, reason } = flags;
    const id = await silenceAlerts(pool, flags.silence, { rule, target, reason });
    console.log(`Nobody is told for ${flags.silence} (silence ${id}); select legwork.end_silence(${id}) ends it before.`);
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
      String(rule.warning ?? ""),
      String(rule.critical ?? ""),
      rule.period,
      rule.raiseAfter,
      rule.resolveAfter,
      rule.isEnabled ? "" : "off",
    ]),
  );
}
