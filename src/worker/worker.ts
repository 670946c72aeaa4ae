import type { TaskList } from "graphile-worker";
import { outagesOf } from "../db/outages.ts";
import { createPool, lastReply, onceUsable } from "../db/pool.ts";
import { assertUsable } from "../db/migrate.ts";
import { assertSessions } from "../db/pooler.ts";
import { LegworkError, toError } from "../errors.ts";
import { startWatch } from "../health/watch.ts";
import { startBulkRunner } from "../jobs/run-bulk-actions.ts";
import { installMiddleware } from "../jobs/enqueue-middleware.ts";
import { attemptMiddleware, type Middleware } from "../jobs/middleware.ts";
import { isTracing } from "../jobs/tracing.ts";
import { WorkerEventHub } from "../jobs/worker-events.ts";
import type { Logger } from "../log.ts";
import { within } from "../within.ts";
import { DatabaseClock } from "./clock.ts";
import { RemoteCommands } from "./remote-commands.ts";
import { Intake } from "./intake.ts";
import { Heartbeat } from "./heartbeat/heartbeat.ts";
import { DEFAULT_ISOLATE_JOBS, DEFAULT_ISOLATE_MEMORY, Isolation } from "./isolate/isolation.ts";
import { JobOutput } from "./attempt/job-output.ts";
import { assertKnownStatements } from "./graphile/known-statements.ts";
import { type LoadedTask, loadTasks } from "./load-tasks.ts";
import { Outcomes } from "./graphile/outcomes.ts";
import { assertSchema } from "./graphile/preset.ts";
import { toPlainTask } from "./attempt/plain-task.ts";
import type { RunEnvironment } from "./attempt/run.ts";
import { QueueSlots } from "./queue-slots.ts";
import { queueOf, selectTasks } from "./task-selection.ts";
import { registerTasks } from "./register-tasks.ts";
import { startScheduler } from "./loops/scheduler.ts";
import { type Supervised, Supervisor } from "./supervisor.ts";
import { Poll } from "./loops/poll.ts";
import { startTicker } from "./loops/ticker.ts";
import { type FaultKind, noteFault } from "./worker-faults.ts";
import { workerLog } from "./worker-log.ts";
import { readCrontab } from "./crontab-file.ts";
import { closeQuietly, HAND_OVER_MS, startGeneration } from "./generation.ts";
import type { WorkerOptions } from "./worker-options.ts";

/**
 * The longest time that one of the worker's own statements may take (ms), such as admitting a backlog. Statements of graphile-worker and of tasks
 * have no limit, but they do not wait forever on a dead connection.
 */
const STATEMENT_TIMEOUT_MS = 120_000;

/** How long a stopping worker waits for listeners of `worker_stopped` (ms). */
const LISTENERS_MS = 2_000;

/** How often the loops check for work that the worker's poll has not found (ms). */
const LOOK_INTERVAL_MS = 5 * 60_000;

export interface Worker {
  /** The names of the tasks that the worker runs. */
  readonly tasks: readonly string[];
  /** The worker's name in graphile-worker, as in the column locked_by of its jobs. It changes with each restart. */
  readonly id: string | undefined;
  /** Resolves when an operator has made the worker drain and its last job has ended. The worker must then be stopped. */
  readonly drained: Promise<void>;
  /** Returns the ids of the jobs that the worker is running. */
  running(): readonly string[];
  /** Makes the worker take no new jobs until this is called with false; running jobs continue. Jobs that were fetched ahead return to the queue. */
  hold(isHeld: boolean): void;
  /** Returns the flags of jobs that the worker does not fetch. */
  forbiddenFlags(): Promise<readonly string[]>;
  /**
   * Stops fetching, lets running jobs finish, and returns jobs that have not finished within the shutdown timeout to the queue: they run elsewhere
   * without having used an attempt. Their abort signal fires after four fifths of that time. Resolves when the worker has ended, and returns the ids
   * of the jobs that had started and were returned. Further calls return the same promise.
   */
  stop(): Promise<readonly string[]>;
}

/**
 * Starts a worker on a migrated database and resolves when it is listening for jobs. It survives restarts of the database: it restarts as soon as it
 * can connect again.
 *
 * Throws LW515 for tasks that cannot be loaded, LW514 for a crontab that cannot be read, LW510 for an unsupported graphile-worker,
 * LW511 for a database that lacks objects of the migrations, and LW516 when a connection pooler in between shares connections between clients.
 */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const { forbiddenFlags = options.preset?.options.forbiddenFlags } = options;
  const { log, name } = workerLog(options.log);
  // graphile-worker would use this variable.
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
  // There are three pools, so that a task that holds connections cannot prevent graphile-worker from completing jobs, or the lease from being
  // renewed.
  const taskPool = createPool(options.databaseUrl, {
    log,
    max: Math.min(options.concurrency + 2, options.preset?.options.maxPoolSize ?? Infinity),
    name: "legwork tasks",
    // If the server has no free connection, attempts that need one wait instead of failing.
    waitsForConnection: true,
  });
  try {
    await onceUsable(
      log,
      async () => {
        await assertSessions(taskPool);
        await assertUsable(taskPool);
        await clock.synchronize(taskPool);
        // Register all tasks, including those that only other workers run: limits and schemas belong to the code, no matter which worker loads it.
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
  // The tasks' pool is not used here, because a task that holds all connections must not block the output of other tasks.
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
      // Otherwise, graphile-worker would create its schema itself, without Legwork's triggers. In addition, a recreated schema does not contain the
      // tasks.
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
    // This is not awaited, because a task that does not end may hold a connection indefinitely.
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

/** Throws LW514 if isolated tasks cannot load the middleware that the other tasks use. */
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
    `Task '${isolated.name}' runs in its own ${isolated.definition?.isolate}, which cannot load the middleware '${foreign.name}' of createLegwork.`,
    { hint: "Put the middleware into legwork.config.ts, which createLegwork and the threads and processes of tasks read." },
  );
}

/** Passes events to listeners when the database is lost and when it is back. Returns a function that stops this. */
function hearOutages(databaseUrl: string, log: Logger, events: WorkerEventHub): () => void {
  const { listeners } = outagesOf(databaseUrl, log);
  const listener = {
    lost: (reason: string) => events.tell("database_lost", { reason }),
    back: (awayMs: number) => events.tell("database_back", { awayMs }),
  };
  listeners.add(listener);
  return () => void listeners.delete(listener);
}
