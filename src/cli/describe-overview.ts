import type { Overview } from "../contract/system.ts";
import { counted, formatNumber } from "../wording.ts";
import { color, relativeTime } from "./output.ts";

/** The overview as lines of text. */
export function describeOverview(overview: Overview): string[] {
  const { running, pending, blocked, paused, later, oldest, failed, queues, tasks, workers, concurrency } = overview;
  const noticed = (count: string, name: string): string =>
    count === "0" ? `0 ${name}` : color("yellow", `${formatNumber(count)} ${name}`);
  const stop =
    overview.stoppedAt === null
      ? []
      : [
          color(
            "red",
            `Everything was stopped by ${overview.stoppedBy} ${relativeTime(overview.stoppedAt)}${overview.stopReason === null ? "" : `: ${overview.stopReason}`}. To resume: \`legwork resume --all\`.`,
          ),
        ];
  return [
    ...stop,
    `${formatNumber(running)} of ${formatNumber(concurrency)} running  ${formatNumber(pending)} pending  ${noticed(blocked, "blocked")}  ${noticed(paused, "paused")}  ${formatNumber(later)} later  ${failed === "0" ? "0 failed" : color("red", `${formatNumber(failed)} failed`)}`,
    `${workers === 0 ? color("red", "no workers") : counted(workers, "worker")}  ${counted(tasks, "task")} in ${counted(queues, "queue")}  ${oldest === null ? "no job is waiting" : `the oldest waiting job was due ${relativeTime(oldest)}`}`,
  ];
}
