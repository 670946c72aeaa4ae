import type { Command } from "commander";
import { listingCommand } from "../listing.ts";
import { printTable, relativeTime, shorten } from "../output.ts";

export function failedCommand(): Command {
  return listingCommand(
    "failed",
    "list failed jobs that can be retried, grouped by what went wrong",
    ({ listFailedGroups }) => listFailedGroups(),
    "No failed jobs.",
    (groups) => {
      printTable(
        ["FINGERPRINT", "JOBS", "TASK", "LAST", "FIRST", "LAST ID", "LAST ERROR"],
        groups.map((group) => [
          group.fingerprint ?? "",
          group.jobs,
          shorten(group.task, 40),
          relativeTime(group.lastAt),
          relativeTime(group.firstAt),
          group.lastId,
          shorten(group.lastError ?? "", 70),
        ]),
      );
      console.log("\nRetry a group: legwork retry --fingerprint FINGERPRINT [--preview]");
    },
  );
}
