import { useQuery } from "@tanstack/react-query";
import { Clock } from "lucide-react";
import { rest } from "../../api/request.ts";
import { useNow } from "../../components/time/clock.ts";
import { type ClockChange, clockChanges, formatClock, formatDay, wallAt, zoneNameAt } from "../../components/time/zones.ts";
import type { Preview, Timing } from "../../api/schedules.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** How far ahead changes are looked for: two of a year are always among them. */
const AHEAD_MS = 400 * DAY_MS;

/** More runs than this are not listed by their times. */
const MAX_NAMED = 3;

/**
 * What becomes of a cron expression's times where the clocks of its zone change next: those that do not exist that day, and those that come
 * twice. By asking the server when it would occur around the change, and when it would without one. Nothing for zones that have none.
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
  if (query.isError) return <p className="muted">What becomes of it where clocks change could not be looked up.</p>;
  if (changes.length === 0 || query.data === undefined) return null;
  return (
    <section className="clock-changes" aria-label="Where clocks change">
      <h3>Where clocks change</h3>
      <ul>
        {query.data.map(({ change, meant, actual }) => (
          <li key={change.at}>
            <Clock aria-hidden="true" />
            <p>
              <strong>{formatDay(change.from)}</strong>: clocks go {change.to > change.from ? "forward" : "back"} from{" "}
              {formatClock(change.from)} to {formatClock(change.to)}. {describe(cron ?? "", timezone, change, meant, actual)}
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface Look {
  change: ClockChange;
  /** Times of the hour that is left out or comes twice at which it is meant to occur, as wall clocks show them. */
  meant: readonly number[];
  /** When it does occur within that hour, and at its end (instants). */
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
    // In UTC no time is left out and none comes twice.
    ask("UTC", low, high - 1),
    change.to > change.from ? ask(timezone, change.at, change.at) : ask(timezone, change.at - span, change.at + span - 1),
  ]);
  return { change, meant, actual };
}

const iso = (at: number): string => new Date(at).toISOString();

/** Whether an expression names no hour, and so is a rhythm. */
function isRhythm(cron: string): boolean {
  const fields = cron.trim().split(/\s+/);
  return cron.trim() === "@hourly" || /^(\*|\?|\*\/1|0-23)$/.test(fields[fields.length === 6 ? 2 : 1] ?? "");
}

function describe(cron: string, zone: string, change: ClockChange, meant: readonly number[], actual: readonly number[]): string {
  const isForward = change.to > change.from;
  if (meant.length === 0) {
    return isForward ? "No run is meant for the time that is left out." : "No run is meant for the time that comes twice.";
  }
  const times = meant.length <= MAX_NAMED ? listOf(meant.map((wall) => formatClock(wall))) : `${meant.length} times`;
  const [is, does, it] = meant.length === 1 ? ["is", "does", "It"] : ["are", "do", "They"];
  if (isForward) {
    if (isRhythm(cron)) return `${times} ${does} not exist that day; it goes on at ${formatClock(change.to)} without a rest.`;
    if (actual.length === 0)
      return `${times} ${does} not exist that day, and there is no run for ${meant.length === 1 ? "it" : "them"}.`;
    return `${times} ${does} not exist that day: ${meant.length === 1 ? "the run is" : `they ${is} one run`} at ${formatClock(change.to)}.`;
  }
  const seconds = actual.filter((at) => at >= change.at).length;
  if (seconds > 0) return `${times} ${meant.length === 1 ? "comes" : "come"} twice: ${actual.length} runs, in both hours.`;
  const first = actual[0];
  const when = first === undefined ? "" : ` (${formatClock(wallAt(first, zone))} ${zoneNameAt(first, zone)})`;
  return `${times} ${meant.length === 1 ? "comes" : "come"} twice: ${it.toLowerCase()} ${meant.length === 1 ? "runs" : "run"} the first time only${when}.`;
}

function listOf(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
