import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { isOutputClosed } from "./closed-output.ts";
import { milliseconds } from "./option-values.ts";

/** How often `--watch` reads, unless set (ms). */
export const WATCH_EVERY_MS = 2_000;
/** The shortest interval of `--watch` (ms). */
const MIN_WATCH_MS = 100;

export interface WatchFlags {
  /** The time between two reads (ms); true for the default. */
  watch?: number | true;
}

/** Adds `--watch` to a command that only reads. */
export function withWatch(command: Command): Command {
  return command.option("--watch [duration]", "Repeat at this interval until Ctrl-C (default: 2s)", interval);
}

export function interval(value: string): number {
  return milliseconds(MIN_WATCH_MS)(/^\d+(\.\d+)?$/.test(value) ? `${value}s` : value);
}

/** Prints once, or with `--watch` until the process is signaled to end. On a terminal, each output replaces the previous one. */
export async function repeatedly({ watch }: WatchFlags, print: () => Promise<void>): Promise<void> {
  for (;;) {
    if (watch !== undefined && process.stdout.isTTY) process.stdout.write("\u001b[H\u001b[2J");
    await print();
    if (watch === undefined || isOutputClosed()) return;
    await delay(watch === true ? WATCH_EVERY_MS : watch);
  }
}
