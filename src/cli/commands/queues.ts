import type { Command } from "commander";
import { listingCommand } from "../listing.ts";
import { color, printTable, relativeTime, shorten } from "../output.ts";
import { describeLimit, describeReason } from "../limits-and-pauses.ts";

export function queuesCommand(): Command {
  return listingCommand(
    "queues",
    "list the queues: what waits and runs, limits and pauses",
    ({ listQueues }) => listQueues(),
    "No queues.",
    (queues) =>
      printTable(
        ["QUEUE", "RUNNING", "PENDING", "BLOCKED", "PAUSED", "LATER", "OLDEST", "LIMITS", "STATE"],
        queues.map((queue) => [
          queue.name,
          queue.running,
          queue.pending,
          queue.blocked,
          queue.paused,
          queue.later,
          relativeTime(queue.oldest),
          (queue.limits ?? []).map(describeLimit).join(", "),
          queue.pausedAt === null
            ? ""
            : color(
                "yellow",
                shorten(`paused by ${queue.pausedBy} ${relativeTime(queue.pausedAt)}${describeReason(queue.pauseReason)}`, 60),
              ),
        ]),
      ),
  );
}
