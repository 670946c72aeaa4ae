import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { CronTimes, describeCron } from "./cron.ts";

/** Occurrences that are told ahead. Workers tell again every five minutes. */
const AHEAD = 10;

/** An entry of a crontab, as graphile-worker runs it. */
export interface CrontabEntry {
  identifier: string;
  task: string;
  /** The five fields of its line. */
  cron: string;
  payload: unknown;
}

/** Tells the database of the entries of this worker's crontab, so that `legwork.schedules` shows them with their next run. */
export async function registerCrontab(client: Queryable, entries: readonly CrontabEntry[], log: Logger): Promise<void> {
  const now = new Date();
  const described = entries.map((entry) => ({
    ...entry,
    sentence: describeCron(entry.cron),
    upcoming: nextTimes(entry, now, log),
  }));
  await callFunction(client, "register_crontab", { entries: JSON.stringify(described) });
}

/** graphile-worker reads a crontab in UTC. What it takes and croner does not is shown without its next run. */
function nextTimes({ identifier, cron }: CrontabEntry, after: Date, log: Logger): Date[] {
  try {
    return new CronTimes(cron, "UTC").next(after, AHEAD);
  } catch (error) {
    log.debug({ identifier, err: toError(error) }, "The next runs of a crontab's entry are not known.");
    return [];
  }
}
