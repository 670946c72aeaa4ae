import { scheduleRunSchema, scheduleSchema } from "../contract/schedules.ts";
import { type Answer, rowReader } from "../contract/rows.ts";

/** A schedule, from the database or a crontab, with intervals in Postgres's text format. */
export type Schedule = Answer<typeof scheduleSchema>;
export const toSchedule = rowReader(scheduleSchema);

/** The outcome of one occurrence of a schedule, or of several in a row. */
export type ScheduleRun = Answer<typeof scheduleRunSchema>;
export const toScheduleRun = rowReader(scheduleRunSchema);
