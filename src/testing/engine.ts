import { EventEmitter } from "node:events";
import { Logger as GraphileLogger, runOnce, type TaskList, type WorkerEvents } from "graphile-worker";
import { createPool, type Pool } from "../db/pool.ts";
import { assertSessions } from "../db/pooler.ts";
import type { Logger } from "../log.ts";
import { attemptMiddleware, type Middleware } from "../jobs/middleware.ts";
import { DescribedError } from "../thrown.ts";
import { DatabaseClock } from "../worker/clock.ts";
import { RemoteCommands } from "../worker/remote-commands.ts";
import { interceptQueries } from "../worker/graphile/intercept-queries.ts";
import { graphileLogger } from "../worker/graphile/logger.ts";
import { JobOutput } from "../worker/attempt/job-output.ts";
import { describeTasks, type LoadedTask } from "../worker/load-tasks.ts";
import { Outcomes } from "../worker/graphile/outcomes.ts";
import { toPlainTask } from "../worker/attempt/plain-task.ts";
import type { RunEnvironment } from "../worker/attempt/run.ts";

/** How long recording an outcome is retried when the database rejects it (ms). */
const RECORD_MS = 5_000;

/** An attempt that the engine ran. */
export interface Attempt {
  readonly jobId: string;
  /** The original value that the task threw. */
  readonly thrown: unknown;
}

/**
 * A worker without its loops: graphile-worker runs all due jobs until none is left, and then returns. The statements that fetch, complete and retry
 * jobs, and their triggers, are the same as in a worker.
 */
export class Engine {
  readonly #databaseUrl: string;
  readonly #log: Logger;
  readonly #concurrency: number;
  readonly #taskPool: Pool;
  readonly #output: JobOutput;
  readonly #environment: RunEnvironment;
  readonly #taskList: TaskList = {};
  #attempts: Attempt[] = [];

  private constructor(options: EngineOptions, taskPool: Pool) {
    this.#databaseUrl = options.databaseUrl;
    this.#log = options.log;
    this.#concurrency = options.concurrency;
    this.#taskPool = taskPool;
    this.#output = new JobOutput({ pool: options.pool, log: options.log });
    this.#environment = {
      pool: taskPool,
      log: options.log,
      clock: new DatabaseClock(),
      outcomes: new Outcomes(),
      control: new RemoteCommands(options.databaseUrl, { pool: options.pool, log: options.log, onWakeups: () => undefined }),
      output: this.#output,
      around: attemptMiddleware(options.middleware),
      middleware: options.middleware,
      givenBack: new Set(),
      // No other worker could declare this process dead.
      lease: undefined,
    };
    for (const [name, task] of options.tasks) {
      const plain = toPlainTask(task, this.#environment);
      this.#taskList[name] = async (payload, helpers) => {
        let thrown: unknown;
        try {
          return await plain(payload, helpers);
        } catch (error) {
          thrown = DescribedError.thrownOf(error);
          throw error;
        } finally {
          this.#attempts.push({ jobId: helpers.job.id, thrown });
        }
      };
    }
  }

  static async start(options: EngineOptions): Promise<Engine> {
    await assertSessions(options.pool);
    const taskPool = createPool(options.databaseUrl, {
      log: options.log,
      max: options.concurrency + 2,
      name: "legwork test tasks",
    });
    await taskPool.query("select legwork_private.register_tasks($1)", [JSON.stringify(describeTasks(options.tasks))]);
    return new Engine(options, taskPool);
  }

  /**
   * Runs the jobs that are ready to run until none is left, or only `onlyJob`; stops after `limit` attempts. Returns the attempts in the order in
   * which they ended.
   */
  async round({ onlyJob, limit = Infinity }: { onlyJob?: string; limit?: number }): Promise<Attempt[]> {
    const { clock, control, outcomes } = this.#environment;
    await clock.synchronize(this.#taskPool);
    // Reads the pauses now: if a test has just resumed a queue, the notification may not have arrived yet, and the queue's jobs would be put back.
    await control.refresh();
    const attempts: Attempt[] = (this.#attempts = []);
    // Each round has its own pool, because the statements on its connections name the round's worker.
    const pool = createPool(this.#databaseUrl, { log: this.#log, max: this.#concurrency + 2, name: "legwork test worker" });
    const events = new EventEmitter() as WorkerEvents;
    const ended = new AbortController();
    const recorder = outcomes.attachTo(pool, { events, mayFetch: Promise.resolve(true), log: this.#log, signal: ended.signal });
    restrictFetching(pool, onlyJob, () => attempts.length < limit);
    try {
      await runOnce({
        pgPool: pool,
        taskList: this.#taskList,
        noHandleSignals: true,
        events,
        preset: { worker: { logger: new GraphileLogger(graphileLogger(this.#log)), concurrentJobs: this.#concurrency } },
      });
    } finally {
      const timer = setTimeout(() => ended.abort(), RECORD_MS);
      await recorder.settled();
      clearTimeout(timer);
      await pool.end();
    }
    return attempts;
  }

  async stop(): Promise<void> {
    this.#environment.control.stop();
    await this.#output.stop();
    await this.#taskPool.end();
  }
}

export interface EngineOptions {
  readonly databaseUrl: string;
  /** The pool for statements other than those of tasks. */
  readonly pool: Pool;
  readonly log: Logger;
  readonly concurrency: number;
  readonly tasks: ReadonlyMap<string, LoadedTask>;
  /** Runs around attempts and enqueues; for isolated tasks, too, it runs in this process. */
  readonly middleware: readonly Middleware[];
}

/** Restricts graphile-worker's fetch query on these connections to one job, or to no job once `mayFetch` returns false. */
function restrictFetching(pool: Pool, onlyJob: string | undefined, mayFetch: () => boolean): void {
  pool.on("connect", (client) => {
    interceptQueries(client, async (statement, send) => {
      if (!statement.name.startsWith("get_job")) return await send(statement);
      if (!mayFetch()) return { rows: [] };
      if (onlyJob === undefined) return await send(statement);
      const values = [...statement.values, onlyJob];
      const available = "where jobs.is_available = true";
      const text = statement.text.replace(available, `${available} and jobs.id = $${values.length}`);
      if (text === statement.text) throw new Error("graphile-worker's fetch query is not the one that Legwork supports.");
      return await send({ ...statement, name: `${statement.name}+one`, text, values });
    });
  });
}
