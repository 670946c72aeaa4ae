import type { Command } from "commander";
import { listingCommand } from "../listing.ts";
import { formatNumber } from "../../wording.ts";
import { printTable, relativeTime, shorten } from "../output.ts";

export function failedCommand(): Command {
  return listingCommand(
    "failed",
    "List failed jobs that can be retried, grouped by error",
    ({ listFailedGroups }) => listFailedGroups(),
    "No failed jobs.",
    (groups) => {
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
    },
  );
}
