import { type Duration, durationOutOfRange, parseDuration, toInterval } from "../duration.ts";
import { LegworkError } from "../errors.ts";

const CALENDAR: Record<string, string> = { d: "days", w: "weeks", mo: "months", y: "years" };

/**
 * A span of time as Postgres reads an interval. Days, weeks, months and years stay what they are, because a day of the calendar is not always 24
 * hours long; "24h" is. What is no duration of ours is left to Postgres ("1 month 2 days"), which refuses it or not.
 */
export function spanOf(name: string, value: Duration | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string") {
    const [, number, unit = ""] = /^\s*(\d{1,6})\s*(d|w|mo|y|days?|weeks?|months?|years?)\s*$/i.exec(value) ?? [];
    const calendar = CALENDAR[unit.toLowerCase().startsWith("mo") ? "mo" : unit.toLowerCase().slice(0, 1)];
    if (number !== undefined && calendar !== undefined) return `${number} ${calendar}`;
  }
  const milliseconds = parseDuration(value);
  if (milliseconds !== undefined) return toInterval(milliseconds);
  // Postgres says whether it is within bounds, and one of ours that is not says so here.
  if (typeof value === "string" && value.length <= 100 && /\d/.test(value) && !/^-?[\d.]+\s*[a-z]{1,2}$/i.test(value))
    return value;
  throw new LegworkError("LW400", durationOutOfRange(name, value), {
    hint: "Durations are such as 30s, 5m, 2h, 1d, 1 month, or a number of milliseconds.",
  });
}
