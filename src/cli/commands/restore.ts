import { Command, InvalidArgumentError } from "commander";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { formatNumber } from "../../wording.ts";
import { printJson, printTable } from "../output.ts";
import { reportEnd, type RunFlags, runToEnd, withRunOptions } from "../run-to-end.ts";
import { visibleRows } from "../visible.ts";

type Flags = RemoteFlags &
  RunFlags & {
    folder: string;
    name: string;
    backup?: string;
    table?: Record<string, string>;
    replace?: boolean;
    triggers?: boolean;
  };

interface Result {
  backup: string;
  createdAt: string;
  tables: { table: string; from: string; rows: number }[];
}

export function restoreCommand(): Command {
  return withRunOptions(withRemoteOptions(new Command("restore")))
    .description("Restore and verify the rows of a backup atomically (task backup/restore)")
    .requiredOption("--folder <path>", "Folder of the backups, within the worker's LEGWORK_ALLOWED_FOLDERS")
    .option("--name <name>", "Name of the backup; the newest complete one is restored", "backup")
    .option("--backup <folder>", "One backup, as printed by `legwork backup`, instead of the newest")
    .option("--table <from[=into]>", "Restore only this table, optionally into another one (repeatable)", pair)
    .option("--replace", "Truncate the tables first; otherwise they must be empty")
    .option("--triggers", "Fire the tables' triggers for the restored rows")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork restore --folder /var/backups/app --name daily --replace
  $ legwork restore --folder /var/backups/app --name daily --table app.users=app.users_of_may`,
    )
    .action(async (flags: Flags) => {
      const { folder, name, backup, table: tables } = flags;
      const payload = {
        folder,
        name,
        backup,
        tables,
        into: flags.replace === true ? "replace" : "empty",
        triggers: flags.triggers === true ? "on" : "off",
      };
      await withOperations(flags, async (operations) => {
        const job = await runToEnd(operations, "backup/restore", payload, flags);
        const { id, state, error } = job;
        const result = job.result as Result | null;
        if (flags.json === true) printJson({ id, state, result, error });
        if (state !== "completed" || result === null) return reportEnd(job);
        if (flags.json === true) return;
        const shown = visibleRows(result);
        printTable(
          ["TABLE", "FROM", "ROWS"],
          shown.tables.map(({ table, from, rows }) => [table, from, formatNumber(rows)]),
        );
        console.log(`\nRestored backup ${shown.backup} of ${shown.createdAt}. Row counts and checksums match the backup.`);
      });
    });
}

function pair(value: string, previous: Record<string, string> | undefined): Record<string, string> {
  const [from = "", into = from, ...more] = value.split("=");
  if (from === "" || into === "" || more.length > 0) throw new InvalidArgumentError("Expected a table, or from=into.");
  return { ...previous, [from]: into };
}
