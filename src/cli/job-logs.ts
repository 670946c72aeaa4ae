import { setTimeout as delay } from "node:timers/promises";
import type { LogLine } from "../contract/jobs.ts";
import type { Operations } from "./operations/operations.ts";
import { color } from "./output.ts";
import { isOutputClosed } from "./closed-output.ts";
import { jsonText } from "./visible.ts";

/** How often a followed job is read (ms). Longer than a worker takes to send a job's last lines. */
const LOOK_EVERY_MS = 500;

const COLORS = { info: "blue", warn: "yellow", error: "red", fatal: "red" } as const;

export function printLogs(lines: readonly LogLine[], indent = ""): void {
  for (const { loggedAt: time, level, message, fields } of lines) {
    const text = [message, fields === null ? "" : color("gray", jsonText(fields))].filter((part) => part !== "").join("  ");
    const head = `${time.toISOString()}  ${color(COLORS[level], level.padEnd(5))}  `;
    console.log((head + text).replaceAll(/^/gm, indent));
  }
}

/** Prints the job's log lines until the job has ended. */
export async function followLogs(operations: Operations, id: string): Promise<void> {
  let last: string | undefined;
  for (let ended = false; ;) {
    const lines = await operations.logsAfter(id, last);
    printLogs(lines);
    last = lines.at(-1)?.id ?? last;
    if (ended || isOutputClosed()) return;
    // The last lines arrive shortly after the end, so read once more.
    ended = (await operations.getJob(id)).finishedAt !== null;
    await delay(LOOK_EVERY_MS);
  }
}
