import type { ScheduleRow, ScheduleRunRow } from "../schedules/list-schedules.ts";
import { type CamelCased, camelCased } from "./camel-case.ts";

/** A schedule, also one of a crontab; intervals as Postgres writes them. */
export type Schedule = CamelCased<ScheduleRow>;
export const toSchedule = camelCased<ScheduleRow>({
  is_enabled: "isEnabled",
  next_at: "nextAt",
  last_due_at: "lastDueAt",
  last_state: "lastState",
  last_job_id: "lastJobId",
  last_outcome: "lastOutcome",
  max_runs: "maxRuns",
  starts_at: "startsAt",
  ends_at: "endsAt",
  max_instances: "maxInstances",
  missed_window: "missedWindow",
  requires_wait: "requiresWait",
  max_attempts: "maxAttempts",
  created_at: "createdAt",
  created_by: "createdBy",
  updated_at: "updatedAt",
});

/** What became of an occurrence of a schedule, or of several in a row. */
export type ScheduleRun = CamelCased<ScheduleRunRow>;
export const toScheduleRun = camelCased<ScheduleRunRow>({
  due_at: "dueAt",
  job_id: "jobId",
  last_due_at: "lastDueAt",
  recorded_at: "recordedAt",
});
