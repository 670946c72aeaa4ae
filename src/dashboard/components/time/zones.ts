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

/** What the clocks of a zone show, as if it were UTC (ms): a wall clock's reading to count and compare with. */
export function wallAt(instant: number, zone: string): number {
  const part = Object.fromEntries(
    formatOf(zone)
      .formatToParts(instant)
      .map(({ type, value }) => [type, Number(value)]),
  );
  return Date.UTC(part.year ?? 0, (part.month ?? 1) - 1, part.day, part.hour, part.minute, part.second);
}

/** How far a zone is ahead of UTC (ms). */
function offsetAt(instant: number, zone: string): number {
  return wallAt(instant, zone) - Math.floor(instant / 1_000) * 1_000;
}

/** The instant at which a zone's clocks show that; of one that comes twice the first, of one that does not exist the moment after the gap. */
export function instantOf(wall: number, zone: string): number {
  const early = wall - offsetAt(wall - 86_400_000, zone);
  const late = wall - offsetAt(wall + 86_400_000, zone);
  if (wallAt(early, zone) === wall) return early;
  if (wallAt(late, zone) === wall) return late;
  // In a gap, which ends where the clocks were put forward.
  const change = clockChanges(Math.min(early, late) - 86_400_000, Math.max(early, late) + 86_400_000, zone)[0];
  return change === undefined ? early : change.at;
}

/** A moment at which the clocks of a zone are put forward or back. */
export interface ClockChange {
  at: number;
  /** What they show before and after it, as `wallAt` counts. */
  from: number;
  to: number;
}

/** The changes of a zone's clocks between two instants, to the minute. */
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

/** hh:mm of a wall clock's reading, with seconds where there are any. */
export function formatClock(wall: number): string {
  const text = new Date(wall).toISOString().slice(11, 19);
  return text.endsWith(":00") ? text.slice(0, 5) : text;
}

/** Sun, 29 Mar 2026: the day of a wall clock's reading. */
export function formatDay(wall: number): string {
  return new Intl.DateTimeFormat("en-GB", {
    timeZone: "UTC",
    weekday: "short",
    day: "numeric",
    month: "short",
    year: "numeric",
  }).format(wall);
}

/** The name of a zone at an instant: CEST, GMT+2. */
export function zoneNameAt(instant: number, zone: string): string {
  const parts = new Intl.DateTimeFormat("en-GB", { timeZone: zone, timeZoneName: "short" }).formatToParts(instant);
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? zone;
}

/** The zone of this browser. */
export function ownZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}
