import { limitUseSchema, queueSchema, taskSchema, workerSchema } from "../contract/queues.ts";
import { limitTotalSchema, workerStartSchema } from "../contract/statistics.ts";
import { overviewSchema } from "../contract/system.ts";
import type { QueueRow, TaskRow } from "../queues/read-queues.ts";
import { type Answer, fromRow, type Row, rowReader } from "../contract/rows.ts";

/** A worker that is alive, or was a moment ago. */
export type Worker = Answer<typeof workerSchema>;
export const toWorker = rowReader(workerSchema);

/** Workers of one machine that started together. */
export type WorkersStarted = Answer<typeof workerStartSchema>;
export const toWorkersStarted = rowReader(workerStartSchema);

/** How much of a limit is in use, by all of its keys. */
export type LimitUsage = Answer<typeof limitTotalSchema>;
export const toLimitUsage = rowReader(limitTotalSchema);

/** How much of a limit one value of its key has used up. */
export type KeyUsage = Answer<typeof limitUseSchema>;
export const toKeyUsage = rowReader(limitUseSchema);

/** How the whole system is, at a glance. */
export type Overview = Answer<typeof overviewSchema>;
export const toOverview = rowReader(overviewSchema);

/** A queue with what waits and runs in it. */
export type Queue = Answer<typeof queueSchema>;
export function toQueue(row: QueueRow): Queue {
  return fromRow(queueSchema, row as Row<Queue>);
}

/** A task that a worker has announced or that a job was made for. */
export type TaskDetails = Answer<typeof taskSchema>;
export function toTask(row: TaskRow): TaskDetails {
  return fromRow(taskSchema, row as Row<TaskDetails>);
}

/** How jobs are retried; intervals as Postgres writes them. What is null counts as graphile-worker does it. */
export type RetryRules = NonNullable<Queue["retry"]>;
