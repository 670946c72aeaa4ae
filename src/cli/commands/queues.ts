import type { Command } from "commander";
import { listingCommand } from "../listing.ts";
import { color, printTable, relativeTime } from "../output.ts";
import { describeLimit, describeReason } from "../limits-and-pauses.ts";
import { formatNumber } from "../../wording.ts";

export function queuesCommand(): Command {
  return listingCommand(
    "queues",
    "List queues with their jobs, limits and pauses",
    ({ listQueues }) => listQueues(),
    "No queues.",
    (queues) =>
      printTable(
        ["QUEUE", "RUNNING", "PENDING", "BLOCKED", "PAUSED", "LATER", "OLDEST", "LIMITS", "STATE"],
        queues.map((queue) => [
          queue.name,
          formatNumber(queue.running),
          formatNumber(queue.pending),
          formatNumber(queue.blocked),
          formatNumber(queue.paused),
          formatNumber(queue.later),
          relativeTime(queue.oldest),
          (queue.limits ?? []).map(describeLimit).join(", "),
          queue.pausedAt === null
            ? ""
            : color("yellow", `paused by ${queue.pausedBy} ${relativeTime(queue.pausedAt)}${describeReason(queue.pauseReason)}`),
        ]),
        ["LATER", "OLDEST", "LIMITS", "PAUSED"],
      ),
  );
}
