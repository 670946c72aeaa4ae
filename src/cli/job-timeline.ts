import type { TimelineEntry } from "../contract/timeline.ts";
import { color, elapsed } from "./output.ts";

const COLORS: Partial<Record<string, Parameters<typeof color>[0]>> = {
  completed: "green",
  failed: "red",
  running: "blue",
  timed_out: "yellow",
};

/** Kinds that happen within an attempt. */
const WITHIN = new Set(["step", "child"]);

/** A job's timeline as lines of text: when each part began, how long it took, and what it was. */
export function timelineLines(entries: readonly TimelineEntry[], now: Date): string[] {
  const start = entries[0]?.startedAt;
  if (start === undefined) return [];
  const rows = entries.map((entry) => {
    const isEvent = entry.endedAt !== null && entry.endedAt.getTime() === entry.startedAt.getTime();
    const took = isEvent ? "" : `${elapsed(entry.startedAt, entry.endedAt ?? now)}${entry.endedAt === null ? " so far" : ""}`;
    return { at: `+${elapsed(start, entry.startedAt) || "0 ms"}`, took, text: describe(entry) };
  });
  const widest = (values: readonly string[]): number => Math.max(...values.map(({ length }) => length));
  const [atWidth, tookWidth] = [widest(rows.map(({ at }) => at)), widest(rows.map(({ took }) => took))];
  return rows.map(({ at, took, text }) => `${at.padEnd(atWidth)}  ${took.padStart(tookWidth)}  ${text}`);
}

function describe({ kind, label, state, detail, actor, endedAt, expectedAt }: TimelineEntry): string {
  const shown = state === null || state === "waiting" ? "" : color(COLORS[state] ?? "yellow", state.replace("_", " "));
  const parts = [
    `${WITHIN.has(kind) ? "  " : ""}${label}`,
    shown,
    actor === null ? "" : `${kind === "attempt" ? "on" : "by"} ${actor}`,
    endedAt === null && expectedAt !== null ? `until ${expectedAt.toISOString()}` : "",
    detail ?? "",
  ];
  return parts.filter((part) => part !== "").join("  ");
}
