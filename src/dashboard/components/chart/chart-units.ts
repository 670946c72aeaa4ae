import { formatCount, formatShort } from "../numbers.ts";
import { formatDuration } from "../time/format-times.ts";

/** The unit of a value: a whole number, or seconds. */
export type ChartUnit = "count" | "duration";

/** The short form of a value, for axis labels. */
export function formatTick(value: number, unit: ChartUnit): string {
  return unit === "duration" ? formatDuration(value) : formatShort(value);
}

/** The full form of a value: counts with all digits. */
export function formatValue(value: number | null | undefined, unit: ChartUnit): string {
  if (value === null || value === undefined) return "–";
  return unit === "duration" ? formatDuration(value) : formatCount(value);
}

/** The possible distances between the grid lines of a count: whole numbers only. */
export const COUNT_STEPS: readonly number[] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000].flatMap(
  (ten) => [ten, 2 * ten, 5 * ten],
);

/** The grid lines of a logarithmic axis of durations (seconds): powers of ten in each common unit of time. */
const DURATION_LINES = [0.001, 0.01, 0.1, 1, 10, 60, 600, 3_600, 36_000, 86_400, 864_000, 8_640_000];

/** The smallest duration that a logarithmic axis shows (seconds); shorter durations are drawn at this position. */
export const SHORTEST = 0.001;

/** The range of a logarithmic axis for these durations, extended to the next grid lines; 0.1 s to 10 s if there are no durations. */
export function logRange(columns: readonly ArrayLike<number | null | undefined>[]): [number, number] {
  let low = Infinity;
  let high = 0;
  for (const column of columns) {
    for (const value of Array.from(column)) {
      if (value === null || value === undefined) continue;
      low = Math.min(low, Math.max(SHORTEST, value));
      high = Math.max(high, value);
    }
  }
  if (high === 0 && low === Infinity) return [0.1, 10];
  const from = DURATION_LINES.findLast((line) => line <= low) ?? SHORTEST;
  const to = DURATION_LINES.find((line) => line > from && line >= high) ?? high;
  return [from, to];
}

/** The grid lines within a range of durations. */
export function logLines(from: number, to: number): number[] {
  return DURATION_LINES.filter((line) => line >= from && line <= to);
}
