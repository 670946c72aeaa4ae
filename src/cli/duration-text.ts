import { parseDuration } from "../duration.ts";
import { durationInWords } from "../wording.ts";

const UNITS_MS = [86_400_000, 3_600_000, 60_000, 1_000];

/**
 * Converts a duration as typed (`90m`) or an interval as Postgres writes it (`01:30:00`) to words: `1 hour 30 minutes`. Returns the text unchanged if
 * two adjacent units cannot express it exactly.
 */
export function durationText(duration: string): string {
  const milliseconds = intervalMilliseconds(duration) ?? parseDuration(duration);
  // A year is 365.25 days, so years are left as written.
  if (milliseconds === undefined || /\d ?y/i.test(duration)) return duration.replace(/\bmon(s?)\b/, "month$1");
  let rest = milliseconds;
  const units = UNITS_MS.filter((unit) => {
    const count = Math.floor(rest / unit);
    rest -= count * unit;
    return count > 0;
  });
  const areAdjacent = units.length < 2 || UNITS_MS.indexOf(units[1] ?? 0) === UNITS_MS.indexOf(units[0] ?? 0) + 1;
  const isExact = units.length <= 2 && areAdjacent && (rest === 0 || (units.length === 0 && Number.isInteger(rest)));
  return isExact ? durationInWords(milliseconds) : duration;
}

/** The period of a limit, to follow "per": `minute`, `10 minutes`. */
export function periodText(duration: string): string {
  return durationText(duration).replace(/^1 (\w+)$/, "$1");
}

function intervalMilliseconds(interval: string): number | undefined {
  const [all, days = "0", hours = "0", minutes = "0", seconds = "0"] =
    /^(?:(\d+) days?)? ?(?:(\d+):(\d\d):(\d\d(?:\.\d+)?))?$/.exec(interval) ?? [];
  if (all === undefined || all.trim() === "") return undefined;
  return Math.round(1_000 * (Number(days) * 86_400 + Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)));
}
