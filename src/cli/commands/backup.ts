import { Command } from "commander";
import { calendarDuration, wholeNumber } from "../option-values.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { formatNumber } from "../../wording.ts";
import { printJson, printTable } from "../output.ts";
import { reportEnd, type RunFlags, runToEnd, withRunOptions } from "../run-to-end.ts";
import { visibleRows } from "../visible.ts";

type Flags = RemoteFlags &
  RunFlags & { folder: string; name: string; keepFor?: string; keepAtLeast?: number; compression?: number };

interface Result {
  backup: string;
  tables: { table: string; rows: number; bytes: number; fileBytes: number }[];
  removed: string[];
}

export function backupCommand(): Command {
  return withRunOptions(withRemoteOptions(new Command("backup")))
    .description("Back up tables to verified, compressed files on a worker's machine (task backup/tables)")
    .argument("<tables...>", "Tables, written as in SQL")
    .requiredOption("--folder <path>", "Folder for the backup, within the worker's LEGWORK_ALLOWED_FOLDERS")
    .option("--name <name>", "Name of the backup", "backup")
    .option(
      "--keep-for <duration>",
      "Age beyond which backups with this name are removed, such as '30 days' (default: never)",
      calendarDuration,
    )
    .option("--keep-at-least <number>", "Number of most recent backups to always keep (default: 1)", wholeNumber())
    .option("--compression <level>", "gzip compression level, 1 to 9 (default: 3)", wholeNumber(1, 9))
    .addHelpText(
      "after",
      `
Examples:
  $ legwork backup app.users app.orders --folder /var/backups/app --name daily --keep-for '30 days'
  $ legwork restore --folder /var/backups/app --name daily`,
    )
    .action(async (tables: string[], flags: Flags) => {
      const { folder, name, keepFor, keepAtLeast, compression } = flags;
      await withOperations(flags, async (operations) => {
        const job = await runToEnd(
          operations,
          "backup/tables",
          { tables, folder, name, keepFor, keepAtLeast, compression },
          flags,
        );
        const { id, state, error } = job;
        const result = job.result as Result | null;
        if (flags.json === true) printJson({ id, state, result, error });
        if (state !== "completed" || result === null) return reportEnd(job);
        if (flags.json === true) return;
        const shown = visibleRows(result);
        printTable(
          ["TABLE", "ROWS", "BYTES", "COMPRESSED"],
          shown.tables.map((table) => [
            table.table,
            formatNumber(table.rows),
            formatNumber(table.bytes),
            formatNumber(table.fileBytes),
          ]),
        );
        console.log(`\nBackup ${shown.backup} is complete and has been verified by reading it back.`);
        if (shown.removed.length > 0) console.log(`Removed: ${shown.removed.join(", ")}`);
      });
    });
}
