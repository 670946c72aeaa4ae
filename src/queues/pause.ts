import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";

/**
 * Pauses a queue: from 300 ms after the commit, no worker starts any of its jobs. Running jobs finish; nothing is lost. Throws LW404 for an unknown
 * queue.
 *
 * @example
 * import { pauseQueue } from "legwork/operations";
 *
 * await pauseQueue(client, "notification", "the mail server is down");
 */
export async function pauseQueue(client: Queryable, queue: string, reason?: string): Promise<void> {
  await callFunction(client, "legwork.pause_queue", { queue, reason });
}

/**
 * Ends a queue's pause. Returns whether it was paused. Throws LW404 for an unknown queue.
 *
 * @example
 * import { resumeQueue } from "legwork/operations";
 *
 * const wasPaused = await resumeQueue(client, "notification");
 */
export async function resumeQueue(client: Queryable, queue: string): Promise<boolean> {
  const [row] = await callFunction(client, "legwork.resume_queue", { queue });
  return row.resume_queue;
}

/**
 * Pauses a task, like `pauseQueue`.
 *
 * @example
 * import { pauseTask } from "legwork/operations";
 *
 * await pauseTask(client, "notify/welcome");
 */
export async function pauseTask(client: Queryable, task: string, reason?: string): Promise<void> {
  await callFunction(client, "legwork.pause_task", { task, reason });
}

/**
 * Ends a task's pause. Returns whether it was paused. Throws LW404 for an unknown task.
 *
 * @example
 * import { resumeTask } from "legwork/operations";
 *
 * const wasPaused = await resumeTask(client, "notify/welcome");
 */
export async function resumeTask(client: Queryable, task: string): Promise<boolean> {
  const [row] = await callFunction(client, "legwork.resume_task", { task });
  return row.resume_task;
}

/**
 * Stops everything: no job starts until `resumeAll` is called. Running jobs finish.
 *
 * @example
 * import { emergencyStop } from "legwork/operations";
 *
 * await emergencyStop(client, "the database is being moved");
 */
export async function emergencyStop(client: Queryable, reason?: string): Promise<void> {
  await callFunction(client, "legwork.emergency_stop", { reason });
}

/**
 * Ends the emergency stop. Returns whether one was active. Queues and tasks that were paused individually stay paused.
 *
 * @example
 * import { resumeAll } from "legwork/operations";
 *
 * const wasStopped = await resumeAll(client);
 */
export async function resumeAll(client: Queryable): Promise<boolean> {
  const [row] = await callFunction(client, "legwork.resume_all", {});
  return row.resume_all;
}
