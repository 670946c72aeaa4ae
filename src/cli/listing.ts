import { Command } from "commander";
import type { Operations } from "./operations/operations.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "./options.ts";
import { printJson } from "./output.ts";
import { repeatedly, type WatchFlags, withWatch } from "./watch.ts";

/** A command that lists rows of one kind, as a table or as JSON, once or repeatedly. */
export function listingCommand<T>(
  name: string,
  description: string,
  read: (operations: Operations) => Promise<T[]>,
  none: string,
  print: (rows: T[]) => void,
): Command {
  return withWatch(withRemoteOptions(new Command(name)))
    .description(description)
    .option("--json", "Print an array of complete rows")
    .addHelpText("after", `\nExamples:\n  $ legwork ${name}\n  $ legwork ${name} --json\n  $ legwork ${name} --watch 5s`)
    .action(async (flags: RemoteFlags & WatchFlags & { json?: boolean }) => {
      await withOperations(flags, (operations) =>
        repeatedly(flags, async () => {
          const rows = await read(operations);
          if (flags.json === true) printJson(rows);
          else if (rows.length === 0) console.log(none);
          else print(rows);
        }),
      );
    });
}
