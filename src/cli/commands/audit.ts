import { Command, Option } from "commander";
import type { AuditFilter } from "../../access/audit-log.ts";
import { AUDIT_TARGETS } from "../../contract/states.ts";
import { LegworkError } from "../../errors.ts";
import { counted } from "../../wording.ts";
import { nearestName } from "../nearest-name.ts";
import { idOf, listLimit, time } from "../option-values.ts";
import type { Operations } from "../operations/operations.ts";
import { ownFlags, type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { printJson, printTable, relativeTime } from "../output.ts";
import { jsonText } from "../visible.ts";

type Flags = RemoteFlags & AuditFilter & { json?: boolean };

export function auditCommand(): Command {
  return withRemoteOptions(new Command("audit"))
    .description("List who changed which job, queue, task, schedule or token, newest first")
    .option("--operation <name>", "Only this operation, such as cancel_job or pause")
    .option("--actor <name>", "Only changes by this token subject or database role")
    .addOption(new Option("--target-type <type>", "Only changes to this type of target").choices(AUDIT_TARGETS))
    .option("--target <name>", "Only changes to this target: an id or a name")
    .option("--tenant <name>", "Only changes that concern this tenant")
    .option("--since <time>", "Only changes at this time or later", time)
    .option("--before <id>", "Only entries older than this one, for the next page", idOf("an entry"))
    .option("--limit <number>", "Number of entries, at most 500", listLimit, 50)
    .option("--json", "Print an array of complete rows")
    .addHelpText(
      "after",
      "\nExamples:\n  $ legwork audit --target-type job --target 42\n  $ legwork audit --operation pause --json",
    )
    .action(async (flags: Flags) => {
      const { json, ...filter } = ownFlags(flags);
      await withOperations(flags, async (operations) => {
        const lines = await operations.listAuditLog(filter);
        if (lines.length === 0 && filter.operation !== undefined) await assertKnownOperation(operations, filter.operation);
        if (json === true) return printJson(lines);
        if (lines.length === 0) return console.log("No entries.");
        printTable(
          ["ID", "TIME", "ACTOR", "ROLE", "SURFACE", "OPERATION", "TARGET", "TENANT", "BEFORE", "AFTER"],
          lines.map((line) => [
            line.id,
            relativeTime(line.occurredAt),
            line.actor ?? "",
            line.databaseRole,
            line.surface,
            line.operation,
            line.count === null
              ? [line.targetType, line.target].filter((part) => part !== null).join(" ")
              : counted(line.count, "job"),
            line.tenant ?? "",
            line.before === null ? "" : jsonText(line.before),
            line.after === null ? "" : jsonText(line.after),
          ]),
          ["ROLE", "SURFACE", "BEFORE", "TENANT", "AFTER"],
        );
        if (lines.length === filter.limit) console.log(`\nMore: legwork audit --before ${lines.at(-1)?.id}`);
      });
    });
}

/** Throws LW404 if the operation looks like a misspelling of one in the newest entries. */
async function assertKnownOperation(operations: Operations, operation: string): Promise<void> {
  const recent = (await operations.listAuditLog({ limit: 500 })).map((line) => line.operation);
  const nearest = recent.includes(operation) ? undefined : nearestName(operation, recent);
  if (nearest === undefined) return;
  throw new LegworkError("LW404", `No entry has the operation '${operation}'.`, { hint: `Did you mean '${nearest}'?` });
}
