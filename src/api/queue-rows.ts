import { limitUseSchema, queueSchema, taskSchema, workerSchema } from "../contract/queues.ts";
import { limitTotalSchema, workerStartSchema } from "../contract/statistics.ts";
import { overviewSchema } from "../contract/system.ts";
import type { QueueRow, TaskRow } from "../queues/read-queues.ts";
import { type Answer, fromRow, type Row, rowReader } from "../contract/rows.ts";

/** A worker that is running, or was until a moment ago. */
export type Worker = Answer<typeof workerSchema>;
export const toWorker = rowReader(workerSchema);

/** Workers on one host that started together. */
export type WorkersStarted = Answer<typeof workerStartSchema>;
export const toWorkersStarted = rowReader(workerStartSchema);

/** How much of a limit is in use, across all of its keys. */
export type LimitUsage = Answer<typeof limitTotalSchema>;
export const toLimitUsage = rowReader(limitTotalSchema);

/** How much of a limit is in use for one value of its key. */
export type KeyUsage = Answer<typeof limitUseSchema>;
export const toKeyUsage = rowReader(limitUseSchema);

/** The state of the whole system, in numbers. */
export type Overview = Answer<typeof overviewSchema>;
export const toOverview = rowReader(overviewSchema);

/** A queue, with the number of its waiting and running jobs. */
export type Queue = Answer<typeof queueSchema>;
export function toQueue(row: QueueRow): Queue {
  return fromRow(queueSchema, row as Row<Queue>);
}

/** A task that a worker has registered or that a job was enqueued for. */
export type TaskDetails = Answer<typeof taskSchema>;
export function toTask(row: TaskRow): TaskDetails {
  return fromRow(taskSchema, row as Row<TaskDetails>);
}

/** How jobs are retried, with intervals in Postgres's text format. For fields that are null, graphile-worker's defaults apply. */
export type RetryRules = NonNullable<Queue["retry"]>;
