import { type Duration, durationOutOfRange, isTime, millisecondsToInterval, parseDuration, timeOutOfRange } from "./duration.ts";
import { LegworkError } from "./errors.ts";
import { isId } from "./id.ts";

/** The range of priorities; smaller runs first. */
export const PRIORITIES = [-32_768, 32_767] as const;

/** The range of a job's number of attempts. */
export const ATTEMPTS = [1, 32_767] as const;

/** Whole numbers from 1 to the largest value of Postgres's integer type. */
export const COUNTS = [1, 2_147_483_647] as const;

/**
 * Converts a time for Postgres; undefined if none is given. Throws LW400, with the name, the value and the range, for a time that is not
 * between 1970 and the end of the year 9999.
 */
export function toTimestamp(name: string, value: Date | undefined): string | undefined {
  if (value === undefined) return undefined;
  // Untyped callers may pass text.
  const time = new Date(value);
  if (isTime(time)) return time.toISOString();
  throw new LegworkError("LW400", timeOutOfRange(name, time));
}

/** Checks that a value is undefined or a whole number within a range. Otherwise throws LW400 with the name, the value and the range. */
export function assertInteger(
  name: string,
  value: number | undefined,
  [low, high]: readonly [number, number],
  hint?: string,
): void {
  if (value === undefined || (Number.isInteger(value) && value >= low && value <= high)) return;
  throw new LegworkError(
    "LW400",
    `${name} is ${String(value)}; it must be a whole number between ${low} and ${high}.`,
    hint === undefined ? {} : { hint },
  );
}

/**
 * Converts a duration to milliseconds. Throws LW400, with the name, the value and the range, for anything that is not a duration between `low` (ms, 0
 * by default) and 100 years.
 */
function toMilliseconds(name: string, value: Duration, low = 0): number {
  const milliseconds = parseDuration(value);
  if (milliseconds !== undefined && milliseconds >= low) return milliseconds;
  throw new LegworkError("LW400", durationOutOfRange(name, value, low), {
    hint: "Write a duration such as 500ms, 30s, 5m, 2h or 7d, or a number of milliseconds.",
  });
}

/** Converts a duration to a Postgres interval; undefined if none is given. "1d" is 24 hours: for calendar days, see `calendarSpan`. */
export function durationToInterval(name: string, value: Duration | undefined, low = 0): string | undefined {
  return value === undefined ? undefined : millisecondsToInterval(toMilliseconds(name, value, low));
}

/** Returns a valid id unchanged. Throws LW400 for anything else. */
export function assertId(what: "batch" | "bulk action" | "job" | "workflow", id: string): string {
  if (!isId(id)) throw new LegworkError("LW400", `'${id}' is not a ${what} id.`, { hint: "Ids are whole numbers below 2^63." });
  return id;
}

/** The maximum number of jobs whose payloads one search reads. */
export const MAX_LOOKED_AT = 10_000;
