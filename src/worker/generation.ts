import { EventEmitter } from "node:events";
import {
  Logger as GraphileLogger,
  type ParsedCronItem,
  run,
  type Runner,
  type TaskList,
  type WorkerEvents,
  type WorkerPool,
} from "graphile-worker";
import { createPool, logFault, type Pool } from "../db/pool.ts";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { within } from "../within.ts";
import { counted } from "../wording.ts";
import type { RunEnvironment } from "./attempt/run.ts";
import { adaptLocalQueue, LONGEST_WAIT_MS } from "./graphile/adaptive-queue.ts";
import { type Fetched, unprepared } from "./graphile/fetch-statement.ts";
import { graphileLogger } from "./graphile/logger.ts";
import { guardNotifications } from "./graphile/notifications.ts";
import type { Attachment } from "./graphile/outcomes.ts";
import { SchemaWatch } from "./graphile/schema-watch.ts";
import type { Heartbeat } from "./heartbeat/heartbeat.ts";
import type { Intake } from "./intake.ts";
import type { Isolation } from "./isolate/isolation.ts";
import { Lease } from "./lease.ts";
import type { Poll } from "./loops/poll.ts";
import type { QueueSlots } from "./queue-slots.ts";
import type { RunnerEnd, Supervised } from "./supervisor.ts";
import type { FaultKind } from "./worker-faults.ts";
import { jobFields } from "./worker-log.ts";
import type { WorkerOptions } from "./worker-options.ts";

/** How long to wait for completions in progress when a pool ends unexpectedly (ms). */
const FLUSH_MS = 1_000;

/** How long a stopping worker may take after its shutdown timeout to return its jobs to the queue, if the database does not respond (ms). */
export const HAND_OVER_MS = 800;

/** How long returning jobs to the queue may take while the worker keeps running (ms). It is retried if it takes longer. */
const RELEASE_TIMEOUT_MS = 5_000;

/** How often graphile-worker's listening connection is checked (ms). The worker's poll finds jobs that a dead connection has missed. */
const PROVE_INTERVAL_MS = 30_000;

/** How often graphile-worker fetches without being triggered (ms). The worker's poll triggers a fetch when jobs are due. */
const FETCH_INTERVAL_MS = 15_000;

export interface GenerationOptions extends WorkerOptions {
  /** Sets the worker's id in its log. */
  readonly name: (workerId: string) => void;
  readonly taskList: TaskList;
  /** The tasks that the worker has loaded but was started without (`--only`, `--except`). */
  readonly excluded: readonly string[];
  readonly queueSlots: QueueSlots | undefined;
  readonly cronItems: ParsedCronItem[];
  readonly environment: RunEnvironment;
  readonly isolation: Isolation;
  readonly intake: Intake;
  readonly heartbeat: Heartbeat;
  readonly leasePool: Pool;
  readonly poll: Poll;
  /** Records a problem of this worker, for doctor, alerts and metrics. */
  readonly noteFault: (kind: FaultKind, reason: string, jobId: string | undefined) => void;
  readonly untilStopped: Promise<undefined>;
}

/** Starts a graphile-worker runner with its pool and its lease: the parts that must be recreated after the database was unavailable. */
export async function startGeneration(options: GenerationOptions): Promise<Supervised> {
  const { log, concurrency, environment } = options;
  const {
    maxPoolSize,
    pollInterval,
    gracefulShutdownAbortTimeout,
    completeJobBatchDelay,
    failJobBatchDelay,
    localQueue,
    logger,
  } = options.preset?.options ?? {};
  // The pool for listening, cron, fetching and completing. Only a few connections are ever open, but graphile-worker warns if the maximum is lower
  // than the concurrency.
  const pool = createPool(options.databaseUrl, {
    log,
    max: maxPoolSize === undefined ? Math.max(10, concurrency) : Math.max(2, maxPoolSize),
    // One connection listens, and the other can fetch a new job without having to connect first.
    min: 2,
    name: "legwork worker",
  });
  const events = (options.preset?.events() ?? new EventEmitter()) as WorkerEvents;
  const registered = Promise.withResolvers<boolean>();
  const closed = new AbortController();
  const recorder = environment.outcomes.attachTo(pool, {
    events,
    mayFetch: Promise.race([
      Promise.all([registered.promise, options.mayBegin]).then(([isRegistered]) => isRegistered),
      options.untilStopped.then(() => false),
    ]),
    isQuiet: () => !options.intake.isOpen,
    fetch: fetchOf(options),
    log,
    signal: closed.signal,
    onProblem: (problem, jobId) => {
      options.problems?.set("recording", problem);
      if (problem !== undefined) options.noteFault("recording", problem, jobId);
    },
  });
  guardNotifications(events, { pool: options.leasePool, log, concurrency, signal: closed.signal });
  const created = new Promise<{ workerPool: WorkerPool }>((resolve) => events.once("pool:create", resolve));
  const listening = new Promise<void>((resolve) => events.once("pool:listen:success", () => resolve()));
  proveListening(events);
  options.intake.attachTo(events);
  options.queueSlots?.attachTo(events);
  const isAdaptive = options.localQueueSize === undefined && options.forbiddenFlags === undefined;
  if (isAdaptive) adaptLocalQueue(events);
  let runner: Runner;
  try {
    runner = await run({
      pgPool: pool,
      taskList: options.taskList,
      parsedCronItems: options.cronItems,
      noHandleSignals: true,
      events,
      forbiddenFlags: options.forbiddenFlags ?? null,
      preset: {
        extends: options.preset === undefined ? [] : [options.preset.preset()],
        worker: {
          logger: logger ?? new GraphileLogger(graphileLogger(log)),
          concurrentJobs: concurrency,
          gracefulShutdownAbortTimeout: Math.min(gracefulShutdownAbortTimeout ?? Infinity, options.shutdownTimeout * 0.8),
          pollInterval: pollInterval ?? FETCH_INTERVAL_MS,
          // By default, graphile-worker completes each job in its own statement.
          completeJobBatchDelay: Math.max(0, completeJobBatchDelay ?? 0),
          failJobBatchDelay: Math.max(0, failJobBatchDelay ?? 0),
          // A local queue fetches jobs regardless of their flags, and would then never run the jobs with forbidden flags.
          localQueue: {
            ...(isAdaptive && { ttl: LONGEST_WAIT_MS }),
            ...localQueue,
            size: isAdaptive
              ? concurrency
              : options.localQueueSize && options.forbiddenFlags === undefined
                ? options.localQueueSize
                : -1,
          },
        },
      },
    });
  } catch (error) {
    await pool.end();
    throw error;
  }
  // Wrapped in an object, because the pool itself is a promise that resolves when the pool ends.
  const { workerPool } = await created;
  const { id } = workerPool;
  options.name(id);
  const lease = new Lease({
    pool: options.leasePool,
    log,
    clock: environment.clock,
    heartbeat: options.heartbeat,
    workerId: id,
    concurrency,
    tasks: Object.keys(options.taskList),
    excluded: options.excluded,
    slots: options.queueSlots === undefined ? undefined : options.slots,
    control: environment.control,
    intake: options.intake,
  });
  environment.lease = lease;
  environment.control.workerId = id;
  options.poll.attachTo({ workerId: id, recovery: lease.recovery, concurrency, fetch: () => workerPool.nudge(concurrency) });
  for (const event of ["pool:listen:notification", "job:error"] as const) events.on(event, () => options.poll.soon());
  // If a worker were killed with jobs before it is registered, other workers would not notice.
  void lease.registered.then(() => registered.resolve(true));
  void options.untilStopped.then(() => registered.resolve(false));
  const schema = new SchemaWatch({ pool: options.leasePool, log });
  let schemaError: Error | undefined;
  void schema.gone.then((error) => {
    schemaError = error;
    return runner.stop().catch(() => undefined);
  });
  const ended = endOf(runner, events, options.shutdownTimeout).then((end) => ({ ...end, error: schemaError ?? end.error }));
  await Promise.race([Promise.all([listening, lease.registered]), ended, options.untilStopped]);

  const release = async (timeout = RELEASE_TIMEOUT_MS): Promise<boolean> => {
    void schema.stop();
    // Jobs that have ended do not have to run again if their outcomes can still be recorded.
    await within(Math.min(FLUSH_MS, timeout / 2), recorder.settled());
    closed.abort();
    closeQuietly(pool, log);
    try {
      const returned = await lease.release(timeout);
      // The other jobs were only fetched.
      const started = returned.filter((jobId) => environment.control.running.has(jobId));
      for (const jobId of started) environment.givenBack.add(jobId);
      if (started.length > 0) {
        const message = `${counted(started.length, "job")} returned to the queue while still running here.`;
        log.warn({ event: "jobs_given_back", ...jobFields(started) }, message);
      }
      return true;
    } catch (error) {
      logFault(options.leasePool, log, error, "Cannot return jobs to the queue.", { event: "give_back_failed" });
      return false;
    }
  };
  return {
    ended,
    release,
    async stop(timeout) {
      const graceful = runner
        .stop()
        .catch((error: unknown) => log.warn({ event: "stop_failed", err: toError(error) }, "The worker did not stop cleanly."));
      const deadline = performance.now() + timeout;
      await within(timeout, Promise.all([graceful, recorder.settled()]));
      // Stop isolated tasks before their jobs return to the queue: a task that is still running in a separate thread or process must not overlap with
      // its next attempt.
      await within(HAND_OVER_MS, options.isolation.stop());
      await release(Math.max(HAND_OVER_MS / 2, deadline - performance.now()));
    },
  };
}

/**
 * Resolves when a runner has ended unexpectedly, with the reason. When graphile-worker cannot complete a job, it stops the whole pool, lets running
 * jobs finish, and then may wait forever for a batch that it has abandoned. So this uses the runner's events, and its promise only if the promise
 * settles.
 */
async function endOf(runner: Runner, events: WorkerEvents, timeout: number): Promise<RunnerEnd> {
  let error: Error | undefined;
  let jobId: string | undefined;
  const shuttingDown = new Promise<void>((resolve) => events.once("pool:gracefulShutdown", () => resolve()));
  const shutDown = new Promise<void>((resolve) => {
    events.once("pool:gracefulShutdown:complete", () => resolve());
    events.once("pool:gracefulShutdown:error", () => resolve());
  });
  events.on("pool:fatalError", (event) => (error ??= toError(event.error)));
  events.on("worker:fatalError", (event) => {
    error ??= toError(event.error);
    jobId ??= event.worker.getActiveJob()?.id;
  });
  const ended = runner.promise.catch((thrown: unknown) => void (error ??= toError(thrown)));
  await Promise.race([ended, shuttingDown]);
  // Running jobs must not be given to other workers yet: they get the same time to finish as in a normal stop.
  await within(timeout, Promise.race([ended, shutDown]));
  await within(FLUSH_MS, ended);
  return { error, jobId };
}

/**
 * Checks graphile-worker's listening connection every few seconds: nothing is sent on it otherwise, and a connection that died silently is detected
 * only when a statement gets no response.
 */
function proveListening(events: WorkerEvents): void {
  let timer: NodeJS.Timeout | undefined;
  events.on("pool:listen:success", ({ client }) => {
    let isAsking = false;
    clearInterval(timer);
    timer = setInterval(() => {
      if (isAsking) return;
      isAsking = true;
      client.query("select 1").then(
        () => (isAsking = false),
        () => undefined,
      );
    }, PROVE_INTERVAL_MS).unref();
  });
  for (const event of ["pool:listen:error", "pool:listen:release", "pool:release"] as const)
    events.on(event, () => clearInterval(timer));
}

/**
 * Returns the function that sends the fetch statement; undefined sends it unchanged. If the worker excludes tasks, the fetch must not scan their
 * jobs.
 */
function fetchOf({ queueSlots, excluded }: GenerationOptions): Attachment["fetch"] {
  if (queueSlots !== undefined) {
    return (statement, send) => queueSlots.fetch(excluded.length === 0 ? statement : unprepared(statement), send);
  }
  return excluded.length === 0 ? undefined : async (statement, send) => (await send(unprepared(statement))) as Fetched;
}

/** Closes a pool without waiting for connections that are still in use. The pool cannot be used after this. */
export function closeQuietly(pool: Pool, log: Logger): void {
  pool.end().catch((error: unknown) => log.debug({ err: toError(error) }, "A pool did not close cleanly."));
}
