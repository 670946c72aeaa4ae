import { Command } from "commander";
import type { BulkAction } from "../../contract/bulk-actions.ts";
import { describeCount, describeEnd, percentOf } from "../bulk.ts";
import { idArgument, listLimit } from "../option-values.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { color, elapsed, printJson, printTable, relativeTime, shorten } from "../output.ts";
import { repeatedly, type WatchFlags, withWatch } from "../watch.ts";

const STATE_COLORS = { running: "blue", completed: "green", stopped: "yellow", failed: "red" } as const;

/** After this time without activity (ms), no process is assumed to be working on a running bulk action. */
const ABANDONED_MS = 90_000;

type Flags = RemoteFlags & { json?: boolean };

export function bulkCommand(): Command {
  const command = new Command("bulk").description("List, show and stop bulk actions").addHelpText(
    "after",
    `
Examples:
  $ legwork bulk list
  $ legwork bulk show 7 --watch
  $ legwork bulk stop 7`,
  );
  for (const sub of [listCommand, showCommand, stopCommand]) command.addCommand(sub().exitOverride());
  return command;
}

function listCommand(): Command {
  return withRemoteOptions(new Command("list"))
    .description("List bulk actions, newest first")
    .option("--limit <number>", "Number of bulk actions, at most 500", listLimit, 20)
    .option("--json", "Print an array of complete rows")
    .addHelpText("after", "\nExamples:\n  $ legwork bulk list\n  $ legwork bulk list --limit 5 --json")
    .action(async (flags: Flags & { limit: number }) => {
      await withOperations(flags, async (operations) => {
        const actions = await operations.listBulkActions({ limit: flags.limit });
        if (flags.json === true) return printJson(actions);
        if (actions.length === 0) return console.log("No bulk actions.");
        printTable(
          ["ID", "ACTION", "STATE", "CHANGED", "FILTER", "STARTED", "BY", "TOOK"],
          actions.map((one) => [
            one.id,
            one.action,
            color(STATE_COLORS[one.state], one.state),
            describeCount(one),
            shorten(describeFilter(one), 50),
            relativeTime(one.startedAt),
            shorten(one.actor, 30),
            elapsed(one.startedAt, one.finishedAt),
          ]),
        );
      });
    });
}

function showCommand(): Command {
  return withWatch(withRemoteOptions(new Command("show")))
    .description("Show a bulk action and its progress")
    .argument("<id>", "Id of the bulk action", idArgument("bulk action"))
    .option("--json", "Print the complete row")
    .addHelpText("after", "\nExamples:\n  $ legwork bulk show 7\n  $ legwork bulk show 7 --watch")
    .action(async (id: string, flags: Flags & WatchFlags) => {
      await withOperations(flags, (operations) =>
        repeatedly(flags, async () => {
          const one = await operations.getBulkAction(id);
          if (flags.json === true) {
            printJson(one);
            return;
          }
          const percent = percentOf(one);
          console.log(
            `Bulk action ${one.id}: ${one.action} ${describeFilter(one)}, started ${relativeTime(one.startedAt)} by ${one.actor}`,
          );
          if (one.state !== "running") {
            for (const line of describeEnd(one)) console.log(line);
            return;
          }
          console.log(`Running: ${describeCount(one)}${percent === null ? "" : ` (${Math.floor(percent)}%)`}`);
          if (one.lastError !== null) console.log(`Retrying after: ${one.lastError}`);
          const since = one.workedAt ?? one.startedAt;
          if (Date.now() - since.getTime() > ABANDONED_MS)
            console.log(
              `No worker or server is working on it; the last activity was ${relativeTime(since)}. To start a worker: legwork worker.`,
            );
        }),
      );
    });
}

function stopCommand(): Command {
  return withRemoteOptions(new Command("stop"))
    .description("Stop a bulk action; changes made so far remain")
    .argument("<id>", "Id of the bulk action", idArgument("bulk action"))
    .option("--json", "Print the row afterwards")
    .addHelpText("after", "\nExamples:\n  $ legwork bulk stop 7")
    .action(async (id: string, flags: Flags) => {
      await withOperations(flags, async (operations) => {
        const state = await operations.stopBulkAction(id);
        const one = await operations.getBulkAction(id);
        if (flags.json === true) printJson(one);
        else if (state === "stopped") for (const line of describeEnd(one)) console.log(line);
        else console.log(`Bulk action ${id} had already ended: ${state}.`);
      });
    });
}

/** `task=notify/email failed_after=…`, or "all". */
function describeFilter({ filter }: Pick<BulkAction, "filter">): string {
  const fields = Object.entries(filter).map(
    ([name, value]) => `${name}=${Array.isArray(value) ? `${value.length} ids` : String(value)}`,
  );
  return fields.length === 0 ? "all" : fields.join(" ");
}
