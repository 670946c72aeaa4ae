import type { Queryable } from "../db/pool.ts";
import type { PayloadOf, TaskName } from "../jobs/task-registry.ts";
import { disableSchedule, enableSchedule } from "../schedules/enable-schedule.ts";
import type { Reason } from "../jobs/explain-job.ts";
import { explainSchedule } from "../schedules/explain-schedule.ts";
import { getSchedule, listScheduleRuns, listSchedules } from "../schedules/list-schedules.ts";
import { type Preview, previewSchedule, type PreviewOptions } from "../schedules/preview-schedule.ts";
import { runSchedule } from "../schedules/run-schedule.ts";
import { schedule, type ScheduleOptions, type Timing } from "../schedules/schedule.ts";
import { scheduleLoad, type ScheduleLoad } from "../schedules/schedule-load.ts";
import { unschedule } from "../schedules/unschedule.ts";
import { type Schedule, type ScheduleRun, toSchedule, toScheduleRun } from "./schedule-rows.ts";

/** `legwork.schedules`: enqueues jobs over time. */
export interface Schedules {
  /**
   * Creates a schedule, or replaces the one with that name. Returns its next occurrence; null while it is disabled. A replaced schedule keeps its
   * history, and continues as planned if its timing is unchanged.
   *
   * Throws LW400 for options that are invalid or never fire, with the invalid part of a cron expression between > and <; LW404 for an
   * unknown task or required schedule; LW409 for the name of a crontab entry; LW422 for a payload that its task does not accept.
   *
   * @example
   * const next = await legwork.schedules.set("morning-report", "report/daily", { cron: "0 6 * * *", timezone: "Europe/Berlin" });
   * await legwork.schedules.set("sync", "crm/sync", { every: "15m", overlap: "skip", payload: { full: false } });
   */
  set<Name extends TaskName>(
    name: string,
    task: Name,
    options: ScheduleOptions & { payload?: PayloadOf<Name> },
  ): Promise<Date | null>;
  /**
   * Lists all schedules by name, including those of crontabs.
   *
   * @example
   * const late = (await legwork.schedules.list()).filter(({ problem }) => problem !== null);
   */
  list(filter?: { tenant?: string }): Promise<Schedule[]>;
  /**
   * Returns one schedule. Throws LW404 for an unknown schedule, suggesting the closest name.
   *
   * @example
   * const { sentence, nextAt, lastOutcome } = await legwork.schedules.get("daily-report");
   */
  get(name: string): Promise<Schedule>;
  /**
   * Explains why a schedule has not fired, and what happened to its last occurrences. Throws LW404 for an unknown schedule.
   *
   * @example
   * for (const { detail, fix } of await legwork.schedules.explain("daily-report")) console.log(`${detail} ${fix}`);
   */
  explain(name: string): Promise<Reason[]>;
  /**
   * Removes a schedule. Its jobs and the history of its occurrences are kept. Throws LW404 for an unknown schedule, LW409 for a crontab entry.
   *
   * @example
   * await legwork.schedules.remove("daily-report");
   */
  remove(name: string): Promise<void>;
  /**
   * Enables a schedule from now on: occurrences that were due while it was disabled do not count. Returns the next occurrence. Throws LW404 for an
   * unknown schedule, LW409 for a crontab entry.
   *
   * @example
   * const next = await legwork.schedules.enable("daily-report");
   */
  enable(name: string): Promise<Date | null>;
  /**
   * Disables a schedule: it has no occurrences until it is enabled again. Jobs that it has enqueued stay. Returns whether it was enabled. Throws like
   * `enable`.
   *
   * @example
   * const wasEnabled = await legwork.schedules.disable("daily-report");
   */
  disable(name: string): Promise<boolean>;
  /**
   * Runs a schedule now, even a disabled one, and returns the job's id. This does not count against `maxRuns` and does not wait for
   * required schedules. Throws LW404 for an unknown schedule, LW409 for a crontab entry, or while `maxInstances` of its jobs have not ended.
   *
   * @example
   * const id = await legwork.schedules.run("daily-report");
   */
  run(name: string): Promise<string>;
  /**
   * Lists the outcomes of a schedule's last occurrences, newest first, 20 unless `limit` says otherwise; with `before`, those before that time. They
   * are kept as long as the history, even after the schedule is removed.
   *
   * @example
   * const missed = (await legwork.schedules.runs("daily-report")).filter(({ state }) => state === "missed");
   */
  runs(name: string, options?: { limit?: number; before?: Date }): Promise<ScheduleRun[]>;
  /**
   * Computes the next occurrences that a schedule would have. Stores nothing. Throws LW400 for timings that `set` rejects: an expression that is
   * invalid or never fires, or an unknown time zone.
   *
   * @example
   * for (const { at, local } of await legwork.schedules.preview({ cron: "0 9 * * 1-5" }, { timezone: "Europe/Berlin", count: 3 })) console.log(at, local);
   */
  preview(timing: Timing, options?: Omit<PreviewOptions, "client">): Promise<Preview[]>;
  /**
   * Computes how many jobs the enabled schedules will enqueue in each of the next `hours` hours (24 by default). Counts every occurrence, because it
   * cannot be known in advance which of them will be skipped, missed or held back.
   *
   * @example
   * const { items, uncounted } = await legwork.schedules.load(48);
   */
  load(hours?: number, from?: Date): Promise<ScheduleLoad>;
}

export function schedulesOn(client: Queryable): Schedules {
  return {
    set: (name, task, options) => schedule(client, name, task, options),
    list: async (filter) => (await listSchedules(client, filter)).map(toSchedule),
    explain: (name) => explainSchedule(client, name),
    get: async (name) => toSchedule(await getSchedule(client, name)),
    remove: (name) => unschedule(client, name),
    enable: (name) => enableSchedule(client, name),
    disable: (name) => disableSchedule(client, name),
    run: (name) => runSchedule(client, name),
    runs: async (name, options) => (await listScheduleRuns(client, name, options)).map(toScheduleRun),
    preview: (timing, options) => previewSchedule(timing, { ...options, client }),
    load: (hours = 24, from) => scheduleLoad(client, hours, from),
  };
}
