import { type Duration, durationOutOfRange, parseDuration, millisecondsToInterval } from "../duration.ts";
import { LegworkError } from "../errors.ts";

const CALENDAR: Record<string, string> = { d: "days", w: "weeks", mo: "months", y: "years" };

/**
 * A span of the calendar as Postgres reads an interval, for schedules. Days, weeks, months and years stay what they are, because a day of the calendar
 * may have 23 or 25 hours; "24h" is always 24. (`durationToInterval` takes "1d" as 24 hours.) Other texts that are not a duration, such as
 * "1 month 2 days", are left for Postgres to read.
 */
export function calendarSpan(name: string, value: Duration | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string") {
    const [, number, unit = ""] = /^\s*(\d{1,6})\s*(d|w|mo|y|days?|weeks?|months?|years?)\s*$/i.exec(value) ?? [];
    const calendar = CALENDAR[unit.toLowerCase().startsWith("mo") ? "mo" : unit.toLowerCase().slice(0, 1)];
    if (number !== undefined && calendar !== undefined) return `${number} ${calendar}`;
  }
  const milliseconds = parseDuration(value);
  if (milliseconds !== undefined) return millisecondsToInterval(milliseconds);
  // Postgres says whether it is within bounds, and one of ours that is not says so here.
  if (typeof value === "string" && value.length <= 100 && /\d/.test(value) && !/^-?[\d.]+\s*[a-z]{1,2}$/i.test(value))
    return value;
  throw new LegworkError("LW400", durationOutOfRange(name, value), {
    hint: "Durations are such as 30s, 5m, 2h, 1d, 1 month, or a number of milliseconds.",
  });
}
