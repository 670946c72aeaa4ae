import type { Problems } from "../health/problems.ts";
import type { Middleware } from "../jobs/middleware.ts";
import type { WorkerEventHub } from "../jobs/worker-events.ts";
import type { Logger } from "../log.ts";
import type { Endpoint } from "./endpoint-tasks.ts";
import type { ForbiddenFlags, WorkerConfig } from "./graphile/preset.ts";
import type { HealthPort } from "./health/health-port.ts";
import type { TaskSelection } from "./task-selection.ts";

export interface WorkerOptions extends TaskSelection {
  databaseUrl: string;
  log: Logger;
  /** Directories of task files. */
  tasks: readonly string[];
  /** Tasks that are HTTP endpoints, by task name. */
  endpoints?: Readonly<Record<string, Endpoint>> | undefined;
  /** The secrets with which requests to endpoints are signed. */
  endpointSecret?: readonly string[] | undefined;
  /** A graphile-worker crontab. If the file does not exist, there are no crontab schedules. */
  crontab?: string;
  /** The number of jobs that run at a time. */
  concurrency: number;
  /** The number of jobs that one statement fetches; 0 fetches one at a time. By default, the number adapts to how long jobs take. */
  localQueueSize?: number | undefined;
  /** How long a stopping worker lets running jobs finish before it returns them to the queue (ms). */
  shutdownTimeout: number;
  /** Receives the worker's problems, for a server in the same process. */
  problems?: Problems;
  /** Serves `/health`, `/ready` and `/metrics` for the worker. */
  health?: HealthPort | undefined;
  /** The memory limit of an isolated task: JavaScript heap in a thread, resident memory in a process (MB; 512 by default). */
  isolateMemory?: number;
  /** The number of jobs after which a thread or process for isolated tasks is replaced; 5,000 by default. */
  isolateJobs?: number;
  /** How long a task may block the event loop before this process is killed (ms). No limit by default or with 0. */
  maxBlocked?: number | undefined;
  /** A graphile-worker preset, whose plugins, events, logger and time settings are used. Settings that are also among these options are ignored. */
  preset?: WorkerConfig | undefined;
  /** Aborts an incomplete start: `startWorker` then rejects, or returns a worker that fetches nothing and must be stopped. */
  signal?: AbortSignal | undefined;
  /** Jobs with one of these flags are not fetched. */
  forbiddenFlags?: ForbiddenFlags | undefined;
  /** Middleware that runs around attempts and enqueues, and receives the worker's events. */
  middleware?: readonly Middleware[] | undefined;
  /** The configuration file whose default export contains the middleware, for the threads and processes of isolated tasks. */
  middlewareFile?: string | undefined;
  /** Passes events to listeners. By default, the worker creates its own hub. */
  events?: WorkerEventHub | undefined;
  /** Nothing is fetched before this resolves. `startWorker` does not wait for it. */
  mayBegin?: Promise<unknown> | undefined;
}
