import { Command } from "commander";
import { LegworkError } from "../../errors.ts";
import type { Overview } from "../../queues/overview.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { color, printJson, relativeTime } from "../output.ts";
import { printTaskStatistics } from "./health.ts";
import { repeatedly, type WatchFlags, withWatch } from "../watch.ts";

export function statsCommand(): Command {
  return withWatch(withRemoteOptions(new Command("stats")))
    .description("show how everything is, at a glance; with --period what became of each task's jobs")
    .option("--period <duration>", "in place of it, each task's counts, waiting and running times so far back, such as 15m or 7d")
    .option("--json", "print an object, or an array of rows")
    .addHelpText(
      "after",
      "\nExamples:\n  $ legwork stats\n  $ legwork stats --watch 1s\n  $ legwork stats --period 1h\n  $ legwork stats --json",
    )
    .action(async (flags: RemoteFlags & WatchFlags & { period?: string; json?: boolean }) => {
      const { period } = flags;
      if (period !== undefined) {
        if (flags.url !== undefined) {
          throw new LegworkError("LW400", "--period reads the database, not a server.", { hint: "Leave --url out." });
        }
        await repeatedly(flags, async () => await printTaskStatistics({ ...flags, period }));
        return;
      }
      await withOperations(flags, (operations) =>
        repeatedly(flags, async () => {
          const overview = await operations.readOverview();
          if (flags.json === true) printJson(overview);
          else console.log(describeOverview(overview).join("\n"));
        }),
      );
    });
}

/** The overview as lines for people. */
export function describeOverview(overview: Overview): string[] {
  const { running, pending, blocked, paused, later, oldest, failed, queues, tasks, workers, concurrency } = overview;
  const noticed = (count: string, name: string): string =>
    count === "0" ? `${count} ${name}` : color("yellow", `${count} ${name}`);
  const stop =
    overview.stopped_at === null
      ? []
      : [
          color(
            "red",
            `Everything is stopped by ${overview.stopped_by} ${relativeTime(overview.stopped_at)}${overview.stop_reason === null ? "" : `: ${overview.stop_reason}`}. \`legwork resume --all\` ends it.`,
          ),
        ];
  return [
    ...stop,
    `${running} of ${concurrency} running  ${pending} pending  ${noticed(blocked, "blocked")}  ${noticed(paused, "paused")}  ${later} later  ${failed === "0" ? "0 failed" : color("red", `${failed} failed`)}`,
    `${workers === 0 ? color("red", "no workers") : `${workers} worker${workers === 1 ? "" : "s"}`}  ${tasks} tasks in ${queues} queues  ${oldest === null ? "nothing waits" : `the oldest could have started ${relativeTime(oldest)}`}`,
  ];
}
