import type { Queryable } from "../db/pool.ts";
import type { RetryPolicy } from "../jobs/task-policy.ts";
import type { Reason } from "../jobs/explain-job.ts";
import { explainQueue } from "../queues/explain-queue.ts";
import { explainWorker } from "../queues/explain-worker.ts";
import { pauseQueue, pauseTask, resumeQueue, resumeTask } from "../queues/pause.ts";
import { drainWorker, quietWorker, resumeWorker } from "../queues/quiet-worker.ts";
import { getQueue, getTask, listQueues, listTasks, listWorkers } from "../queues/read-queues.ts";
import { dropRetryPolicy, setRetryPolicy } from "../queues/retry-policy.ts";
import { listWorkerStarts } from "../health/read-series.ts";
import {
  type Queue,
  type TaskDetails,
  toQueue,
  toTask,
  toWorker,
  toWorkersStarted,
  type Worker,
  type WorkersStarted,
} from "./queue-rows.ts";

/** The operations that queues and tasks have in common. */
interface Pausable {
  /**
   * Pauses the queue or task: from 300 ms after the commit, no worker starts any of its jobs. Running jobs finish; nothing is lost. Throws LW404 for
   * an unknown name.
   *
   * @example
   * await legwork.queues.pause("notification", "the mail server is down");
   * await legwork.tasks.pause("notify/welcome");
   */
  pause(name: string, reason?: string): Promise<void>;
  /**
   * Ends the pause. Returns whether it was paused. Throws LW404 for an unknown name.
   *
   * @example
   * const wasPaused = await legwork.queues.resume("notification");
   */
  resume(name: string): Promise<boolean>;
  /**
   * Sets how its jobs are retried, starting with their next failure. Replaces the previous policy. Throws LW400 for an invalid policy, LW404 for an
   * unknown name.
   *
   * @example
   * await legwork.queues.setRetryPolicy("notification", { attempts: 5, backoff: "exponential", delay: "10s", maxDelay: "1h" });
   * await legwork.tasks.setRetryPolicy("notify/welcome", { attempts: 1 });
   */
  setRetryPolicy(name: string, policy: RetryPolicy): Promise<void>;
  /**
   * Removes the policy that `setRetryPolicy` set. Returns whether there was one. Throws LW404 for an unknown name.
   *
   * @example
   * const wasSet = await legwork.tasks.removeRetryPolicy("notify/welcome");
   */
  removeRetryPolicy(name: string): Promise<boolean>;
}

/** `legwork.queues`: named groups of tasks that share limits, a retry policy and a pause switch. */
export interface Queues extends Pausable {
  /**
   * Lists all queues by name, with the numbers of their waiting and running jobs.
   *
   * @example
   * for (const { name, pending, running } of await legwork.queues.list()) console.log(name, pending, running);
   */
  list(): Promise<Queue[]>;
  /**
   * Returns one queue. Throws LW404 for an unknown queue, suggesting the closest name.
   *
   * @example
   * const { pausedAt, pauseReason } = await legwork.queues.get("notification");
   */
  get(name: string): Promise<Queue>;
  /**
   * Explains why a queue is stalled or falling behind: pauses, full limits, tasks without a worker, full workers, and how fast its jobs end. Throws
   * LW404 for an unknown queue.
   *
   * @example
   * for (const { detail, fix } of await legwork.queues.explain("notification")) console.log(`${detail} ${fix}`);
   */
  explain(name: string): Promise<Reason[]>;
}

export function queuesOn(client: Queryable): Queues {
  return {
    list: async () => (await listQueues(client)).map(toQueue),
    explain: (name) => explainQueue(client, name),
    get: async (name) => toQueue(await getQueue(client, name)),
    pause: (queue, reason) => pauseQueue(client, queue, reason),
    resume: (queue) => resumeQueue(client, queue),
    setRetryPolicy: (queue, policy) => setRetryPolicy(client, policy, { queue }),
    removeRetryPolicy: (queue) => dropRetryPolicy(client, { queue }),
  };
}

/** `legwork.tasks`: the tasks that workers have registered or that jobs were enqueued for. */
export interface Tasks extends Pausable {
  /**
   * Lists tasks by name. For the next page, pass the last name as `after`.
   *
   * @example
   * const tasks = await legwork.tasks.list({ queue: "mail" });
   */
  list(page?: { after?: string; queue?: string; limit?: number }): Promise<TaskDetails[]>;
  /**
   * Returns one task. Throws LW404 for an unknown task, suggesting the closest name.
   *
   * @example
   * const { description, payloadSchema } = await legwork.tasks.get("notify/email");
   */
  get(name: string): Promise<TaskDetails>;
}

export function tasksOn(client: Queryable): Tasks {
  return {
    list: async (page) => (await listTasks(client, page)).map(toTask),
    get: async (name) => toTask(await getTask(client, name)),
    pause: (task, reason) => pauseTask(client, task, reason),
    resume: (task) => resumeTask(client, task),
    setRetryPolicy: (task, policy) => setRetryPolicy(client, policy, { task }),
    removeRetryPolicy: (task) => dropRetryPolicy(client, { task }),
  };
}

/** `legwork.workers`: the processes that run jobs. */
export interface Workers {
  /**
   * Lists the Legwork workers that are running or were until a moment ago, oldest first.
   *
   * @example
   * for (const { id, host, running } of await legwork.workers.list()) console.log(id, host, running.length);
   */
  list(): Promise<Worker[]>;
  /**
   * Explains what is wrong with a worker: whether it is silent, blocked or full, and which tasks it lacks. Throws LW404 for an unknown worker.
   *
   * @example
   * for (const { id } of await legwork.workers.list()) console.log(id, (await legwork.workers.explain(id))[0]?.detail);
   */
  explain(id: string): Promise<Reason[]>;
  /**
   * Lists when workers started within a period and their versions of Legwork, newest first; at most 500.
   *
   * @example
   * const starts = await legwork.workers.starts(new Date(Date.now() - 3_600_000), new Date());
   */
  starts(from: Date, to: Date): Promise<WorkersStarted[]>;
  /**
   * Makes a worker quiet: within a second it stops taking new jobs, returns fetched jobs that have not started to the queue, and keeps running the
   * others. `worker` is its id or host:pid. Throws LW404 for a worker that is not running.
   *
   * @example
   * const [oldest] = await legwork.workers.list();
   * if (oldest !== undefined) await legwork.workers.quiet(oldest.name);
   */
  quiet(worker: string): Promise<void>;
  /**
   * Makes a worker quiet, and stops it when the last of its running jobs has ended. Throws LW404 for a worker that is not running.
   *
   * @example
   * for (const { id, version } of await legwork.workers.list()) if (version === "0.1.0") await legwork.workers.drain(id);
   */
  drain(worker: string): Promise<void>;
  /**
   * Makes a quiet or draining worker take jobs again. Returns whether it was quiet or draining. Throws LW404 for a worker that is not running.
   *
   * @example
   * for (const { id, state } of await legwork.workers.list()) if (state === "quiet") await legwork.workers.resume(id);
   */
  resume(worker: string): Promise<boolean>;
}

export function workersOn(client: Queryable): Workers {
  return {
    list: async () => (await listWorkers(client)).map(toWorker),
    explain: (id) => explainWorker(client, id),
    starts: async (from, to) => (await listWorkerStarts(client, from, to)).map(toWorkersStarted),
    quiet: (worker) => quietWorker(client, worker),
    drain: (worker) => drainWorker(client, worker),
    resume: (worker) => resumeWorker(client, worker),
  };
}
