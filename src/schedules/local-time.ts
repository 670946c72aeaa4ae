import { LegworkError } from "../errors.ts";

/** A local time in some time zone. */
export interface LocalTime {
  year: number;
  /** 1 to 12. */
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** Returns the local time in a time zone at an instant. Throws a RangeError for a time zone that Node does not support. */
export function localTime(instant: number, timezone: string): LocalTime {
  const parts = Object.fromEntries(
    formatOf(timezone)
      .formatToParts(instant)
      .map(({ type, value }) => [type, Number(value)]),
  );
  return {
    year: parts.year ?? 0,
    month: parts.month ?? 0,
    day: parts.day ?? 0,
    hour: parts.hour ?? 0,
    minute: parts.minute ?? 0,
    second: parts.second ?? 0,
  };
}

/**
 * The IANA time zones without a slash in their names. Node also accepts abbreviations and offsets, which `legwork_private.assert_timezone` rejects.
 */
const PLAIN_NAMES = new Set(
  (
    "UTC GMT GMT0 GMT+0 GMT-0 Greenwich Universal Cuba Egypt Eire GB GB-Eire Hongkong Iceland Iran Israel Jamaica Japan Kwajalein Libya NZ NZ-CHAT " +
    "Navajo PRC Poland Portugal ROC ROK Singapore Turkey W-SU CST6CDT EST5EDT MST7MDT PST8PDT"
  )
    .toLowerCase()
    .split(" "),
);

/** Checks that a time zone is an IANA time zone that Node supports. Throws LW400 otherwise. */
export function assertTimezone(timezone: string): void {
  try {
    if (!timezone.includes("/") && !PLAIN_NAMES.has(timezone.toLowerCase())) throw new RangeError("Unknown time zone.");
    formatOf(timezone);
  } catch {
    throw new LegworkError("LW400", `There is no time zone named '${timezone}'.`, {
      hint: "Use a name from the IANA time zone database, such as Europe/Berlin.",
    });
  }
}

/** Returns how far a time zone is ahead of UTC at an instant (ms). */
export function offsetAt(instant: number, timezone: string): number {
  const { year, month, day, hour, minute, second } = localTime(instant, timezone);
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(instant / 1_000) * 1_000;
}

/** Formats a local time for display, such as `2026-03-29 03:00:00`; a time outside the range of `Date` is shown in Postgres's format. */
export function formatLocal(instant: Date, timezone: string): string {
  if (Number.isNaN(instant.getTime())) return instant.toISOString();
  const { year, month, day, hour, minute, second } = localTime(instant.getTime(), timezone);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${year}-${two(month)}-${two(day)} ${two(hour)}:${two(minute)}:${two(second)}`;
}

function formatOf(timezone: string): Intl.DateTimeFormat {
  let format = formats.get(timezone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: timezone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formats.set(timezone, format);
  }
  return format;
}
