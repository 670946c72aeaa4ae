import { ChevronLeft, ChevronRight } from "lucide-react";
import { useSearchParams } from "wouter";
import { useNow } from "../../components/time/clock.ts";
import { formatExact } from "../../components/time/format-times.ts";
import { type ClockChange, clockChanges, formatClock, formatDay, instantOf, wallAt } from "../../components/time/zones.ts";
import { Button } from "../../components/button.tsx";
import { Failure } from "../../components/notice.tsx";
import { type Timing, usePreview } from "../../api/schedules.ts";
import { words } from "./words.ts";

const DAY_MS = 86_400_000;

/** The maximum number of runs that the server lists at a time. */
const COUNT = 1_000;

/** The maximum number of runs that are shown for one day. */
const SHOWN = 3;

interface Run {
  at: number;
  wall: number;
}

/** How many weeks are shown at a time. */
const WEEKS = 2;

/** The Monday of the week that contains a wall-clock time. */
function mondayOf(wall: number): number {
  const day = Math.floor(wall / DAY_MS);
  return (day - ((new Date(wall).getUTCDay() + 6) % 7)) * DAY_MS;
}

/**
 * The runs of a schedule within two weeks, starting with this week, in the schedule's time zone and with clock changes marked. The URL contains
 * the selected weeks.
 */
export function Calendar({ timing }: { timing: Timing }) {
  const { timezone } = timing;
  const now = useNow(60_000);
  const [search, setSearch] = useSearchParams();
  const today = wallAt(now, timezone);
  const thisWeek = mondayOf(today);
  const asked = Date.parse(`${search.get("week")}T00:00:00Z`);
  const start = Number.isNaN(asked) ? thisWeek : Math.max(thisWeek, mondayOf(asked));
  const end = start + WEEKS * 7 * DAY_MS;
  const from = start > today ? new Date(instantOf(start, timezone) - 1).toISOString() : undefined;
  const query = usePreview(timing, { count: COUNT, ...(from === undefined ? {} : { from }) });
  const runs = (query.data?.items ?? [])
    .map(({ at }) => ({ at: Date.parse(at), wall: wallAt(Date.parse(at), timezone) }))
    .filter(({ wall }) => wall < end);
  // If the list ends before the last week does, later runs are unknown.
  const knownTo = runs.length === COUNT ? (runs.at(-1)?.wall ?? end) : end;
  const changes = clockChanges(instantOf(start, timezone), instantOf(end, timezone), timezone);
  const go = (to: number): void => {
    setSearch(
      (before) => {
        const after = new URLSearchParams(before);
        after.set("week", new Date(to).toISOString().slice(0, 10));
        return after;
      },
      { replace: true },
    );
  };
  return (
    <div className="calendar">
      <div className="calendar-bar">
        <Button
          kind="quiet"
          aria-label={words.previousWeeks}
          icon={<ChevronLeft aria-hidden="true" />}
          disabled={start <= thisWeek}
          onClick={() => go(start - WEEKS * 7 * DAY_MS)}
        />
        <h3 aria-live="polite">{words.weeks(formatDay(start), formatDay(end - DAY_MS))}</h3>
        <Button kind="quiet" aria-label={words.nextWeeks} icon={<ChevronRight aria-hidden="true" />} onClick={() => go(end)} />
        <span className="muted">{words.timesIn(timezone)}</span>
      </div>
      {query.isError && <Failure error={query.error} />}
      <Weeks start={start} end={end} runs={runs} knownTo={knownTo} today={today} changes={changes} zone={timezone} />
    </div>
  );
}

function Weeks({
  start,
  end,
  runs,
  knownTo,
  today,
  changes,
  zone,
}: {
  start: number;
  end: number;
  runs: readonly Run[];
  knownTo: number;
  today: number;
  changes: readonly ClockChange[];
  zone: string;
}) {
  const byDay = Map.groupBy(runs, ({ wall }) => Math.floor(wall / DAY_MS));
  const first = start / DAY_MS;
  const current = Math.floor(today / DAY_MS);
  return (
    <table className="calendar-weeks">
      <thead>
        <tr>
          {words.weekdays.map((day) => (
            <th key={day} scope="col">
              {day}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {Array.from({ length: WEEKS }, (_, week) => (
          <tr key={first + week * 7}>
            {Array.from({ length: 7 }, (_unused, weekday) => {
              const day = first + week * 7 + weekday;
              if (day < current) return <td key={day} className="calendar-outside" aria-hidden="true" />;
              const change = changes.find(({ from }) => Math.floor(from / DAY_MS) === day);
              return (
                <td key={day} data-today={current === day ? "yes" : undefined}>
                  <span className="calendar-day">
                    <span className="visually-hidden">{formatDay(day * DAY_MS)}</span>
                    <span aria-hidden="true">{new Date(day * DAY_MS).getUTCDate()}</span>
                  </span>
                  {change !== undefined && (
                    <span className="calendar-change">{words.clocks(formatClock(change.from), formatClock(change.to))}</span>
                  )}
                  <Runs
                    runs={byDay.get(day) ?? []}
                    isPartial={Math.floor(knownTo / DAY_MS) <= day && knownTo < end}
                    zone={zone}
                  />
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Runs({ runs, isPartial, zone }: { runs: readonly Run[]; isPartial: boolean; zone: string }) {
  const [first, last] = [runs[0], runs.at(-1)];
  if (first === undefined || last === undefined) return isPartial ? <span className="muted">…</span> : null;
  if (runs.length > SHOWN || isPartial) {
    return (
      <span
        className="calendar-many"
        title={`${formatExact(first.at, { name: zone })} – ${formatExact(last.at, { name: zone })}`}
      >
        {words.runsOnDay(runs.length, isPartial)}
      </span>
    );
  }
  return runs.map(({ at, wall }) => (
    <time key={at} className="calendar-run" dateTime={new Date(at).toISOString()} title={formatExact(at, "local")}>
      {formatClock(wall)}
    </time>
  ));
}
