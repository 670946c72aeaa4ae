import { Command } from "commander";
import type { FailedGroupFilter } from "../../jobs/failed-jobs.ts";
import { formatNumber } from "../../wording.ts";
import { duration, time } from "../option-values.ts";
import { ownFlags, type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { printJson, printTable, relativeTime, shorten } from "../output.ts";
import { repeatedly, type WatchFlags, withWatch } from "../watch.ts";

type Flags = RemoteFlags &
  WatchFlags &
  Omit<FailedGroupFilter, "failedSince" | "fingerprint"> & { since?: string; json?: boolean };

export function failedCommand(): Command {
  return withWatch(withRemoteOptions(new Command("failed")))
    .description("List failed jobs that can be retried, grouped by error")
    .option(
      "--since <duration>",
      "Only jobs that failed at most this long ago, such as 10m, whenever they were created",
      duration(),
    )
    .option("--task <name>", "Only failed jobs of this task")
    .option("--queue <name>", "Only failed jobs of this queue")
    .option("--tenant <name>", "Only this tenant's failed jobs")
    .option("--error <text>", "Only failed jobs whose error contains this text")
    .option("--failed-after <time>", "Only jobs that failed at this time or later", time)
    .option("--failed-before <time>", "Only jobs that failed before this time", time)
    .option("--json", "Print an array of complete rows")
    .addHelpText(
      "after",
      "\nExamples:\n  $ legwork failed\n  $ legwork failed --since 10m\n  $ legwork failed --task notify/email --watch 5s",
    )
    .action(async (flags: Flags) => {
      const { json, watch: _watch, since: failedSince, ...filter } = ownFlags(flags);
      await withOperations(flags, (operations) =>
        repeatedly(flags, async () => {
          const groups = await operations.listFailedGroups({ ...filter, failedSince });
          if (json === true) {
            printJson(groups);
            return;
          }
          if (groups.length === 0) {
            console.log("No failed jobs.");
            return;
          }
          printTable(
            ["FINGERPRINT", "JOBS", "TASK", "LAST", "FIRST", "LAST ID", "LAST ERROR"],
            groups.map((group) => [
              group.fingerprint ?? "",
              formatNumber(group.jobs),
              shorten(group.task, 40),
              relativeTime(group.lastAt),
              relativeTime(group.firstAt),
              group.lastId,
              shorten(group.lastError ?? "", 70),
            ]),
          );
          console.log("\nTo retry a group: legwork retry --fingerprint FINGERPRINT [--preview]");
          if (groups.some(({ lastError }) => lastError?.startsWith("The payload does not match ") === true)) {
            console.log("A retry keeps the payload. To run a job with another one: legwork rerun ID --payload '{…}' --discard");
          }
        }),
      );
    });
}
