import ms from "ms";

/** A duration: "250ms", "30s", "5m", "1h", "2d", or a number of milliseconds. A day is 24 hours, a year 365.25 days. */
export type Duration = number | string;

/** The longest accepted duration: 100 years (ms), as in `legwork_private.assert_interval`. Longer ones are assumed to be mistakes. */
const MAX_DURATION_MS = 100 * 365.25 * 86_400_000;

/** The first and last accepted time (ms since 1970): 1970 to the end of the year 9999, as in `legwork_private.assert_time`. */
const FIRST_TIME_MS = 0;
const LAST_TIME_MS = 253_402_300_799_999;

/** Whether a time is between 1970 and the end of the year 9999. */
export function isTime(time: Date): boolean {
  return time.getTime() >= FIRST_TIME_MS && time.getTime() <= LAST_TIME_MS;
}

/** The message for a time outside that range. */
export function timeOutOfRange(name: string, time: Date): string {
  return `${name} is ${Number.isNaN(time.getTime()) ? "an invalid Date" : time.toISOString()}; it must be between 1970-01-01 and 9999-12-31.`;
}

/**
 * Converts a duration to milliseconds. Undefined for anything that is not a duration, is negative, or is longer than 100 years. "1d" is 24 hours; only
 * schedules count calendar days, which may have 23 or 25 hours.
 *
 * @example
 * import { parseDuration } from "legwork";
 *
 * parseDuration("1h"); // 3600000
 * parseDuration(250); // 250
 * parseDuration("soon"); // undefined
 */
export function parseDuration(value: unknown): number | undefined {
  let milliseconds: unknown = value;
  if (typeof value === "string") milliseconds = value === "" || value.length > 100 ? undefined : ms(value as ms.StringValue);
  return typeof milliseconds === "number" && milliseconds >= 0 && milliseconds <= MAX_DURATION_MS ? milliseconds : undefined;
}

/** Converts milliseconds to a Postgres interval, with microseconds and without exponents. */
export function millisecondsToInterval(milliseconds: number): string {
  return `${Number(milliseconds.toFixed(3))} milliseconds`;
}

/** The message for a value that is not a duration between `low` (ms) and 100 years. */
export function durationOutOfRange(name: string, value: unknown, low = 0): string {
  const isShort = value === undefined || value === null || typeof value === "number";
  const shown = typeof value === "string" ? `'${value.slice(0, 100)}'` : isShort ? String(value) : `of type ${typeof value}`;
  const shortest = low === 0 ? "0" : low < 1_000 ? `${low} ms` : ms(low, { long: true });
  return `${name} is ${shown}; it must be a duration between ${shortest} and 100 years.`;
}

/** The message for a value in a definition or a configuration; the caller puts its name and location in front. */
export function durationExpected(value: unknown): string {
  return `${durationOutOfRange("it", value).replace(/\.$/, "")}, such as 500ms, 30s, 5m or 2h`;
}
