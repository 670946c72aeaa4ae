const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  let found = formats.get(zone);
  if (found === undefined) {
    found = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    formats.set(zone, found);
  }
  return found;
}

/** The wall-clock time in a time zone, represented as if it were UTC (ms), so that it can be used in calculations. */
export function wallAt(instant: number, zone: string): number {
  const part = Object.fromEntries(
    formatOf(zone)
      .formatToParts(instant)
      .map(({ type, value }) => [type, Number(value)]),
  );
  return Date.UTC(part.year ?? 0, (part.month ?? 1) - 1, part.day, part.hour, part.minute, part.second);
}

/** The offset of a time zone from UTC at an instant (ms); positive east of Greenwich. */
function offsetAt(instant: number, zone: string): number {
  return wallAt(instant, zone) - Math.floor(instant / 1_000) * 1_000;
}

/** The instant of a wall-clock time: the first one if the time occurs twice, or the end of the gap if it does not exist. */
export function instantOf(wall: number, zone: string): number {
  const early = wall - offsetAt(wall - 86_400_000, zone);
  const late = wall - offsetAt(wall + 86_400_000, zone);
  if (wallAt(early, zone) === wall) return early;
  if (wallAt(late, zone) === wall) return late;
  // The time is in a gap, which ends at the moment when the clocks go forward.
  const change = clockChanges(Math.min(early, late) - 86_400_000, Math.max(early, late) + 86_400_000, zone)[0];
  return change === undefined ? early : change.at;
}

/** A moment at which the clocks of a time zone go forward or back. */
export interface ClockChange {
  at: number;
  /** The wall-clock times just before and after the change, as returned by `wallAt`. */
  from: number;
  to: number;
}

/** The clock changes of a time zone between two instants, accurate to the minute. */
export function clockChanges(after: number, upto: number, zone: string): ClockChange[] {
  const changes: ClockChange[] = [];
  const step = 86_400_000;
  for (let start = after; start < upto; start += step) {
    let [low, high] = [start, Math.min(start + step, upto)];
    const before = offsetAt(low, zone);
    if (offsetAt(high, zone) === before) continue;
    while (high - low > 60_000) {
      const middle = Math.floor((low + high) / 120_000) * 60_000;
      if (middle <= low) break;
      if (offsetAt(middle, zone) === before) low = middle;
      else high = middle;
    }
    const at = Math.floor(high / 60_000) * 60_000;
    changes.push({ at, from: at + before, to: at + offsetAt(at, zone) });
  }
  return changes;
}

/** The time of day of a wall-clock time: hh:mm, with seconds unless they are zero. */
export function formatClock(wall: number): string {
  const text = new Date(wall).toISOString().slice(11, 19);
  return text.endsWith(":00") ? text.slice(0, 5) : text;
}

/** The date of a wall-clock time: Sun, 29 Mar 2026. */
export function formatDay(wall: number): string {
  return new Intl.DateTimeFormat("en-GB", {
    timeZone: "UTC",
    weekday: "short",
    day: "numeric",
    month: "short",
    year: "numeric",
  }).format(wall);
}

/** Each English locale abbreviates the time zones of its own region and writes an offset for the others. */
const LOCALES = ["en-GB", "en-US", "en-AU", "en-NZ", "en-IN", "en-ZA"];
const names = new Map<string, Intl.DateTimeFormat>();

function zoneNameIn(locale: string, instant: number, zone: string): string | undefined {
  const key = `${locale} ${zone}`;
  let format = names.get(key);
  if (format === undefined) {
    format = new Intl.DateTimeFormat(locale, { timeZone: zone, timeZoneName: "short" });
    names.set(key, format);
  }
  return format.formatToParts(instant).find(({ type }) => type === "timeZoneName")?.value;
}

/** The abbreviation of a time zone at an instant (CEST, EST), or its offset if it has none (GMT+7). */
export function zoneNameAt(instant: number, zone: string): string {
  let offset: string | undefined;
  for (const locale of LOCALES) {
    const name = zoneNameIn(locale, instant, zone);
    if (name !== undefined && !/[+-]/.test(name)) return name;
    offset ??= name;
  }
  return offset ?? zone;
}

/** The time zone of this browser. */
export function ownZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}
