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

/** How long completions in progress may take when a pool ends unexpectedly (ms). */
const FLUSH_MS = 1_000;

/** How long after its shutdown timeout a stopping worker may take to return its jobs to the queue when the database does not respond (ms). */
export const HAND_OVER_MS = 800;

/** How long returning jobs to the queue may take while the worker continues (ms); it is retried. */
const RELEASE_TIMEOUT_MS = 5_000;

/** How often graphile-worker's listening connection is checked (ms). What a dead one misses, the worker's poll finds. */
const PROVE_INTERVAL_MS = 30_000;

/** How often graphile-worker fetches of its own accord (ms): the worker's poll tells it when jobs are due. */
const FETCH_INTERVAL_MS = 15_000;

export interface GenerationOptions extends WorkerOptions {
  /** Sets the id of the worker in its log. */
  readonly name: (workerId: string) => void;
  readonly taskList: TaskList;
  /** The tasks that it has and was told not to run. */
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

/** Starts a graphile-worker runner with its pool and its lease: the parts that must be recreated when the database was unavailable. */
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
  // For listening, cron, fetching and completing. Only a few are ever open, but graphile-worker warns if there are fewer than the concurrency.
  const pool = createPool(options.databaseUrl, {
    log,
    max: maxPoolSize === undefined ? Math.max(10, concurrency) : Math.max(2, maxPoolSize),
    // One listens, and the other fetches a job that arrives without connecting first.
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
          // A local queue fetches jobs regardless of their flags, and then never runs the forbidden ones.
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
  // In an object, because the pool itself is a promise that resolves at its end.
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
  // A worker that was killed with jobs before it is registered would not be missed.
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
    // Jobs that have ended and can still be recorded need not run again.
    await within(Math.min(FLUSH_MS, timeout / 2), recorder.settled());
    closed.abort();
    closeQuietly(pool, log);
    try {
      const returned = await lease.release(timeout);
      // The others were only fetched.
      const started = returned.filter((jobId) => environment.control.running.has(jobId));
      for (const jobId of started) environment.givenBack.add(jobId);
      if (started.length > 0) {
        const message = `${counted(started.length, "job")} returned to the queue while still running here.`;
        log.warn({ event: "jobs_given_back", ...jobFields(started) }, message);
      }
      return true;
    } catch (error) {
      logFault(options.leasePool, log, error, "Cannot return jobs to the queue now.", { event: "give_back_failed" });
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
      // Before its jobs return to the queue: a task that is still running in a separate thread or process must not overlap with its next attempt.
      await within(HAND_OVER_MS, options.isolation.stop());
      await release(Math.max(HAND_OVER_MS / 2, deadline - performance.now()));
    },
  };
}

/**
 * Resolves when a runner has ended unexpectedly, with the reason. When graphile-worker cannot complete a job, it stops the whole pool,
 * lets running jobs finish, and then may wait forever for a batch that it has given up. So its events count, and its
 * promise only if it settles.
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
  // Running jobs must not be taken by other workers yet: they get the same time as in a normal stop.
  await within(timeout, Promise.race([ended, shutDown]));
  await within(FLUSH_MS, ended);
  return { error, jobId };
}

/**
 * Checks graphile-worker's listening connection every few seconds: it never sends anything on its own, and a connection that died silently is
 * detected only by a statement without a response.
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

/** How a worker fetches: as it is by default, unless it leaves out tasks, whose jobs the fetch must not read through. */
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
