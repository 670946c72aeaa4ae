import { Command, Option } from "commander";
import { LegworkError } from "../../errors.ts";
import { describeOverview } from "../describe-overview.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { printJson } from "../output.ts";
import { showOverview } from "../overview-screen.ts";
import { interval, repeatedly, WATCH_EVERY_MS, type WatchFlags, withWatch } from "../watch.ts";

export function overviewCommand(): Command {
  return withWatch(withRemoteOptions(new Command("overview")))
    .description("Show how many jobs are waiting or running, and how many have failed")
    .option("--json", "Print an object")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork overview
  $ legwork overview --watch 1s
  $ legwork overview --json

On a terminal, --watch opens a live screen with queues, workers, running and new jobs. Press q to quit.`,
    )
    .action(async (flags: RemoteFlags & WatchFlags & { json?: boolean }) => {
      const { json, watch } = flags;
      await withOperations(flags, async (operations) => {
        if (watch !== undefined && json !== true && process.stdout.isTTY) {
          return await showOverview(operations, watch === true ? WATCH_EVERY_MS : watch);
        }
        await repeatedly(flags, async () => {
          const overview = await operations.readOverview();
          if (json === true) printJson(overview);
          else console.log(describeOverview(overview).join("\n"));
        });
      });
    });
}

/** The old name of `overview --watch`, for one version. */
export function topCommand(): Command {
  return withRemoteOptions(new Command("top"))
    .description("Old name of `overview --watch`")
    .addOption(new Option("--every <duration>", "Time between updates").argParser(interval).default(1_000, "1s"))
    .addHelpText("after", "\nExamples:\n  $ legwork overview --watch 1s")
    .action(async (flags: RemoteFlags & { every: number }) => {
      console.error(
        `legwork: \`top\` is now \`overview --watch ${flags.every / 1_000}s\`. The old name will be removed in version 0.2.0.`,
      );
      if (!process.stdout.isTTY) {
        throw new LegworkError("LW400", "legwork top requires a terminal.", {
          hint: "In a program, use `legwork overview --json`.",
        });
      }
      await withOperations(flags, (operations) => showOverview(operations, flags.every));
    });
}
