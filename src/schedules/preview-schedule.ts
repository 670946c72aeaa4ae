import { toTimestamp } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { fromDatabaseError } from "../db/translate-error.ts";
import { LegworkError } from "../errors.ts";
import { formatNumber } from "../wording.ts";
import { CronTimes } from "./cron.ts";
import { assertTimezone, formatLocal } from "./local-time.ts";
import type { Timing } from "./schedule.ts";
import { calendarSpan } from "./calendar-span.ts";

/** The maximum number of occurrences in a preview: each takes about 40 µs to compute. */
const MAX_COUNT = 1_000;

export interface Preview {
  at: Date;
  /** The local time in the time zone, such as `2026-03-29 03:00:00`. */
  local: string;
}

export interface PreviewOptions {
  /** The number of occurrences; 10 by default, at most 1,000. */
  count?: number;
  /** The start of the preview; now by default. `every` counts from `startsAt` or, without it, from this time. */
  from?: Date;
  timezone?: string;
  startsAt?: Date;
  endsAt?: Date;
  /** Needed only for `every`, because the database computes calendar intervals. */
  client?: Queryable;
}

/**
 * Computes the next occurrences that a schedule would have. Throws LW400 for timings that `schedule` rejects: an expression that is invalid or never
 * fires, or an unknown time zone.
 *
 * @example
 * import { previewSchedule } from "legwork/operations";
 *
 * for (const { at, local } of await previewSchedule({ cron: "0 9 * * 1-5" }, { timezone: "Europe/Berlin", count: 3 })) console.log(at, local);
 */
export async function previewSchedule(timing: Timing, options: PreviewOptions = {}): Promise<Preview[]> {
  const { count = 10, timezone = "UTC", startsAt, endsAt, client } = options;
  if (!Number.isSafeInteger(count) || count < 1 || count > MAX_COUNT) {
    throw new LegworkError("LW400", `Cannot preview ${count} occurrences.`, { hint: `Request 1 to ${formatNumber(MAX_COUNT)}.` });
  }
  assertTimezone(timezone);
  const from = options.from ?? new Date();
  toTimestamp("from", from);
  toTimestamp("at", timing.at);
  toTimestamp("startsAt", startsAt);
  toTimestamp("endsAt", endsAt);
  if (startsAt !== undefined && endsAt !== undefined && endsAt <= startsAt) {
    throw new LegworkError("LW400", `The window ends at ${endsAt.toISOString()}, before it starts at ${startsAt.toISOString()}.`);
  }
  // The database decides which time zones `schedule` accepts.
  if (client !== undefined) await callFunction(client, "legwork_private.assert_timezone", { timezone });
  const after = startsAt !== undefined && startsAt > from ? new Date(startsAt.getTime() - 1) : from;
  let times: Date[];
  if (timing.cron !== undefined) {
    times = new CronTimes(timing.cron, timezone).next(after, count, endsAt);
  } else if (timing.at !== undefined) {
    times = timing.at > after && (endsAt === undefined || timing.at <= endsAt) ? [timing.at] : [];
  } else {
    if (client === undefined)
      throw new LegworkError("LW400", "A preview of an interval needs a database.", { hint: "Pass a client." });
    times = await intervalTimes(client, [startsAt ?? from, calendarSpan("every", timing.every), timezone, after, endsAt, count]);
  }
  return times.map((at) => ({ at, local: formatLocal(at, timezone) }));
}

async function intervalTimes(client: Queryable, values: unknown[]): Promise<Date[]> {
  try {
    await client.query("select legwork_private.assert_every($1::interval)", [values[1]]);
    const { rows } = await client.query(
      `select t.at from (
         select legwork_private.interval_index($1, $2::interval, $3, $4) + n as k from generate_series(1, $6::int) n
       ) s, legwork_private.interval_time($1, $2::interval, $3, s.k) as t (at)
       where t.at <= coalesce($5, legwork_private.last_time()) order by s.k`,
      values,
    );
    return rows.map((row) => row.at);
  } catch (error) {
    throw fromDatabaseError(error);
  }
}
