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

/** When a schedule occurs: by a cron expression, at an interval, or once. */
export type Timing =
  | { cron: string; every?: undefined; at?: undefined }
  | { every: Duration; cron?: undefined; at?: undefined }
  | { at: Date; cron?: undefined; every?: undefined };

export type ScheduleOptions = Timing & ScheduledJobOptions & ScheduleRules;

/** The options of `enqueue` that a schedule accepts for its jobs. */
type ScheduledJobOptions = Pick<EnqueueOptions, "tenant" | "priority" | "maxAttempts">;

interface ScheduleRules {
  /**
   * An IANA time zone; UTC by default. A local time that does not exist occurs once, after the gap; a local time that repeats occurs only the first
   * time. A cron expression that names no hour continues at the same rhythm when clocks are set back.
   */
  timezone?: string;
  /** The payload of its jobs; `{}` by default. */
  payload?: unknown;
  /** The earliest time of an occurrence. */
  startsAt?: Date;
  /** The latest time of an occurrence. */
  endsAt?: Date;
  /** The number of jobs after which the schedule ends. */
  maxRuns?: number;
  /** The longest random delay of a job's start. */
  jitter?: Duration;
  /**
   * What happens to an occurrence while `maxInstances` jobs of the schedule have not ended: `allow` (the default) enqueues it anyway; `skip` skips it;
   * `queue` makes its job wait, so that jobs run one at a time; `cancel` cancels the oldest.
   */
  overlap?: "allow" | "skip" | "queue" | "cancel";
  /** The number of unfinished jobs from which `overlap` applies; 1 by default, 100 for `queue`. */
  maxInstances?: number;
  /**
   * What happens to occurrences that are more than a minute late because no worker was running: `none` enqueues none of them, `one` (the default)
   * enqueues one job for all of them, and `all` enqueues each.
   */
  missed?: "none" | "one" | "all";
  /** For `all`: how late an occurrence may be and still be enqueued; a day by default. */
  missedWindow?: Duration;
  /** Schedules whose last run must have completed, each with the longest time since then: `{ "memory-cleanup": "24h" }`. */
  requires?: Readonly<Record<string, Duration>>;
  /** How long an occurrence waits for the required schedules before it is held back; an hour by default. */
  requiresWait?: Duration;
  /** By default a new schedule is enabled, and a replaced schedule stays as it is. */
  enabled?: boolean;
  /** The current time, for tests; now by default. */
  asOf?: Date;
}

/**
 * Creates a schedule, or replaces the one with that name, on the caller's connection and in its transaction. Returns its next
 * occurrence; null while it is disabled. A replaced schedule keeps its history, and continues as planned if its timing is unchanged.
 *
 * Throws LW400 for options that are invalid or never fire, with the invalid part of a cron expression between > and <; LW404 for an
 * unknown task or required schedule; LW409 for the name of a crontab entry; LW422 for a payload that its task does not accept.
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

/** Plans a schedule immediately, so that the caller need not wait for a worker, and returns its next occurrence. */
export async function planned(client: Queryable, name: string, asOf: Date | undefined): Promise<Date | null> {
  await planSchedules(client, { schedule: name, ...(asOf === undefined ? {} : { asOf }) });
  const rows = await selectRows(client, "select next_at from legwork.schedules where name = $1 and source = 'database'", [name]);
  return rows[0]?.next_at ?? null;
}
