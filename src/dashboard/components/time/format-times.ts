import { ownZone, zoneNameAt } from "./zones.ts";

/** The time zone in which times are shown: the browser's, or UTC. */
export type Zone = "local" | "utc";

/** Whether the value is an actual time: Postgres returns "infinity" if there is no end. */
export function isFinite(at: string | null | undefined): at is string {
  return at !== null && at !== undefined && !at.includes("infinity");
}

/** A duration in its two largest units: 3.2 s, 4 min 10 s, 2 h 5 min, 3 d 4 h. The units are abbreviated, for tables and figures. */
export function formatDuration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  const size = Math.abs(seconds);
  if (size < 0.001) return size === 0 ? "0 s" : "< 1 ms";
  if (size < 1) return `${Math.round(size * 1_000)} ms`;
  if (size < 10) return `${size.toFixed(1)} s`;
  if (size < 60) return `${Math.round(size)} s`;
  if (size < 3_600) return two(Math.floor(size / 60), "min", Math.floor(size % 60), "s");
  if (size < 86_400) return two(Math.floor(size / 3_600), "h", Math.floor((size % 3_600) / 60), "min");
  return two(Math.floor(size / 86_400), "d", Math.floor((size % 86_400) / 3_600), "h");
}

function two(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** A time relative to now: in 5 min, 3 h ago, in 1 d 16 h. It is coarse, so that the text rarely changes. */
export function formatRelative(at: string, now: number): string {
  const seconds = (Date.parse(at) - now) / 1_000;
  const size = Math.abs(seconds);
  // The clock is rounded down, so a time within the next second may already have passed.
  if (size < 2) return seconds > 1 ? "now" : "just now";
  const words =
    size < 60
      ? `${Math.floor(size)} s`
      : size < 3_600
        ? `${Math.floor(size / 60)} min`
        : size < 86_400
          ? `${Math.floor(size / 3_600)} h`
          : size < 604_800
            ? formatDuration(size)
            : `${Math.floor(size / 86_400)} d`;
  return seconds > 0 ? `in ${words}` : `${words} ago`;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string, withSeconds: boolean): Intl.DateTimeFormat {
  const key = `${zone} ${withSeconds}`;
  let found = formats.get(key);
  if (found === undefined) {
    found = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone,
      weekday: "short",
      day: "numeric",
      month: "short",
      year: "numeric",
      hour: "2-digit",
      minute: "2-digit",
      ...(withSeconds ? { second: "2-digit" } : {}),
    });
    formats.set(key, found);
  }
  return found;
}

/** The exact time with its time zone: the browser's, UTC, or any IANA zone. */
export function formatExact(
  at: string | number | Date,
  zone: Zone | { name: string },
  options: { seconds?: boolean } = {},
): string {
  const name = zone === "local" ? ownZone() : zone === "utc" ? "UTC" : zone.name;
  const date = new Date(at);
  return `${format(name, options.seconds ?? true).format(date)} ${zoneNameAt(date.getTime(), name)}`;
}

/** The time of day: 22:58. */
export function formatTimeOfDay(at: number, zone: Zone): string {
  return new Intl.DateTimeFormat("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    ...(zone === "utc" ? { timeZone: "UTC" } : {}),
  }).format(at);
}

/** The number of seconds between two times. */
export function secondsBetween(from: string, to: string | number): number {
  return ((typeof to === "number" ? to : Date.parse(to)) - Date.parse(from)) / 1_000;
}
