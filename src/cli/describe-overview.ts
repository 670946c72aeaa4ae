import type { Overview } from "../contract/system.ts";
import { color, relativeTime } from "./output.ts";

/** The overview as lines for people. */
export function describeOverview(overview: Overview): string[] {
  const { running, pending, blocked, paused, later, oldest, failed, queues, tasks, workers, concurrency } = overview;
  const noticed = (count: string, name: string): string =>
    count === "0" ? `${count} ${name}` : color("yellow", `${count} ${name}`);
  const stop =
    overview.stoppedAt === null
      ? []
      : [
          color(
            "red",
            `Everything is stopped by ${overview.stoppedBy} ${relativeTime(overview.stoppedAt)}${overview.stopReason === null ? "" : `: ${overview.stopReason}`}. \`legwork resume --all\` ends it.`,
          ),
        ];
  return [
    ...stop,
    `${running} of ${concurrency} running  ${pending} pending  ${noticed(blocked, "blocked")}  ${noticed(paused, "paused")}  ${later} later  ${failed === "0" ? "0 failed" : color("red", `${failed} failed`)}`,
    `${workers === 0 ? color("red", "no workers") : `${workers} worker${workers === 1 ? "" : "s"}`}  ${tasks} tasks in ${queues} queues  ${oldest === null ? "nothing waits" : `the oldest could have started ${relativeTime(oldest)}`}`,
  ];
}
