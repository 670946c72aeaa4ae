import { existsSync, readFileSync } from "node:fs";
import { EventEmitter } from "node:events";
import {
  Logger as GraphileLogger,
  parseCrontab,
  type ParsedCronItem,
  run,
  type Runner,
  type TaskList,
  type WorkerEvents,
  type WorkerPool,
} from "graphile-worker";
import { outagesOf } from "../db/outages.ts";
import { createPool, lastReply, logFault, onceUsable, type Pool } from "../db/pool.ts";
import { assertUsable } from "../db/migrate.ts";
import { assertSessions } from "../db/pooler.ts";
import { LegworkError, toError } from "../errors.ts";
import type { Problems } from "../health/problems.ts";
import { startWatch } from "../health/watch.ts";
import { startBulkRunner } from "../jobs/run-bulk-actions.ts";
import { installMiddleware } from "../jobs/enqueue-middleware.ts";
import { attemptMiddleware, type Middleware } from "../jobs/middleware.ts";
import { isTracing } from "../jobs/tracing.ts";
import { WorkerEventHub } from "../jobs/worker-events.ts";
import type { Logger } from "../log.ts";
import { within } from "../within.ts";
import { counted } from "../wording.ts";
import { DatabaseClock } from "./clock.ts";
import { RemoteCommands } from "./remote-commands.ts";
import { adaptLocalQueue, LONGEST_WAIT_MS } from "./graphile/adaptive-queue.ts";
import { graphileLogger } from "./graphile/logger.ts";
import { guardNotifications } from "./graphile/notifications.ts";
import type { HealthPort } from "./health/health-port.ts";
import { Intake } from "./intake.ts";
import type { Endpoint } from "./endpoint-tasks.ts";
import { Heartbeat } from "./heartbeat/heartbeat.ts";
import { DEFAULT_ISOLATE_JOBS, DEFAULT_ISOLATE_MEMORY, Isolation } from "./isolate/isolation.ts";
import { JobOutput } from "./attempt/job-output.ts";
import { type Fetched, unprepared } from "./graphile/fetch-statement.ts";
import { assertKnownStatements } from "./graphile/known-statements.ts";
import { Lease } from "./lease.ts";
import { type LoadedTask, loadTasks } from "./load-tasks.ts";
import type { CrontabEntry } from "../schedules/register-crontab.ts";
import { type Attachment, Outcomes } from "./graphile/outcomes.ts";
import { assertSchema, type ForbiddenFlags, type WorkerConfig } from "./graphile/preset.ts";
import { type RunEnvironment, toPlainTask } from "./attempt/run.ts";
import { QueueSlots } from "./queue-slots.ts";
import { queueOf, selectTasks, type TaskSelection } from "./task-selection.ts";
import { registerTasks } from "./register-tasks.ts";
import { SchemaWatch } from "./graphile/schema-watch.ts";
import { startScheduler } from "./loops/scheduler.ts";
import { type RunnerEnd, type Supervised, Supervisor } from "./supervisor.ts";
import { Poll } from "./loops/poll.ts";
import { startTicker } from "./loops/ticker.ts";
import { type FaultKind, noteFault } from "./worker-faults.ts";
import { jobFields, workerLog } from "./worker-log.ts";

/** How long completions in progress may take when a pool ends unexpectedly (ms). */
const FLUSH_MS = 1_000;

/** How long after its shutdown timeout a stopping worker may take to return its jobs to the queue when the database does not respond (ms). */
const HAND_OVER_MS = 800;

/** How long returning jobs to the queue may take while the worker continues (ms); it is retried. */
const RELEASE_TIMEOUT_MS = 5_000;

/**
 * The longest time that one of the worker's own statements may take (ms), such as admitting a backlog. Statements of graphile-worker and of tasks
 * have no limit, but none of them waits forever on a dead connection.
 */
const STATEMENT_TIMEOUT_MS = 120_000;

/** How long a stopping worker waits for listeners of `worker_stopped` (ms). */
const LISTENERS_MS = 2_000;

/** How often graphile-worker's listening connection is checked (ms). What a dead one misses, the worker's poll finds. */
const PROVE_INTERVAL_MS = 30_000;

/** How often graphile-worker fetches of its own accord (ms): the worker's poll tells it when jobs are due. */
const FETCH_INTERVAL_MS = 15_000;

/** How often the loops look for work that the worker's poll has not found (ms). */
const LOOK_INTERVAL_MS = 5 * 60_000;

export interface WorkerOptions extends TaskSelection {
  databaseUrl: string;
  log: Logger;
  /** Directories of task files. */
  tasks: readonly string[];
  /** Tasks that are HTTP endpoints, by their names. */
  endpoints?: Readonly<Record<string, Endpoint>> | undefined;
  /** The secrets with which requests to endpoints are signed. */
  endpointSecret?: readonly string[] | undefined;
  /** A graphile-worker crontab. If the file does not exist, there are no crontab schedules. */
  crontab?: string;
  /** The number of jobs that run at a time. */
  concurrency: number;
  /** The number of jobs that one statement fetches; 0 fetches one at a time. Adapted to the length of jobs by default. */
  localQueueSize?: number | undefined;
  /** How long a stopping worker lets running jobs finish before it returns them to the queue (ms). */
  shutdownTimeout: number;
  /** Receives the worker's problems, for a server in the same process. */
  problems?: Problems;
  /** Answers `/health`, `/ready` and `/metrics` for the worker. */
  health?: HealthPort | undefined;
  /** The memory limit of an isolated task: JavaScript heap in a thread, resident memory in a process (MB; 512 by default). */
  isolateMemory?: number;
  /** The number of jobs after which a thread or process for isolated tasks is replaced; 5,000 by default. */
  isolateJobs?: number;
  /** How long a task may block the event loop before this process is killed (ms). No limit by default or with 0. */
  maxBlocked?: number | undefined;
  /** A graphile-worker preset: its plugins, events, logger and times are used. Settings that are also among these options are ignored. */
  preset?: WorkerConfig | undefined;
  /** Aborts an incomplete start: `startWorker` then rejects, or returns a worker that fetches nothing and is to be stopped. */
  signal?: AbortSignal | undefined;
  /** Jobs with one of these flags are not fetched. */
  forbiddenFlags?: ForbiddenFlags | undefined;
  /** Runs around attempts and enqueues, and receives the worker's events. */
  middleware?: readonly Middleware[] | undefined;
  /** The configuration file whose default export has that middleware, for the threads and processes of isolated tasks. */
  middlewareFile?: string | undefined;
  /** Tells listeners what happens; the worker's own by default. */
  events?: WorkerEventHub | undefined;
  /** Nothing is fetched before this resolves. `startWorker` does not wait for it. */
  mayBegin?: Promise<unknown> | undefined;
}

export interface Worker {
  /** The names of the tasks that it runs. */
  readonly tasks: readonly string[];
  /** Its name in graphile-worker, as in the column locked_by of its jobs; it changes with each restart. */
  readonly id: string | undefined;
  /** Resolves when an operator has told it to drain and its last job has ended: it is to be stopped. */
  readonly drained: Promise<void>;
  /** The ids of the jobs that it is running. */
  running(): readonly string[];
  /** Takes no new jobs until it is called with false; running jobs continue. Jobs that were fetched ahead return to the queue. */
  hold(isHeld: boolean): void;
  /** Returns the flags of jobs that it does not fetch. */
  forbiddenFlags(): Promise<readonly string[]>;
  /**
   * Stops fetching, lets running jobs finish, and returns jobs that have not finished within the shutdown timeout to the queue: they
   * run elsewhere without having used an attempt. Their signal aborts after four fifths of that time. Resolves when the worker has
   * ended, and returns the ids of the jobs that had started and were returned. Further calls return the same promise.
   */
  stop(): Promise<readonly string[]>;
}

/**
 * Starts a worker on a migrated database and resolves when it listens for jobs. It survives restarts of the database: it
 * restarts as soon as it can connect again.
 *
 * Throws LW515 for tasks that cannot be loaded, LW514 for a crontab that cannot be read, LW510 for an unsupported graphile-worker,
 * LW511 for a database that lacks objects of the migrations, and LW516 when a connection pooler in between shares connections between clients.
 */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const { forbiddenFlags = options.preset?.options.forbiddenFlags } = options;
  const { log, name } = workerLog(options.log);
  // graphile-worker would use it.
  assertSchema(process.env.GRAPHILE_WORKER_SCHEMA || "graphile_worker", "GRAPHILE_WORKER_SCHEMA");
  await assertKnownStatements();
  const allTasks = await loadTasks(options.tasks, log, options.preset, {
    byTask: options.endpoints ?? {},
    secrets: options.endpointSecret ?? [],
  });
  const selected = selectTasks(allTasks, options);
  const tasks = new Map([...allTasks].filter(([name]) => selected.has(name)));
  const { middleware = [] } = options;
  assertReachable(middleware, options.middlewareFile, tasks);
  const { items: cronItems, entries: crontab } = readCrontab(options.crontab);
  for (const { task } of cronItems) {
    if (!allTasks.has(task))
      log.warn({ event: "crontab_task_missing", task }, "The crontab names a task that this worker does not have.");
  }
  const clock = new DatabaseClock();
  const events = options.events ?? new WorkerEventHub(log);
  const outcomes = new Outcomes(events);
  // Three pools: a task that holds connections must not prevent graphile-worker from completing jobs, or the lease from being renewed.
  const taskPool = createPool(options.databaseUrl, {
    log,
    max: Math.min(options.concurrency + 2, options.preset?.options.maxPoolSize ?? Infinity),
    name: "legwork tasks",
    // A server without a free connection must not fail the attempts that need one.
    waitsForConnection: true,
  });
  try {
    await onceUsable(
      log,
      async () => {
        await assertSessions(taskPool);
        await assertUsable(taskPool);
        await clock.synchronize(taskPool);
        // Also those that others run: limits and schemas belong to the code, whichever worker has it.
        await registerTasks(taskPool, allTasks, log);
      },
      options.signal,
    );
    options.signal?.throwIfAborted();
  } catch (thrown) {
    const error = toError(thrown);
    if (error instanceof LegworkError && error.code === "LW516") await noteFault(taskPool, log, "pooler", error.message);
    closeQuietly(taskPool, log);
    throw error;
  }
  const leasePool = createPool(options.databaseUrl, {
    log,
    max: 7,
    name: "legwork lease",
    queryTimeout: STATEMENT_TIMEOUT_MS,
  });
  const ticker = startTicker(leasePool, log);
  const watch = startWatch(leasePool, log, LOOK_INTERVAL_MS);
  const bulkRunner = startBulkRunner(leasePool, log, LOOK_INTERVAL_MS);
  const scheduler = startScheduler(leasePool, { log, crontab });
  const control = new RemoteCommands(options.databaseUrl, {
    pool: leasePool,
    log,
    onWakeups: () => ticker.wake(),
    onSchedules: () => scheduler.wake(),
    onState: () => void environment.lease?.tell().catch(() => undefined),
  });
  const heartbeat = new Heartbeat({
    databaseUrl: options.databaseUrl,
    log,
    running: control.running,
    lastReply: () => lastReply(leasePool),
    maxBlocked: options.maxBlocked === 0 ? undefined : options.maxBlocked,
  });
  const poll = new Poll({ pool: leasePool, log, running: control.running, heartbeat, ticker, scheduler, watch, bulkRunner });
  for (const name of tasks.keys()) if (!allTasks.has(name)) tasks.delete(name);
  const excluded = [...allTasks.keys()].filter((name) => !tasks.has(name));
  const taskList: TaskList = {};
  const slots =
    Object.keys(options.slots ?? {}).length === 0
      ? undefined
      : new QueueSlots(options.slots ?? {}, new Map([...tasks].map(([name, task]) => [name, queueOf(task)])));
  // Not with the tasks' pool: a task that holds all connections must not block the output of other tasks.
  const output = new JobOutput({ pool: leasePool, log });
  const isolation = new Isolation({
    ...options,
    clock,
    output,
    memory: options.isolateMemory ?? DEFAULT_ISOLATE_MEMORY,
    jobs: options.isolateJobs ?? DEFAULT_ISOLATE_JOBS,
    middlewareFile: middleware.length === 0 ? undefined : options.middlewareFile,
  });
  const environment: RunEnvironment = {
    pool: taskPool,
    log,
    clock,
    outcomes,
    output,
    isolation,
    control,
    isTraced: isTracing(),
    around: attemptMiddleware(middleware),
    middleware: middleware.length === 0 ? undefined : middleware,
    events,
    givenBack: new Set(),
    lease: undefined,
  };
  for (const [name, task] of tasks) {
    const plain = toPlainTask(task, environment);
    taskList[name] = slots?.wrap(name, plain) ?? plain;
  }
  const stopped = new AbortController();
  options.signal?.addEventListener("abort", () => stopped.abort(), { once: true });
  const untilStopped = new Promise<undefined>((resolve) => stopped.signal.addEventListener("abort", () => resolve(undefined)));

  const note = (kind: FaultKind, reason: string, jobId: string | undefined): void =>
    void noteFault(leasePool, log, kind, reason, jobId);
  const workerId = (): string => environment.lease?.workerId ?? "";
  const intake = new Intake({
    log,
    running: control.running,
    onDrained: () => drained.resolve(),
    onState: (state) => events.tell(state === "active" ? "worker_resumed" : `worker_${state}`, { worker: workerId() }),
  });
  let isFirst = true;
  const generation = async (): Promise<Supervised> => {
    if (!isFirst) {
      // graphile-worker would create its schema itself, without Legwork's triggers; and a schema created again does not know the tasks.
      await assertUsable(leasePool);
      await registerTasks(leasePool, allTasks, log);
    }
    isFirst = false;
    return await startGeneration({
      ...options,
      log,
      name,
      forbiddenFlags,
      noteFault: note,
      taskList,
      excluded,
      queueSlots: slots,
      cronItems,
      environment,
      heartbeat,
      intake,
      isolation,
      leasePool,
      poll,
      untilStopped,
    });
  };
  const uninstall = [
    installMiddleware(middleware),
    ...middleware.map(({ on }) => events.listen(on ?? {})),
    hearOutages(options.databaseUrl, log, events),
  ];
  const drained = Promise.withResolvers<void>();
  const supervisor = await Supervisor.start({
    log,
    start: () => onceUsable(log, generation, stopped.signal),
    onProblem: (problem) => {
      options.problems?.set("worker", problem);
      if (problem === undefined) events.tell("worker_restarted", { worker: workerId() });
    },
    onRestart: (reason, jobId) => {
      note("restart", reason, jobId);
      events.tell("worker_restarting", { worker: workerId(), reason, jobId });
    },
  }).catch(async (error: unknown) => {
    for (const end of uninstall) end();
    await heartbeat.end();
    throw error;
  });
  options.health?.watch({
    state: control.running.state,
    slots: options.concurrency,
    read: () => ({
      problem: options.problems?.list()[0] ?? intake.problem,
      silentBecause: heartbeat.failure,
      running: control.running.size,
      ...outcomes.attempts,
    }),
  });
  let stopping: Promise<readonly string[]> | undefined;
  events.tell("worker_ready", { worker: workerId(), tasks: [...tasks.keys()], concurrency: options.concurrency });

  const stop = async (): Promise<readonly string[]> => {
    stopped.abort();
    const deadline = performance.now() + options.shutdownTimeout;
    const current = await supervisor.stop(options.shutdownTimeout);
    await current.stop(Math.max(0, deadline - performance.now()));
    control.stop();
    await within(
      Math.max(HAND_OVER_MS / 2, deadline - performance.now()),
      Promise.all([poll.stop(), ticker.stop(), scheduler.stop(), watch.stop(), bulkRunner.stop(), output.stop()]),
    );
    await heartbeat.end();
    // Not awaited: a task that does not end may hold a connection indefinitely.
    closeQuietly(taskPool, log);
    closeQuietly(leasePool, log);
    const givenBack = [...environment.givenBack];
    await within(LISTENERS_MS, events.tellAndWait("worker_stopped", { worker: workerId(), givenBack }));
    for (const end of uninstall) end();
    return givenBack;
  };
  return {
    tasks: [...tasks.keys()],
    drained: drained.promise,
    running: () => [...control.running.keys()],
    hold: (isHeld) => intake.hold(isHeld),
    get id() {
      return environment.lease?.workerId;
    },
    forbiddenFlags: async () => (typeof forbiddenFlags === "function" ? await forbiddenFlags() : forbiddenFlags) ?? [],
    stop: () => (stopping ??= stop()),
  };
}

interface GenerationOptions extends WorkerOptions {
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
async function startGeneration(options: GenerationOptions): Promise<Supervised> {
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

/** Throws LW514 if isolated tasks cannot have the middleware of the other tasks. */
function assertReachable(
  middleware: readonly Middleware[],
  file: string | undefined,
  tasks: ReadonlyMap<string, LoadedTask>,
): void {
  if (file !== undefined) return;
  const foreign = middleware.find(({ attempt }) => attempt !== undefined);
  const isolated = [...tasks.values()].find(({ definition }) => definition?.isolate !== undefined);
  if (foreign === undefined || isolated === undefined) return;
  throw new LegworkError(
    "LW514",
    `Task '${isolated.name}' runs in a ${isolated.definition?.isolate} of its own, which cannot load the middleware '${foreign.name}' of createLegwork.`,
    { hint: "Put the middleware into legwork.config.ts, which createLegwork and threads and processes read too." },
  );
}

/** Tells listeners when the database is lost and back. Returns a function that ends this. */
function hearOutages(databaseUrl: string, log: Logger, events: WorkerEventHub): () => void {
  const { listeners } = outagesOf(databaseUrl, log);
  const listener = {
    lost: (reason: string) => events.tell("database_lost", { reason }),
    back: (awayMs: number) => events.tell("database_back", { awayMs }),
  };
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Closes a pool without waiting for connections that are still in use. The pool cannot be used after this. */
function closeQuietly(pool: Pool, log: Logger): void {
  pool.end().catch((error: unknown) => log.debug({ err: toError(error) }, "A pool did not close cleanly."));
}

/** Parses a crontab for graphile-worker, and its entries for registration. */
function readCrontab(path: string | undefined): { items: ParsedCronItem[]; entries: CrontabEntry[] } {
  if (path === undefined || !existsSync(path)) return { items: [], entries: [] };
  try {
    const text = readFileSync(path, "utf8");
    const items = parseCrontab(text);
    // There is one item for each line that is neither empty nor a comment, in order. Items do not have the text of their line.
    const lines = text.split(/\r?\n/).map((line) => line.trim());
    const times = lines
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.split(/\s+/).slice(0, 5).join(" "));
    const entries = items.map(({ identifier, task, payload, match }, index) => ({
      identifier,
      task,
      payload,
      match,
      cron: times[index] ?? "",
    }));
    return { items, entries };
  } catch (error) {
    throw new LegworkError("LW514", `The crontab ${path} cannot be read: ${toError(error).message}.`, {
      hint: "Lines have graphile-worker's format: minute hour day month weekday task ?options {payload}.",
      cause: error,
    });
  }
}
