import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { healthSchema, taskStatisticsSchema } from "../../contract/alerts.ts";
import { fromRows } from "../../contract/rows.ts";
import { readHealth } from "../../health/read-health.ts";
import { readTaskStatistics } from "../../health/read-statistics.ts";
import { durationText } from "../duration-text.ts";
import { duration } from "../option-values.ts";
import { type CommonFlags, withCommonOptions, withDatabase } from "../options.ts";
import { formatNumber } from "../../wording.ts";
import { color, printJson, printTable, shorten } from "../output.ts";
import { visibleRows } from "../visible.ts";

const COLORS = { healthy: "green", degraded: "yellow", unhealthy: "red" } as const;

export function healthCommand(): Command {
  return withCommonOptions(new Command("health"))
    .description("Show the health of the system, tasks, queues, schedules and hosts, with reasons")
    .option("--all", "Include what is healthy")
    .option("--json", "Print an array of all rows, including what is healthy")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork health
  $ legwork health --all

The alert rules decide what is healthy: legwork alerts --rules. The exit code is 1 when the system is unhealthy, otherwise 0.`,
    )
    .action(async (flags: CommonFlags & { all?: boolean; json?: boolean }) => {
      const { json, all, ...common } = flags;
      const { config } = await loadConfig(common);
      await withDatabase(config, async (pool) => {
        const rows = fromRows(healthSchema, await readHealth(pool));
        if (json === true) printJson(rows);
        else {
          printTable(
            ["SCOPE", "NAME", "STATUS", "REASONS"],
            visibleRows(rows)
              .filter(({ scope, status }) => all === true || scope === "system" || status !== "healthy")
              .map((row) => [
                row.scope,
                shorten(row.name, 40),
                color(COLORS[row.status], row.status),
                shorten(row.reasons.join(" "), 120),
              ]),
          );
        }
        if (rows[0]?.status === "unhealthy") process.exitCode = 1;
      });
    });
}

export function statsCommand(): Command {
  return withCommonOptions(new Command("stats"))
    .description("Show how each task's jobs ended, and how long they waited and ran")
    .option("--period <duration>", "Period up to now, such as 15m or 7d", duration(1_000), "1h")
    .option("--json", "Print an array of complete rows")
    .addHelpText("after", "\nExamples:\n  $ legwork stats\n  $ legwork stats --period 7d\n  $ legwork stats --period 15m --json")
    .action(async (flags: CommonFlags & { period: string; json?: boolean }) => {
      const { json, period, ...common } = flags;
      const { config } = await loadConfig(common);
      await withDatabase(config, async (pool) => {
        const rows = fromRows(taskStatisticsSchema, await readTaskStatistics(pool, period));
        if (json === true) printJson(rows);
        else if (rows.length === 0) console.log(`No job has ended in the last ${durationText(period)}.`);
        else {
          printTable(
            ["TASK", "COMPLETED", "FAILED", "RETRIED", "CANCELLED", "EXPIRED", "ERRORS", "WAIT P95", "RUN", "RUN P95"],
            visibleRows(rows).map((row) => [
              shorten(row.task, 40),
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
          );
        }
      });
    });
}

function seconds(value: number | null): string {
  if (value === null) return "";
  return value < 1 ? `${(1_000 * value).toFixed(value < 0.01 ? 2 : 0)} ms` : `${value.toFixed(1)} s`;
}
