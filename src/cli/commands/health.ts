import { Command } from "commander";
import { formatNumber } from "../../wording.ts";
import { periodText } from "../duration-text.ts";
import { duration } from "../option-values.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { color, printJson, printTable } from "../output.ts";

const COLORS = { healthy: "green", degraded: "yellow", unhealthy: "red" } as const;

export function healthCommand(): Command {
  return withRemoteOptions(new Command("health"))
    .description("Show the health of the system, tasks, queues, schedules and hosts, with reasons")
    .option("--all", "Include healthy tasks, queues, schedules and hosts")
    .option("--json", "Print an array of all rows, including healthy ones")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork health
  $ legwork health --all

The alert rules decide what is healthy: legwork alerts --rules. The exit code is 1 when the system is unhealthy, otherwise 0.`,
    )
    .action(async (flags: RemoteFlags & { all?: boolean; json?: boolean }) => {
      const { json, all } = flags;
      await withOperations(flags, async (operations) => {
        const rows = await operations.readHealth();
        if (json === true) printJson(rows);
        else {
          printTable(
            ["SCOPE", "NAME", "STATUS", "REASONS"],
            rows
              .filter(({ scope, status }) => all === true || scope === "system" || status !== "healthy")
              .map((row) => [row.scope, row.name, color(COLORS[row.status], row.status), row.reasons.join(" ")]),
          );
        }
        if (rows[0]?.status === "unhealthy") process.exitCode = 1;
      });
    });
}

export function statsCommand(): Command {
  return withRemoteOptions(new Command("stats"))
    .description("Show how each task's jobs ended, and how long they waited and ran")
    .option("--period <duration>", "Period up to now, such as 15m or 7d", duration(1_000), "1h")
    .option("--json", "Print an array of complete rows")
    .addHelpText("after", "\nExamples:\n  $ legwork stats\n  $ legwork stats --period 7d\n  $ legwork stats --period 15m --json")
    .action(async (flags: RemoteFlags & { period: string; json?: boolean }) => {
      const { json, period } = flags;
      await withOperations(flags, async (operations) => {
        const rows = await operations.readTaskStatistics(period);
        if (json === true) printJson(rows);
        else if (rows.length === 0) console.log(`No job has ended in the last ${periodText(period)}.`);
        else {
          printTable(
            ["TASK", "COMPLETED", "FAILED", "RETRIED", "CANCELLED", "EXPIRED", "ERRORS", "WAIT P95", "RUN", "RUN P95"],
            rows.map((row) => [
              row.task,
              formatNumber(row.completed),
              formatNumber(row.failed),
              formatNumber(row.retried),
              formatNumber(row.cancelled),
              formatNumber(row.expired),
              row.errorRate === null ? "" : `${(100 * row.errorRate).toFixed(1)}%`,
              seconds(row.waitP95),
              seconds(row.runAverage),
              seconds(row.runP95),
            ]),
            ["EXPIRED", "CANCELLED", "RUN", "RETRIED", "WAIT P95", "RUN P95"],
          );
        }
      });
    });
}

function seconds(value: number | null): string {
  if (value === null) return "";
  return value < 1 ? `${(1_000 * value).toFixed(value < 0.01 ? 2 : 0)} ms` : `${value.toFixed(1)} s`;
}
