import { useQuery } from "@tanstack/react-query";
import { Clock } from "lucide-react";
import { rest } from "../../api/request.ts";
import { useNow } from "../../components/time/clock.ts";
import { type ClockChange, clockChanges, formatClock, formatDay, wallAt, zoneNameAt } from "../../components/time/zones.ts";
import type { Preview, Timing } from "../../api/schedules.ts";
import { words } from "./words.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** How far ahead to look for clock changes (ms): far enough to include both changes of a year. */
const AHEAD_MS = 400 * DAY_MS;

/** Up to this number, times are listed; if there are more, only their number is shown. */
const MAX_NAMED = 3;

/**
 * The effect of the next clock changes on a cron expression: times that do not exist on that day, and times that occur twice. It compares the
 * server's runs around the change with those in UTC, which has no clock changes. Renders nothing for time zones without clock changes.
 */
export function ClockChanges({ timing }: { timing: Timing }) {
  const today = useNow(HOUR_MS);
  const { cron, timezone } = timing;
  const changes = cron === undefined ? [] : clockChanges(today, today + AHEAD_MS, timezone).slice(0, 2);
  const query = useQuery({
    queryKey: ["clock-changes", cron, timezone, changes.map(({ at }) => at)],
    queryFn: ({ signal }) => Promise.all(changes.map((change) => look(cron ?? "", timezone, change, signal))),
    enabled: changes.length > 0,
    staleTime: Infinity,
    retry: false,
  });
  if (query.isError) return <p className="muted">{words.clockChangesUnknown}</p>;
  if (changes.length === 0 || query.data === undefined) return null;
  return (
    <section className="clock-changes" aria-label={words.clockChanges}>
      <h3>{words.clockChanges}</h3>
      <ul>
        {query.data.map(({ change, meant, actual }) => (
          <li key={change.at}>
            <Clock aria-hidden="true" />
            <p>
              <strong>{formatDay(change.from)}</strong>
              {words.clockChange(change.to > change.from, formatClock(change.from), formatClock(change.to))}
              {describe(cron ?? "", timezone, change, meant, actual)}
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface Look {
  change: ClockChange;
  /** The wall-clock times within the skipped or repeated hour that match the expression. */
  meant: readonly number[];
  /** The actual runs within that hour and at its end, as instants. */
  actual: readonly number[];
}

async function look(cron: string, timezone: string, change: ClockChange, signal: AbortSignal): Promise<Look> {
  const [low, high] = [Math.min(change.from, change.to), Math.max(change.from, change.to)];
  const ask = async (zone: string, from: number, upto: number): Promise<number[]> => {
    const body = { cron, timezone: zone, from: iso(from - 1), endsAt: iso(upto), count: 1_000 };
    const { items } = await rest<Preview>("POST", "/schedules/preview", body, signal);
    return items.map(({ at }) => Date.parse(at));
  };
  const span = high - low;
  const [meant, actual] = await Promise.all([
    // In UTC no time is skipped or repeated.
    ask("UTC", low, high - 1),
    change.to > change.from ? ask(timezone, change.at, change.at) : ask(timezone, change.at - span, change.at + span - 1),
  ]);
  return { change, meant, actual };
}

const iso = (at: number): string => new Date(at).toISOString();

/** Whether an expression runs in every hour and is therefore not tied to a time of day. */
function isRhythm(cron: string): boolean {
  const fields = cron.trim().split(/\s+/);
  return cron.trim() === "@hourly" || /^(\*|\?|\*\/1|0-23)$/.test(fields[fields.length === 6 ? 2 : 1] ?? "");
}

function describe(cron: string, zone: string, change: ClockChange, meant: readonly number[], actual: readonly number[]): string {
  const isForward = change.to > change.from;
  if (meant.length === 0) {
    return isForward ? words.noneInGap : words.noneRepeated;
  }
  const count = meant.length;
  const times = words.times(
    meant.map((wall) => formatClock(wall)),
    MAX_NAMED,
  );
  if (isForward) {
    if (isRhythm(cron)) return words.gapRhythm(times, count, formatClock(change.to));
    return actual.length === 0 ? words.gapSkipped(times, count) : words.gapMoved(times, count, formatClock(change.to));
  }
  const seconds = actual.filter((at) => at >= change.at).length;
  if (seconds > 0) return words.repeatedBoth(times, count, actual.length);
  const first = actual[0];
  const when = first === undefined ? "" : ` (${formatClock(wallAt(first, zone))} ${zoneNameAt(first, zone)})`;
  return words.repeatedFirst(times, count, when);
}
