import type { Command } from "commander";
import { listingCommand } from "../listing.ts";
import { formatNumber } from "../../wording.ts";
import { printTable, relativeTime } from "../output.ts";

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
          group.task,
          relativeTime(group.lastAt),
          relativeTime(group.firstAt),
          group.lastId,
          group.lastError ?? "",
        ]),
        ["FIRST", "LAST ID", "LAST"],
      );
      console.log("\nTo retry a group: legwork retry --fingerprint FINGERPRINT [--preview]");
    },
  );
}
