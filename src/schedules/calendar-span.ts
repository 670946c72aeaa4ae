import { type Duration, durationOutOfRange, parseDuration, millisecondsToInterval } from "../duration.ts";
import { LegworkError } from "../errors.ts";

const CALENDAR: Record<string, string> = { d: "days", w: "weeks", mo: "months", y: "years" };

/**
 * Converts a calendar span to a Postgres interval, for schedules. Days, weeks, months and years keep their unit, because a calendar day
 * may have 23 or 25 hours; "24h" is always 24 hours. (`durationToInterval` reads "1d" as 24 hours.) Other text that is not a duration, such as
 * "1 month 2 days", is left for Postgres to parse.
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
  // Postgres checks the range of intervals in its own notation; durations in Legwork's notation are checked here.
  if (typeof value === "string" && value.length <= 100 && /\d/.test(value) && !/^-?[\d.]+\s*[a-z]{1,2}$/i.test(value))
    return value;
  throw new LegworkError("LW400", durationOutOfRange(name, value), {
    hint: "Write a duration such as 30s, 5m, 2h, 1d or 1 month, or a number of milliseconds.",
  });
}
