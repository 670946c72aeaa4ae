import { Command } from "commander";
import { type RemoteFlags, positiveInteger, withOperations, withRemoteOptions } from "../options.ts";
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
    .description("back up tables to compressed files where a worker runs, and verify them, by a job of backup/tables")
    .argument("<tables...>", "the tables, as SQL writes them")
    .requiredOption("--folder <path>", "where backups go: one of the worker's LEGWORK_ALLOWED_FOLDERS, or one below")
    .option("--name <name>", "what the backup is called", "backup")
    .option("--keep-for <age>", "remove backups of the name older than this afterwards, such as '30 days' (all are kept)")
    .option("--keep-at-least <number>", "so many of the newest are kept, however old (1)", positiveInteger)
    .option("--compression <level>", "of gzip, 1 to 9 (3)", positiveInteger)
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
          ["table", "rows", "bytes", "compressed"],
          shown.tables.map((table) => [table.table, String(table.rows), String(table.bytes), String(table.fileBytes)]),
        );
        console.log(`\nBackup ${shown.backup} is whole: it was read back.`);
        if (shown.removed.length > 0) console.log(`Removed: ${shown.removed.join(", ")}`);
      });
    });
}
