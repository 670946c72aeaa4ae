import { alertRuleSchema, alertSchema, silenceSchema, taskStatisticsSchema } from "../contract/alerts.ts";
import { seriesIntervalSchema } from "../contract/statistics.ts";
import { type Answer, rowReader } from "../contract/rows.ts";

/** A raised alert. */
export type Alert = Answer<typeof alertSchema>;
export const toAlert = rowReader(alertSchema);

/** An alert rule, with intervals in Postgres's text format. */
export type AlertRule = Answer<typeof alertRuleSchema>;
export const toAlertRule = rowReader(alertRuleSchema);

/** A period in which alerts are not sent. */
export type Silence = Answer<typeof silenceSchema>;
export const toSilence = rowReader(silenceSchema);

/** How a task's jobs ended, and how long they waited and ran; times are in seconds. */
export type TaskStatistics = Answer<typeof taskStatisticsSchema>;
export const toTaskStatistics = rowReader(taskStatisticsSchema);

/** How jobs ended in one interval of a series; times are in seconds. */
export type SeriesInterval = Answer<typeof seriesIntervalSchema>;
export const toSeriesInterval = rowReader(seriesIntervalSchema);
