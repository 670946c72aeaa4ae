import { CronTimes } from "../../schedules/cron.ts";
import type { ScheduleOptions } from "../../schedules/schedule.ts";
import { parseExactly } from "../../json.ts";
import { toError } from "../../errors.ts";
import type { OptionNote, SourceSchedule } from "../source.ts";

export interface ScheduleRow {
  readonly name: string;
  readonly key: string;
  readonly kind: string;
  readonly cron: string;
  readonly timezone: string | null;
  readonly data: string | null;
  /** The retry limit of the schedule's queue. */
  readonly retryLimit: number;
  readonly options: Readonly<Record<string, unknown>> | null;
}

/** Options of a pg-boss schedule that do not concern its jobs, or that are mapped below. */
const HANDLED = new Set(["tz", "key", "missed", "priority", "retryLimit"]);

export function mapPgBossSchedule(row: ScheduleRow): SourceSchedule {
  const given = row.options ?? {};
  const { priority, retryLimit, missed } = given;
  const notes: OptionNote[] = Object.keys(given)
    .filter((option) => !HANDLED.has(option))
    .map((option) => ({ option, text: "is a setting of the task, not of the schedule" }));
  const options: ScheduleOptions = {
    cron: row.cron,
    timezone: row.timezone ?? "UTC",
    payload: row.data === null ? {} : parseExactly(row.data),
    // pg-boss skips occurrences that are due while no instance of it is running.
    missed: missed === "once" ? "one" : "none",
    ...(typeof priority === "number" ? { priority: Math.max(-32_768, Math.min(32_767, -priority)) } : {}),
    maxAttempts: Math.min(32_767, (typeof retryLimit === "number" ? retryLimit : row.retryLimit) + 1),
  };
  const name = row.key === "" ? row.name : `${row.name}:${row.key}`;
  return {
    id: `schedule:${name}`,
    queue: row.name,
    names: [row.name],
    label: name,
    name,
    options,
    notes,
    obstacle:
      row.kind === "cron"
        ? obstacleOf(row)
        : "It is a recurrence rule (RRULE), which Legwork does not support; use a cron expression or an interval.",
  };
}

function obstacleOf({ cron, timezone }: ScheduleRow): string | undefined {
  try {
    new CronTimes(cron, timezone ?? "UTC").next(new Date(), 1);
    return undefined;
  } catch (thrown) {
    return `Its timing is not valid: ${toError(thrown).message}`;
  }
}
