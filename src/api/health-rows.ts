import { alertRuleSchema, alertSchema, silenceSchema, taskStatisticsSchema } from "../contract/alerts.ts";
import { seriesIntervalSchema } from "../contract/statistics.ts";
import { type Answer, rowReader } from "../contract/rows.ts";

/** An alert that was raised. */
export type Alert = Answer<typeof alertSchema>;
export const toAlert = rowReader(alertSchema);

/** What raises alerts; intervals as Postgres writes them. */
export type AlertRule = Answer<typeof alertRuleSchema>;
export const toAlertRule = rowReader(alertRuleSchema);

/** A time in which alerts are not sent. */
export type Silence = Answer<typeof silenceSchema>;
export const toSilence = rowReader(silenceSchema);

/** What became of a task's jobs; times are seconds. */
export type TaskStatistics = Answer<typeof taskStatisticsSchema>;
export const toTaskStatistics = rowReader(taskStatisticsSchema);

/** What became of jobs in one interval of a series; times are seconds. */
export type SeriesInterval = Answer<typeof seriesIntervalSchema>;
export const toSeriesInterval = rowReader(seriesIntervalSchema);
