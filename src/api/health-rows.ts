import type { AlertRuleRow } from "../health/alert-rules.ts";
import type { AlertRow } from "../health/list-alerts.ts";
import type { SeriesIntervalRow } from "../health/read-series.ts";
import type { TaskStatistics as TaskStatisticsRow } from "../health/read-statistics.ts";
import type { SilenceRow } from "../health/silence-alerts.ts";
import { type CamelCased, camelCased } from "./camel-case.ts";

/** An alert that was raised. */
export type Alert = CamelCased<AlertRow>;
export const toAlert = camelCased<AlertRow>({
  raised_at: "raisedAt",
  critical_at: "criticalAt",
  clear_since: "clearSince",
  resolved_at: "resolvedAt",
  acknowledged_at: "acknowledgedAt",
  acknowledged_by: "acknowledgedBy",
});

/** What raises alerts; intervals as Postgres writes them. */
export type AlertRule = CamelCased<AlertRuleRow>;
export const toAlertRule = camelCased<AlertRuleRow>({
  at_least: "atLeast",
  raise_after: "raiseAfter",
  resolve_after: "resolveAfter",
  is_enabled: "isEnabled",
});

/** A time in which alerts are not sent. */
export type Silence = CamelCased<SilenceRow>;
export const toSilence = camelCased<SilenceRow>({ silenced_by: "silencedBy", silenced_at: "silencedAt" });

const COUNTED = { failed_attempts: "failedAttempts" } as const;

/** What became of a task's jobs; times are seconds. */
export type TaskStatistics = CamelCased<TaskStatisticsRow>;
export const toTaskStatistics = camelCased<TaskStatisticsRow>({
  ...COUNTED,
  error_rate: "errorRate",
  wait_average: "waitAverage",
  wait_p95: "waitP95",
  run_average: "runAverage",
  run_p50: "runP50",
  run_p95: "runP95",
  run_p99: "runP99",
});

/** What became of jobs in one interval of a series; times are seconds. */
export type SeriesInterval = CamelCased<SeriesIntervalRow>;
export const toSeriesInterval = camelCased<SeriesIntervalRow>({
  ...COUNTED,
  is_whole: "isWhole",
  wait_p50: "waitP50",
  wait_p95: "waitP95",
  wait_p99: "waitP99",
  run_p50: "runP50",
  run_p95: "runP95",
  run_p99: "runP99",
});
