import { type Duration, durationOutOfRange, isTime, millisecondsToInterval, parseDuration, timeOutOfRange } from "./duration.ts";
import { LegworkError } from "./errors.ts";
import { isId } from "./id.ts";

/** Priorities that a job can have; smaller runs first. */
export const PRIORITIES = [-32_768, 32_767] as const;

/** How many attempts a job can be given. */
export const ATTEMPTS = [1, 32_767] as const;

/** Whole numbers from 1 to the largest of Postgres's integer. */
export const COUNTS = [1, 2_147_483_647] as const;

/**
 * A time as Postgres reads it; undefined when none is given. Throws LW400, with the name, the value and the range, for one that does not lie
 * between 1970 and the end of the year 9999.
 */
export function toTimestamp(name: string, value: Date | undefined): string | undefined {
  if (value === undefined) return undefined;
  // Callers without types may give a text.
  const time = new Date(value);
  if (isTime(time)) return time.toISOString();
  throw new LegworkError("LW400", timeOutOfRange(name, time));
}

/** Does nothing for a whole number between two ends, or undefined. Throws LW400, with the name, the value and the range, for any other. */
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
 * A duration in milliseconds. Throws LW400, with the name, the value and the range, for what is no duration between 0, or `low` (ms), and
 * 100 years.
 */
function toMilliseconds(name: string, value: Duration, low = 0): number {
  const milliseconds = parseDuration(value);
  if (milliseconds !== undefined && milliseconds >= low) return milliseconds;
  throw new LegworkError("LW400", durationOutOfRange(name, value, low), {
    hint: "Durations are such as 500ms, 30s, 5m, 2h or 7d, or a number of milliseconds.",
  });
}

/** A duration as Postgres reads an interval; undefined when none is given. "1d" is 24 hours: for days of the calendar, see `calendarSpan`. */
export function durationToInterval(name: string, value: Duration | undefined, low = 0): string | undefined {
  return value === undefined ? undefined : millisecondsToInterval(toMilliseconds(name, value, low));
}

/** The id, if it is one. Throws LW400. */
export function assertId(what: "batch" | "job" | "workflow", id: string): string {
  if (!isId(id)) throw new LegworkError("LW400", `'${id}' is not a ${what} id.`, { hint: "Ids are whole numbers below 2^63." });
  return id;
}

/** Jobs that one search for a payload looks at, at most. */
export const MAX_LOOKED_AT = 10_000;
