import type { Queryable } from "../db/pool.ts";
import type { PayloadOf, TaskName } from "../jobs/task-registry.ts";
import { disableSchedule, enableSchedule } from "../schedules/enable-schedule.ts";
import { getSchedule, listScheduleRuns, listSchedules } from "../schedules/list-schedules.ts";
import { type Preview, previewSchedule, type PreviewOptions } from "../schedules/preview-schedule.ts";
import { runSchedule } from "../schedules/run-schedule.ts";
import { schedule, type ScheduleOptions, type Timing } from "../schedules/schedule.ts";
import { scheduleLoad, type ScheduleLoad } from "../schedules/schedule-load.ts";
import { unschedule } from "../schedules/unschedule.ts";
import { type Schedule, type ScheduleRun, toSchedule, toScheduleRun } from "./schedule-rows.ts";

/** `legwork.schedules`: what enqueues jobs over time. */
export interface Schedules {
  /**
   * Makes a schedule, or replaces the one of that name. Resolves to its next occurrence; null while it is disabled. What is replaced keeps its runs, and one whose
   * times are the same goes on as planned.
   *
   * Throws LW400 for what is not valid or never fires, with the part of a cron expression that is wrong between > and <; LW404 for an
   * unknown task or required schedule; LW409 for the name of a crontab's entry; LW422 for a payload that its task does not take.
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
   * All schedules, those of crontabs included, by name.
   *
   * @example
   * const late = (await legwork.schedules.list()).filter(({ problem }) => problem !== null);
   */
  list(filter?: { tenant?: string }): Promise<Schedule[]>;
  /**
   * One schedule. Throws LW404 with the nearest name for an unknown one.
   *
   * @example
   * const { sentence, nextAt, lastOutcome } = await legwork.schedules.get("daily-report");
   */
  get(name: string): Promise<Schedule>;
  /**
   * Removes a schedule; its jobs and what became of its occurrences stay. Throws LW404 for an unknown one, LW409 for an entry of a crontab.
   *
   * @example
   * await legwork.schedules.remove("daily-report");
   */
  remove(name: string): Promise<void>;
  /**
   * Lets a schedule occur again from now on; what was due meanwhile does not count. Resolves to the next occurrence. Throws LW404 for an unknown
   * one, LW409 for an entry of a crontab.
   *
   * @example
   * const next = await legwork.schedules.enable("daily-report");
   */
  enable(name: string): Promise<Date | null>;
  /**
   * Nothing of a schedule is due until it is enabled again; jobs that it has enqueued stay. Resolves to whether it was enabled. Throws as `enable`.
   *
   * @example
   * const wasEnabled = await legwork.schedules.disable("daily-report");
   */
  disable(name: string): Promise<boolean>;
  /**
   * Runs a schedule now, also a disabled one, and resolves to the job's id. It does not count against `maxRuns` and does not wait for what
   * the schedule requires. Throws LW404 for an unknown one, LW409 for an entry of a crontab and while `maxInstances` of its jobs live.
   *
   * @example
   * const id = await legwork.schedules.run("daily-report");
   */
  run(name: string): Promise<string>;
  /**
   * What became of the last occurrences of a schedule, the newest first, 20 unless `limit` says otherwise; with `before` those before that time. It outlives the
   * schedule, as long as the history is kept.
   *
   * @example
   * const missed = (await legwork.schedules.runs("daily-report")).filter(({ state }) => state === "missed");
   */
  runs(name: string, options?: { limit?: number; before?: Date }): Promise<ScheduleRun[]>;
  /**
   * The next occurrences that a schedule would have. Nothing is stored. Throws LW400 for what `set` refuses: an expression that is not valid or never fires, an unknown
   * time zone.
   *
   * @example
   * for (const { at, local } of await legwork.schedules.preview({ cron: "0 9 * * 1-5" }, { timezone: "Europe/Berlin", count: 3 })) console.log(at, local);
   */
  preview(timing: Timing, options?: Omit<PreviewOptions, "client">): Promise<Preview[]>;
  /**
   * How many jobs the enabled schedules will enqueue in each of the next hours (24), by their times alone: what is skipped, missed or held back is not known ahead.
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
