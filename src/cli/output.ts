import { styleText } from "node:util";
import { UnboundedTime } from "../db/parse-timestamp.ts";
import type { JobState } from "../jobs/read-jobs.ts";
import { counted } from "../wording.ts";
import { tableLines } from "./table.ts";
import { jsonText } from "./visible.ts";

const STATE_COLORS: Record<JobState, Parameters<typeof styleText>[0]> = {
  scheduled: "cyan",
  pending: "white",
  blocked: "yellow",
  paused: "yellow",
  running: "blue",
  retrying: "yellow",
  completed: "green",
  failed: "red",
  cancelled: "gray",
  expired: "gray",
};

export function colorState(state: JobState): string {
  return color(STATE_COLORS[state], state);
}

/** Colors the text on a terminal only, and honors NO_COLOR. */
export function color(format: Parameters<typeof styleText>[0], text: string): string {
  return styleText(format, text, { stream: process.stdout });
}

/**
 * Prints a table. On a terminal it fits the width: see `tableLines`. `spare` contains the titles of columns that are omitted on a narrow terminal,
 * the least important first.
 */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[], spare: readonly string[] = []): void {
  console.log(table(head, rows, spare).join("\n"));
}

/** A table as lines of text. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], spare: readonly string[] = []): string[] {
  return tableLines(head, rows, { columns: terminalWidth(), spare, style: (title) => color("bold", title) });
}

/** The width of the terminal that the output goes to; undefined for a file or a pipe. */
function terminalWidth(): number | undefined {
  // A terminal of unknown width reports 0.
  return process.stdout.isTTY ? process.stdout.columns || 80 : undefined;
}

/**
 * Runs `work` for each job in turn and prints one line per job. Stops at the first failure; earlier results have been printed by then.
 */
export async function forEachJob(
  ids: readonly string[],
  json: boolean | undefined,
  work: (id: string) => Promise<{ done: object; text: string }>,
): Promise<void> {
  const all: object[] = [];
  try {
    for (const id of ids) {
      const { done, text } = await work(id);
      all.push({ id, ...done });
      if (json !== true) console.log(`Job ${id}: ${text}.`);
    }
  } finally {
    if (json === true) printJson(all);
  }
}

/** Prints how many jobs were or would be changed, with the first ten ids. */
export function printIds(
  ids: readonly string[],
  { done, preview, json, none }: { done: string; preview: boolean; json: boolean | undefined; none: string },
): void {
  if (json === true) printJson(ids);
  else if (ids.length === 0) console.log(none);
  else {
    const shown = `${ids.slice(0, 10).join(", ")}${ids.length > 10 ? ", …" : ""}`;
    console.log(`${counted(ids.length, "job")} ${preview ? "would be " : ""}${done}: ${shown}`);
  }
}

/** A text whose lines after the first are indented, so that a user's text with line feeds cannot look like other output. */
export function indented(text: string, columns: number): string {
  return text.replaceAll("\n", `\n${" ".repeat(columns)}`);
}

/** Prints the outcome of a change: as JSON or as a sentence. */
export function printDone(json: boolean | undefined, value: unknown, text: string): void {
  if (json === true) printJson(value);
  else console.log(text);
}

export function printJson(value: unknown): void {
  console.log(jsonText(value, 2));
}

/** "12 s ago", "in 3 min". The exact times are in --json. */
export function relativeTime(time: Date | null, now: number = Date.now()): string {
  if (time === null) return "";
  if (time instanceof UnboundedTime) return describeUnbounded(time);
  const seconds = Math.round((time.getTime() - now) / 1_000);
  const size = describeSeconds(Math.abs(seconds));
  return seconds > 0 ? `in ${size}` : `${size} ago`;
}

/** "never", "always" or "in the year 290000". */
function describeUnbounded(time: UnboundedTime): string {
  const text = time.toISOString();
  if (text.includes("infinity")) return text.startsWith("-") ? "always" : "never";
  return `in the year ${text.split("-")[0]}`;
}

/** The time between two times: "4 ms", "1.5 s", "3 min". Empty if either is null. */
export function elapsed(from: Date | null, to: Date | null): string {
  if (from === null || to === null) return "";
  const milliseconds = to.getTime() - from.getTime();
  if (Number.isNaN(milliseconds)) return "";
  if (milliseconds < 1_000) return `${milliseconds} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1_000).toFixed(1)} s`;
  return describeSeconds(Math.round(milliseconds / 1_000));
}

function describeSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

export function shorten(text: string, length: number): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length <= length ? line : `${line.slice(0, length - 1)}…`;
}
