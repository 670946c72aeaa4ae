/** In which zone times are shown: the viewer's own, or UTC. */
export type Zone = "local" | "utc";

/** What Postgres writes for times without end. */
export function isFinite(at: string | null | undefined): at is string {
  return at !== null && at !== undefined && !at.includes("infinity");
}

/** How long, in the two largest units that matter: 3.2 s, 4 min 10 s, 2 h 5 min, 3 d 4 h. Of seconds. */
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

/** In words from now: in 5 min, 3 h ago. Coarse, so that it does not jump. */
export function formatRelative(at: string, now: number): string {
  const seconds = (Date.parse(at) - now) / 1_000;
  const size = Math.abs(seconds);
  if (size < 2) return "now";
  const [count, unit] =
    size < 60
      ? [Math.floor(size), "s"]
      : size < 3_600
        ? [Math.floor(size / 60), "min"]
        : size < 172_800
          ? [Math.floor(size / 3_600), "h"]
          : [Math.floor(size / 86_400), "d"];
  return seconds > 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string | undefined, withSeconds: boolean): Intl.DateTimeFormat {
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
      timeZoneName: "short",
    });
    formats.set(key, found);
  }
  return found;
}

/** The exact time, with its zone: in the viewer's zone, UTC, or any IANA one. */
export function formatExact(
  at: string | number | Date,
  zone: Zone | { name: string },
  options: { seconds?: boolean } = {},
): string {
  const name = zone === "local" ? undefined : zone === "utc" ? "UTC" : zone.name;
  return format(name, options.seconds ?? true).format(new Date(at));
}

/** Seconds between two times. */
export function secondsBetween(from: string, to: string | number): number {
  return ((typeof to === "number" ? to : Date.parse(to)) - Date.parse(from)) / 1_000;
}
