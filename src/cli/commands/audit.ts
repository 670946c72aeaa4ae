import { Command } from "commander";
import { type AuditFilter, listAuditLog } from "../../access/audit-log.ts";
import { fromRows } from "../../contract/rows.ts";
import { auditLineSchema } from "../../contract/system.ts";
import { loadConfig } from "../../config.ts";
import { type CommonFlags, positiveInteger, time, withCommonOptions, withDatabase } from "../options.ts";
import { printJson, printTable, relativeTime, shorten } from "../output.ts";
import { jsonText, visibleRows } from "../visible.ts";

type Flags = CommonFlags & AuditFilter & { json?: boolean };

export function auditCommand(): Command {
  return withCommonOptions(new Command("audit"))
    .description("who did what to which job, queue, task, schedule or token, newest first")
    .option("--operation <name>", "only this, such as cancel_job or pause")
    .option("--actor <name>", "only what this token's subject or database role did")
    .option("--target-type <type>", "only what was done to a job, queue, task, token …")
    .option("--target <id>", "only what was done to this one")
    .option("--tenant <name>", "only what concerns this tenant")
    .option("--since <time>", "only from then on", time)
    .option("--before <id>", "only older lines than this one: the next page")
    .option("--limit <number>", "how many, at most 500", (value) => Math.min(positiveInteger(value), 500), 50)
    .option("--json", "print an array of whole rows")
    .addHelpText(
      "after",
      "\nExamples:\n  $ legwork audit --target-type job --target 42\n  $ legwork audit --operation pause --json",
    )
    .action(async ({ databaseUrl, dataDir, logLevel, json, ...filter }: Flags) => {
      const { config } = await loadConfig({ databaseUrl, dataDir, logLevel });
      await withDatabase(config, async (pool) => {
        const found = fromRows(auditLineSchema, await listAuditLog(pool, filter));
        const lines = json === true ? found : visibleRows(found);
        if (json === true) printJson(lines);
        else if (lines.length === 0) console.log("Nothing.");
        else {
          printTable(
            ["ID", "WHEN", "WHO", "ROLE", "BY WAY OF", "WHAT", "TO", "TENANT", "BEFORE", "AFTER"],
            lines.map((line) => [
              line.id,
              relativeTime(line.occurredAt),
              shorten(line.actor ?? "", 30),
              line.databaseRole,
              line.surface,
              line.operation,
              line.count === null
                ? [line.targetType, line.target].filter((part) => part !== null).join(" ")
                : `${line.count} jobs`,
              line.tenant ?? "",
              shorten(line.before === null ? "" : jsonText(line.before), 40),
              shorten(line.after === null ? "" : jsonText(line.after), 60),
            ]),
          );
        }
        if (json !== true && lines.length === filter.limit) console.log(`\nMore: legwork audit --before ${lines.at(-1)?.id}`);
      });
    });
}
