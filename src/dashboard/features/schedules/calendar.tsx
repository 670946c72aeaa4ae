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

/** The most runs that the server lists at a time. */
const COUNT = 1_000;

/** How many times fit in a day of the calendar. */
const SHOWN = 3;

interface Run {
  at: number;
  wall: number;
}

/** The first of the month of a wall clock's reading. */
function monthOf(wall: number, plus = 0): number {
  const date = new Date(wall);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + plus, 1);
}

/** A month of a schedule's runs in its time zone, with clock changes marked. The month is in the address. */
export function Calendar({ timing }: { timing: Timing }) {
  const { timezone } = timing;
  const now = useNow(60_000);
  const [search, setSearch] = useSearchParams();
  const thisMonth = monthOf(wallAt(now, timezone));
  const asked = Date.parse(`${search.get("month")}-01T00:00:00Z`);
  const month = Number.isNaN(asked) ? thisMonth : Math.max(thisMonth, monthOf(asked));
  const next = monthOf(month, 1);
  const from = month > wallAt(now, timezone) ? new Date(instantOf(month, timezone) - 1).toISOString() : undefined;
  const query = usePreview(timing, { count: COUNT, ...(from === undefined ? {} : { from }) });
  const runs = (query.data?.items ?? [])
    .map(({ at }) => ({ at: Date.parse(at), wall: wallAt(Date.parse(at), timezone) }))
    .filter(({ wall }) => wall < next);
  // If the list ends before the month does, later runs are unknown.
  const knownTo = runs.length === COUNT ? (runs.at(-1)?.wall ?? next) : next;
  const changes = clockChanges(instantOf(month, timezone), instantOf(next, timezone), timezone);
  const go = (to: number): void => {
    setSearch(
      (before) => {
        const after = new URLSearchParams(before);
        after.set("month", new Date(to).toISOString().slice(0, 7));
        return after;
      },
      { replace: true },
    );
  };
  const title = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", month: "long", year: "numeric" }).format(month);
  return (
    <div className="calendar">
      <div className="calendar-bar">
        <Button
          kind="quiet"
          aria-label={words.previousMonth}
          icon={<ChevronLeft aria-hidden="true" />}
          disabled={month <= thisMonth}
          onClick={() => go(monthOf(month, -1))}
        />
        <h3 aria-live="polite">{title}</h3>
        <Button kind="quiet" aria-label={words.nextMonth} icon={<ChevronRight aria-hidden="true" />} onClick={() => go(next)} />
        <span className="muted">{words.timesIn(timezone)}</span>
      </div>
      {query.isError && <Failure error={query.error} />}
      <Month
        month={month}
        next={next}
        runs={runs}
        knownTo={knownTo}
        today={wallAt(now, timezone)}
        changes={changes}
        zone={timezone}
      />
    </div>
  );
}

function Month({
  month,
  next,
  runs,
  knownTo,
  today,
  changes,
  zone,
}: {
  month: number;
  next: number;
  runs: readonly Run[];
  knownTo: number;
  today: number;
  changes: readonly ClockChange[];
  zone: string;
}) {
  const byDay = Map.groupBy(runs, ({ wall }) => Math.floor(wall / DAY_MS));
  const first = Math.floor(month / DAY_MS) - ((new Date(month).getUTCDay() + 6) % 7);
  const weeks = Math.ceil((Math.floor(next / DAY_MS) - first) / 7);
  return (
    <table className="calendar-month">
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
        {Array.from({ length: weeks }, (_, week) => (
          <tr key={first + week * 7}>
            {Array.from({ length: 7 }, (_, weekday) => {
              const day = first + week * 7 + weekday;
              const wall = day * DAY_MS;
              if (wall < month || wall >= next) return <td key={day} className="calendar-outside" aria-hidden="true" />;
              const change = changes.find(({ from }) => Math.floor(from / DAY_MS) === day);
              return (
                <td key={day} data-today={Math.floor(today / DAY_MS) === day ? "yes" : undefined}>
                  <span className="calendar-day">
                    <span className="visually-hidden">{formatDay(wall)}</span>
                    <span aria-hidden="true">{new Date(wall).getUTCDate()}</span>
                  </span>
                  {change !== undefined && (
                    <span className="calendar-change">{words.clocks(formatClock(change.from), formatClock(change.to))}</span>
                  )}
                  <Runs
                    runs={byDay.get(day) ?? []}
                    isPartial={Math.floor(knownTo / DAY_MS) <= day && knownTo < next}
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
