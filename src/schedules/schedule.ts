import { ATTEMPTS, assertInteger, COUNTS, PRIORITIES, toTimestamp } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import type { Duration } from "../duration.ts";
import { LegworkError } from "../errors.ts";
import { assertPayloads, type EnqueueOptions } from "../jobs/enqueue.ts";
import { CronTimes } from "./cron.ts";
import { planSchedules } from "./plan-schedules.ts";
import { calendarSpan } from "./calendar-span.ts";
import { toJson } from "../json.ts";

/** When a schedule occurs: by a cron expression, every so often, or once. */
export type Timing =
  | { cron: string; every?: undefined; at?: undefined }
  | { every: Duration; cron?: undefined; at?: undefined }
  | { at: Date; cron?: undefined; every?: undefined };

export type ScheduleOptions = Timing & ScheduledJobOptions & ScheduleRules;

/** What a schedule takes of the options of `enqueue`, for its jobs. */
type ScheduledJobOptions = Pick<EnqueueOptions, "tenant" | "priority" | "maxAttempts">;

interface ScheduleRules {
  /**
   * Of the IANA database; UTC by default. A local time that does not exist occurs once, after the gap; one that comes twice, the first time. A
   * cron expression that names no hour is a rhythm, which goes on while clocks are put back.
   */
  timezone?: string;
  /** What its jobs are given; `{}` by default. */
  payload?: unknown;
  /** No occurrence is before that. */
  startsAt?: Date;
  /** No occurrence is after that. */
  endsAt?: Date;
  /** It is over after so many jobs. */
  maxRuns?: number;
  /** A job starts up to so much later, at random. */
  jitter?: Duration;
  /**
   * What becomes of an occurrence while `maxInstances` jobs of the schedule live: `allow` (the default) does not count; `skip` leaves it out;
   * `queue` lets it wait for the others, one at a time; `cancel` cancels the oldest.
   */
  overlap?: "allow" | "skip" | "queue" | "cancel";
  /** 1 by default; 100 for `queue`. */
  maxInstances?: number;
  /** What becomes of occurrences when nobody was there for more than a minute: `none`, `one` job for all (the default), or `all`. */
  missed?: "none" | "one" | "all";
  /** For `all`: older ones are not made up for; a day by default. */
  missedWindow?: Duration;
  /** Schedules whose last run must have completed, and how long ago at most: `{ "memory-cleanup": "24h" }`. */
  requires?: Readonly<Record<string, Duration>>;
  /** How long an occurrence waits for what it requires before it is held back; an hour by default. */
  requiresWait?: Duration;
  /** A new schedule is enabled, one that is replaced stays as it is. */
  enabled?: boolean;
  /** The present, for tests; now by default. */
  asOf?: Date;
}

/**
 * Makes a schedule, or replaces the one of that name, on the caller's connection and so in its transaction. Resolves to its next
 * occurrence; null while it is disabled. What is replaced keeps its runs, and one whose times are the same goes on as planned.
 *
 * Throws LW400 for what is not valid or never fires, with the part of a cron expression that is wrong between > and <; LW404 for an
 * unknown task or required schedule; LW409 for the name of a crontab's entry; LW422 for a payload that its task cannot work with.
 *
 * @example
 * import { schedule } from "legwork/operations";
 *
 * const next = await schedule(client, "morning-report", "report/daily", { cron: "0 6 * * *", timezone: "Europe/Berlin" });
 */
export async function schedule(client: Queryable, name: string, task: string, options: ScheduleOptions): Promise<Date | null> {
  const {
    cron,
    every,
    at,
    timezone,
    payload = {},
    startsAt,
    endsAt,
    maxRuns,
    maxInstances,
    maxAttempts,
    requires,
    asOf,
  } = options;
  const json = toJson("payload", payload);
  assertInteger("priority", options.priority, PRIORITIES);
  assertInteger("maxAttempts", maxAttempts, ATTEMPTS);
  assertInteger("maxRuns", maxRuns, COUNTS);
  assertInteger("maxInstances", maxInstances, [1, 10_000]);
  const times = {
    at: toTimestamp("at", at),
    starts_at: toTimestamp("startsAt", startsAt),
    ends_at: toTimestamp("endsAt", endsAt),
  };
  await assertPayloads(client, [{ task, payload }]);
  if (cron !== undefined && endsAt !== undefined) {
    const from = Math.max((asOf ?? new Date()).getTime(), (startsAt?.getTime() ?? 0) - 1);
    if (new CronTimes(cron, timezone ?? "UTC").next(new Date(from), 1, endsAt).length === 0) {
      throw new LegworkError("LW400", `The schedule '${name}' never fires: no occurrence of '${cron}' is in its window.`, {
        hint: "Nothing was changed. The window ends before it starts, or before the first occurrence.",
      });
    }
  }
  await callFunction(client, "legwork.schedule", {
    name,
    task,
    cron,
    every: calendarSpan("every", every),
    timezone,
    payload: json,
    ...times,
    max_runs: maxRuns,
    jitter: calendarSpan("jitter", options.jitter),
    overlap: options.overlap,
    max_instances: maxInstances,
    missed: options.missed,
    missed_window: calendarSpan("missedWindow", options.missedWindow),
    requires:
      requires === undefined
        ? undefined
        : JSON.stringify(
            Object.fromEntries(Object.entries(requires).map(([other, within]) => [other, calendarSpan(other, within)])),
          ),
    requires_wait: calendarSpan("requiresWait", options.requiresWait),
    tenant: options.tenant,
    priority: options.priority,
    max_attempts: maxAttempts,
    enabled: options.enabled,
    as_of: asOf,
  });
  return await planned(client, name, asOf);
}

/** Plans a schedule at once, so that nobody has to wait for a worker, and resolves to its next occurrence. */
export async function planned(client: Queryable, name: string, asOf: Date | undefined): Promise<Date | null> {
  await planSchedules(client, { schedule: name, ...(asOf === undefined ? {} : { asOf }) });
  const rows = await selectRows(client, "select next_at from legwork.schedules where name = $1 and source = 'database'", [name]);
  return rows[0]?.next_at ?? null;
}
