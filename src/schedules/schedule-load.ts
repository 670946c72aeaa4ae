import { setImmediate as nextTurn } from "node:timers/promises";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import { toError } from "../errors.ts";
import { CronTimes } from "./cron.ts";
import { listSchedules, type ScheduleRow } from "./list-schedules.ts";

const HOUR_MS = 3_600_000;

/** The cache is cleared when it has more than this many expressions. */
const MAX_CACHED = 5_000;

/** The jobs that will be enqueued in one hour. Counts are strings. */
interface LoadHour {
  /** When the hour begins. */
  at: Date;
  jobs: string;
  /** The ten schedules that enqueue the most jobs. */
  schedules: { name: string; jobs: string }[];
}

export interface ScheduleLoad {
  items: LoadHour[];
  /** Schedules whose occurrences are not included, and why. */
  uncounted: { name: string; reason: string }[];
}

/** The occurrences in whole hours, by expression, time zone and hour. They never change. */
const cache = new Map<string, number>();

/**
 * Computes how many jobs the enabled schedules will enqueue in each of the next hours, beginning with the hour that contains `from` (now by default).
 * Counts every occurrence, because it cannot be known in advance which of them will be skipped, missed or held back. The cost grows with the days and
 * not with the occurrences, so that a schedule that fires every second costs no more than a daily one.
 *
 * @example
 * import { scheduleLoad } from "legwork/operations";
 *
 * const { items, uncounted } = await scheduleLoad(client, 48);
 */
export async function scheduleLoad(client: Queryable, hours: number, from: Date = new Date()): Promise<ScheduleLoad> {
  const schedules = (await listSchedules(client)).filter(({ is_enabled }) => is_enabled);
  const start = Math.floor(from.getTime() / HOUR_MS) * HOUR_MS;
  // Each bound is a millisecond before the hour, so that an occurrence on the hour belongs to the hour that it begins.
  const bounds = [from.getTime() - 1, ...Array.from({ length: hours }, (_, n) => start + (n + 1) * HOUR_MS - 1)];
  const intervals = await countIntervals(client, schedules, bounds);
  const perHour = Array.from({ length: hours }, () => new Map<string, number>());
  const uncounted: ScheduleLoad["uncounted"] = [];
  for (const schedule of schedules) {
    try {
      const counts = countsOf(schedule, bounds, intervals.get(schedule.name));
      // The schedule ends after maxRuns jobs.
      let left = schedule.max_runs === null ? Number.POSITIVE_INFINITY : schedule.max_runs - Number(schedule.runs ?? 0);
      for (const [hour, count] of counts.entries()) {
        const jobs = Math.max(0, Math.min(count, left));
        left -= jobs;
        if (jobs > 0) perHour[hour]?.set(schedule.name, jobs);
      }
    } catch (error) {
      uncounted.push({ name: schedule.name, reason: toError(error).message });
    }
    // Lets the event loop handle other requests in between.
    await nextTurn();
  }
  return {
    items: perHour.map((jobs, hour) => ({
      at: new Date(start + hour * HOUR_MS),
      jobs: String([...jobs.values()].reduce((sum, count) => sum + count, 0)),
      schedules: [...jobs]
        .toSorted(([, a], [, b]) => b - a)
        .slice(0, 10)
        .map(([name, count]) => ({ name, jobs: String(count) })),
    })),
    uncounted,
  };
}

/** Counts the occurrences between each pair of bounds. Throws for an expression that cannot be computed. */
function countsOf(schedule: ScheduleRow, bounds: readonly number[], ofInterval: readonly number[] | undefined): number[] {
  const { cron, timezone, starts_at, ends_at } = schedule;
  if (ofInterval !== undefined) return [...ofInterval];
  const once = schedule.at?.getTime();
  const low = starts_at === null ? Number.NEGATIVE_INFINITY : starts_at.getTime() - 1;
  const high = ends_at === null ? Number.POSITIVE_INFINITY : ends_at.getTime();
  let times: CronTimes | undefined;
  return bounds.slice(1).map((bound, index) => {
    const [after, upto] = [Math.max(bounds[index] ?? bound, low), Math.min(bound, high)];
    if (upto <= after) return 0;
    if (once !== undefined) return once > after && once <= upto ? 1 : 0;
    if (cron === null) return 0;
    const isWhole = upto - after === HOUR_MS;
    const key = `${cron}\n${timezone}\n${after}`;
    const known = isWhole ? cache.get(key) : undefined;
    if (known !== undefined) return known;
    times ??= new CronTimes(cron, timezone);
    const count = times.count(new Date(after), new Date(upto));
    if (cache.size > MAX_CACHED * 24) cache.clear();
    if (isWhole) cache.set(key, count);
    return count;
  });
}

/** Counts the occurrences of interval schedules in the database, which computes calendar intervals. */
async function countIntervals(
  client: Queryable,
  schedules: readonly ScheduleRow[],
  bounds: readonly number[],
): Promise<Map<string, number[]>> {
  const every = schedules.filter((schedule) => schedule.every !== null);
  if (every.length === 0) return new Map();
  // The number of occurrences up to each bound. Intervals count from startsAt or, without it, from the next occurrence.
  const rows = await selectRows(
    client,
    `select s.name, array_agg(
       case when b.at < s.anchor then 0 else legwork_private.interval_index(s.anchor, s.every, s.timezone, least(b.at, s.ends_at)) + 1 end order by b.n) as passed
     from unnest($1::text[], $2::timestamptz[], $3::interval[], $4::text[], $5::timestamptz[]) as s (name, anchor, every, timezone, ends_at)
     cross join unnest($6::timestamptz[]) with ordinality as b (at, n)
     where s.anchor is not null
     group by s.name`,
    [
      every.map(({ name }) => name),
      every.map(({ starts_at, next_at }) => starts_at ?? next_at),
      every.map((schedule) => schedule.every),
      every.map(({ timezone }) => timezone),
      every.map(({ ends_at }) => ends_at),
      bounds.map((bound) => new Date(bound)),
    ],
  );
  return new Map(
    rows.map(({ name, passed }: { name: string; passed: string[] }) => [
      name,
      passed.slice(1).map((count, index) => Number(count) - Number(passed[index])),
    ]),
  );
}
