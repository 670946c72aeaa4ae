import { Command, Option } from "commander";
import { type AuditFilter, listAuditLog } from "../../access/audit-log.ts";
import { fromRows } from "../../contract/rows.ts";
import { AUDIT_TARGETS } from "../../contract/states.ts";
import { auditLineSchema } from "../../contract/system.ts";
import { loadConfig } from "../../config.ts";
import { idOf, listLimit, time } from "../option-values.ts";
import { type CommonFlags, withCommonOptions, withDatabase } from "../options.ts";
import { counted } from "../../wording.ts";
import { printJson, printTable, relativeTime, shorten } from "../output.ts";
import { assertTogether } from "../together.ts";
import { jsonText, visibleRows } from "../visible.ts";

type Flags = CommonFlags & AuditFilter & { json?: boolean };

export function auditCommand(): Command {
  return withCommonOptions(new Command("audit"))
    .description("List who changed which job, queue, task, schedule or token, newest first")
    .option("--operation <name>", "Only this operation, such as cancel_job or pause")
    .option("--actor <name>", "Only changes by this token subject or database role")
    .addOption(new Option("--target-type <type>", "Only changes to this type of target").choices(AUDIT_TARGETS))
    .option("--target <name>", "Only changes to this target: an id or a name; requires --target-type")
    .option("--tenant <name>", "Only changes that concern this tenant")
    .option("--since <time>", "Only changes at this time or later", time)
    .option("--before <id>", "Only entries older than this one, for the next page", idOf("an entry"))
    .option("--limit <number>", "Number of entries, at most 500", listLimit, 50)
    .option("--json", "Print an array of complete rows")
    .addHelpText(
      "after",
      "\nExamples:\n  $ legwork audit --target-type job --target 42\n  $ legwork audit --operation pause --json",
    )
    .action(async ({ databaseUrl, dataDir, logLevel, json, ...filter }: Flags) => {
      assertTogether(filter, { target: "targetType" });
      const { config } = await loadConfig({ databaseUrl, dataDir, logLevel });
      await withDatabase(config, async (pool) => {
        const found = fromRows(auditLineSchema, await listAuditLog(pool, filter));
        const lines = json === true ? found : visibleRows(found);
        if (json === true) printJson(lines);
        else if (lines.length === 0) console.log("No entries.");
        else {
          printTable(
            ["ID", "TIME", "ACTOR", "ROLE", "SURFACE", "OPERATION", "TARGET", "TENANT", "BEFORE", "AFTER"],
            lines.map((line) => [
              line.id,
              relativeTime(line.occurredAt),
              shorten(line.actor ?? "", 30),
              line.databaseRole,
              line.surface,
              line.operation,
              line.count === null
                ? [line.targetType, line.target].filter((part) => part !== null).join(" ")
                : counted(line.count, "job"),
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
