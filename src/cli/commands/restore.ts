import { Command, InvalidArgumentError } from "commander";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
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
    .description("bring back the rows of a backup, all of them or none, and verify them, by a job of backup/restore")
    .requiredOption("--folder <path>", "where the backups are: one of the worker's LEGWORK_ALLOWED_FOLDERS, or one below")
    .option("--name <name>", "the newest whole backup of this name", "backup")
    .option("--backup <folder>", "or this one, as `legwork backup` has told it")
    .option("--table <from[=into]>", "only this table of the backup, into itself or into another; may be given again", pair)
    .option("--replace", "truncate the tables first; otherwise they have to be empty")
    .option("--triggers", "let the tables' triggers see the rows come in")
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
          ["table", "from", "rows"],
          shown.tables.map(({ table, from, rows }) => [table, from, String(rows)]),
        );
        console.log(`\nBackup ${shown.backup} of ${shown.createdAt} is restored: rows and checksums are those of the backup.`);
      });
    });
}

function pair(value: string, previous: Record<string, string> | undefined): Record<string, string> {
  const [from = "", into = from, ...more] = value.split("=");
  if (from === "" || into === "" || more.length > 0) throw new InvalidArgumentError("It must be a table, or from=into.");
  return { ...previous, [from]: into };
}
