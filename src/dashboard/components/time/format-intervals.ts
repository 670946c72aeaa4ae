import { formatDuration } from "./format-times.ts";

const UNITS: Readonly<Record<string, number>> = { year: 31_557_600, mon: 2_629_800, day: 86_400 };

/** The length of an interval in Postgres's format (`1 day 02:00:00.5`) in seconds; undefined for any other text. */
function intervalSeconds(interval: string): number | undefined {
  let seconds = 0;
  let rest = interval.trim();
  for (const [all, count, unit = ""] of rest.matchAll(/(-?\d+) (year|mon|day)s?\s*/g)) {
    seconds += Number(count) * (UNITS[unit] ?? 0);
    rest = rest.replace(all, "");
  }
  if (rest === "") return interval === "" ? undefined : seconds;
  const [, sign, hours, minutes, whole] = /^(-?)(\d+):(\d\d):(\d\d(?:\.\d+)?)$/.exec(rest) ?? [];
  if (whole === undefined) return undefined;
  const time = Number(hours) * 3_600 + Number(minutes) * 60 + Number(whole);
  return seconds + (sign === "-" ? -time : time);
}

/** An interval in words: 1 min, 2 h 30 min, 1 month 2 days. Days and months are not converted, because schedules treat them as calendar units. */
export function formatInterval(interval: string | null | undefined): string {
  if (interval === null || interval === undefined) return "–";
  const [, calendar = "", time = ""] = /^((?:-?\d+ (?:year|mon|day)s?\s*)*)(.*)$/.exec(interval) ?? [];
  const seconds = time === "" ? 0 : intervalSeconds(time);
  if (seconds === undefined) return interval;
  const clock = seconds === 0 && calendar !== "" ? "" : formatDuration(seconds).replace(".0 s", " s");
  return `${calendar.trim().replace(/mon(s?)/, "month$1")} ${clock}`.trim();
}

/** An interval in the format of form fields: 500ms, 30s, 5m, 2h. Intervals with months stay in Postgres's format. */
export function toDurationText(interval: string | null | undefined): string {
  if (interval === null || interval === undefined) return "";
  const seconds = intervalSeconds(interval);
  if (seconds === undefined || /(year|mon)/.test(interval)) return interval;
  if (/day/.test(interval)) return seconds % 86_400 === 0 ? `${seconds / 86_400}d` : interval;
  if (seconds % 3_600 === 0 && seconds > 0) return `${seconds / 3_600}h`;
  if (seconds % 60 === 0 && seconds > 0) return `${seconds / 60}m`;
  return Number.isInteger(seconds) ? `${seconds}s` : `${Math.round(seconds * 1_000)}ms`;
}
