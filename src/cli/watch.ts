import { setTimeout as delay } from "node:timers/promises";
import { type Command, InvalidArgumentError } from "commander";
import { parseDuration } from "../duration.ts";
import { isOutputClosed } from "./closed-output.ts";

/** How often a list that is watched is read, unless said otherwise (ms). */
export const WATCH_EVERY_MS = 2_000;
/** As often as that it may be read (ms). */
const MIN_WATCH_MS = 100;

export interface WatchFlags {
  /** Between two looks (ms); true for the default. */
  watch?: number | true;
}

/** Adds `--watch`, for a command that reads. */
export function withWatch(command: Command): Command {
  return command.option("--watch [duration]", "look again and again (every 2s), until Ctrl-C", interval);
}

export function interval(value: string): number {
  const milliseconds = parseDuration(/^\d+(\.\d+)?$/.test(value) ? `${value}s` : value);
  if (milliseconds === undefined || milliseconds < MIN_WATCH_MS) {
    throw new InvalidArgumentError("It must be a duration of at least 100ms, such as 500ms or 5s.");
  }
  return milliseconds;
}

/** Does it once, or with `--watch` until the process is told to end; on a terminal each time in place of the last. */
export async function repeatedly({ watch }: WatchFlags, print: () => Promise<void>): Promise<void> {
  for (;;) {
    if (watch !== undefined && process.stdout.isTTY) process.stdout.write("\u001b[H\u001b[2J");
    await print();
    if (watch === undefined || isOutputClosed()) return;
    await delay(watch === true ? WATCH_EVERY_MS : watch);
  }
}
