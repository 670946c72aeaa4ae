import { scheduleRunSchema, scheduleSchema } from "../contract/schedules.ts";
import { type Answer, rowReader } from "../contract/rows.ts";

/** A schedule, also one of a crontab; intervals as Postgres writes them. */
export type Schedule = Answer<typeof scheduleSchema>;
export const toSchedule = rowReader(scheduleSchema);

/** What became of an occurrence of a schedule, or of several in a row. */
export type ScheduleRun = Answer<typeof scheduleRunSchema>;
export const toScheduleRun = rowReader(scheduleRunSchema);
