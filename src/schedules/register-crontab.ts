import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { expand } from "./cron.ts";
import { describeCron } from "./describe-cron.ts";

const DAY_MS = 86_400_000;

/** The number of future occurrences that are registered. Workers register again every five minutes. */
const AHEAD = 10;

/** How far ahead occurrences are searched for (days): February 29 may not occur for eight years. */
const LOOKED_AT_DAYS = 9 * 366;

/** An entry of a crontab, as graphile-worker runs it. */
export interface CrontabEntry {
  identifier: string;
  task: string;
  /** The five fields of its line. */
  cron: string;
  payload: unknown;
  /**
   * Whether graphile-worker runs it in a given minute (UTC). This is the function of graphile-worker's own cron item, because its rules differ from
   * croner's.
   */
  match: (minute: { min: number; hour: number; date: number; month: number; dow: number }) => boolean;
}

/** Registers the entries of this worker's crontab, so that `legwork.schedules` shows them with their next occurrences. */
export async function registerCrontab(client: Queryable, entries: readonly CrontabEntry[], now = new Date()): Promise<void> {
  const described = entries.map(({ match, ...entry }) => ({
    ...entry,
    sentence: describeCron(entry.cron, { isCrontab: true }),
    upcoming: nextTimes({ match, ...entry }, now),
  }));
  await callFunction(client, "legwork_private.register_crontab", { entries: JSON.stringify(described) });
}

/** Returns the first minutes after a time in which an entry runs; fewer if the search range has fewer. */
function nextTimes({ cron, match }: CrontabEntry, after: Date): Date[] {
  const [minutes = "", hours = ""] = cron.split(" ");
  const clock = [...expand(hours, 23)].flatMap((hour) => [...expand(minutes, 59)].map((min) => ({ hour, min })));
  const times: Date[] = [];
  const today = Math.floor(after.getTime() / DAY_MS) * DAY_MS;
  for (let day = today; day < today + LOOKED_AT_DAYS * DAY_MS; day += DAY_MS) {
    const date = new Date(day);
    const digest = { date: date.getUTCDate(), month: date.getUTCMonth() + 1, dow: date.getUTCDay() };
    // If the entry runs on a day, it runs at all of its times of day.
    if (clock[0] === undefined || !match({ ...digest, ...clock[0] })) continue;
    for (const { hour, min } of clock) {
      const time = new Date(day + (hour * 60 + min) * 60_000);
      if (time > after) times.push(time);
      if (times.length === AHEAD) return times;
    }
  }
  return times;
}
