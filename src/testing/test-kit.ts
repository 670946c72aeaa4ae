import type { Task as PlainTask } from "graphile-worker";
import { migrate } from "../db/migrate.ts";
import { createPool, type Pool } from "../db/pool.ts";
import { type Duration, parseDuration } from "../duration.ts";
import { LegworkError } from "../errors.ts";
import { createLogger, type LogLevel } from "../log.ts";
import { assertNode } from "../node-version.ts";
import { definitionOf, type Task } from "../jobs/define-task.ts";
import { enqueue, type EnqueueOptions } from "../jobs/enqueue.ts";
import { throughEnqueue } from "../jobs/enqueue-middleware.ts";
import { type Middleware, readMiddleware } from "../jobs/middleware.ts";
import { explainJob } from "../jobs/explain-job.ts";
import { type AttemptRow, getJob, type JobRow } from "../jobs/read-jobs.ts";
import { planSchedules } from "../schedules/plan-schedules.ts";
import { counted } from "../wording.ts";
import { type LoadedTask, loadTasks } from "../worker/load-tasks.ts";
import { type Attempt, Engine } from "./engine.ts";
import { assertEnqueued, type EnqueuedFilter, findEnqueued } from "./enqueued.ts";
import { moveClock, nextMoment } from "./move-clock.ts";

/** If `drain` makes more attempts than this, jobs probably enqueue each other endlessly. */
const ATTEMPT_LIMIT = 10_000;

export interface TestKitOptions {
  /** A database that only tests use: the kit migrates it, and `clear()` empties it. */
  databaseUrl: string;
  /** The tasks by name, or the directories of the task files. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tasks have any payload and result
  tasks: Readonly<Record<string, Task<any, any> | PlainTask>> | readonly string[];
  /** The number of jobs that run at a time; 1 by default, so that jobs run in the order of priority and time. */
  concurrency?: number;
  /**
   * Runs around attempts and around jobs that the kit or a task enqueues, as in a worker; the first is the outermost. Its listeners are not called.
   */
  middleware?: readonly Middleware[];
  /** The lowest level of the tasks' log lines that is printed; `silent` by default. */
  logLevel?: LogLevel;
}

export interface DrainOptions {
  /** Up to when jobs are run: a time, or a duration from now. The clock advances from one due time to the next. Now by default. */
  at?: Date | Duration;
  /** The number of attempts after which `drain` throws; 10,000 by default. */
  limit?: number;
}

/**
 * Runs tasks like a worker, in this process and on demand: with the same statements, triggers, limits, retries and redaction. Created by
 * `openTestKit`.
 */
export interface TestKit {
  /** Connections to the database, for enqueueing and queries. */
  readonly pool: Pool;
  /** Enqueues a job like `enqueue`. */
  enqueue(task: string, payload?: unknown, options?: EnqueueOptions): Promise<string>;
  /**
   * Enqueues a job and makes its first attempt now, regardless of its `runAt` and of other jobs. Returns the job, which has completed or waits for a
   * signal or in a `sleep`. Throws what the task threw if the attempt failed; LW409, with the reason, if the job may not start.
   */
  runTask(task: string, payload?: unknown, options?: EnqueueOptions): Promise<JobRow>;
  /**
   * Makes one attempt of an enqueued job, now. Returns the job, regardless of how the attempt ended. Throws LW409 if it may not start, LW404 if it
   * does not exist.
   */
  runJob(id: string): Promise<JobRow>;
  /**
   * Runs all due jobs, and the jobs that they enqueue, until none is due. Returns the jobs that it attempted, in that order and in their final state;
   * does not throw if one of them fails. Throws LW429 after `limit` attempts.
   */
  drain(options?: DrainOptions): Promise<JobRow[]>;
  /**
   * Fires the occurrences of schedules that are due as of a time, which must not be in the future; runs their jobs and the jobs that they enqueue,
   * and then the jobs that waited for those. Returns the jobs that it attempted, in order. Call it with one due time after another, as listed in
   * `next_at` of `legwork.schedules`. With a schedule that was created with an `asOf` in the past, a month takes seconds; occurrences that it missed
   * by more than a minute follow its `missed` setting. Throws LW400 for a future time.
   */
  fireSchedules(asOf: Date): Promise<JobRow[]>;
  /** Advances the clock: all stored times of jobs are moved back by that much. Runs no jobs. */
  advance(by: Duration): Promise<void>;
  /** Returns the matching jobs that have not ended, oldest first. */
  enqueued(filter?: EnqueuedFilter): Promise<JobRow[]>;
  /**
   * Throws an AssertionError that lists the enqueued jobs unless at least one job that has not ended matches or, with `count`, exactly that many.
   * Returns the matching jobs.
   */
  assertEnqueued(filter: EnqueuedFilter, options?: { count?: number }): Promise<JobRow[]>;
  /** Returns a job with its attempts. Throws LW404 if it does not exist. */
  job(id: string): Promise<JobRow & { attempt_list: AttemptRow[] }>;
  /** Deletes all jobs and their history, and ends every pause. Call it between tests. */
  clear(): Promise<void>;
  /** Closes the connections to the database. */
  close(): Promise<void>;
}

/**
 * Migrates a database and registers the tasks. Throws LW409 if workers are running on it, because then it is not used only by tests; LW515 for an
 * invalid task, and the errors of migrating.
 */
export async function openTestKit(options: TestKitOptions): Promise<TestKit> {
  assertNode("The test kit");
  const log = createLogger({ level: options.logLevel ?? "silent" });
  const pool = createPool(options.databaseUrl, { log, max: 10, name: "legwork test" });
  try {
    await migrate(pool, log);
    const { rows } = await pool.query("select host, pid from legwork.workers limit 1");
    if (rows[0] !== undefined) {
      throw new LegworkError("LW409", `A worker is running on this database (process ${rows[0].pid} on ${rows[0].host}).`, {
        hint: "Use a separate database for the test kit: it moves the clock and deletes jobs.",
      });
    }
    const tasks = Array.isArray(options.tasks) ? await loadTasks(options.tasks, log) : describe(options.tasks);
    const middleware = readMiddleware(options.middleware, "openTestKit: middleware");
    const engine = await Engine.start({
      databaseUrl: options.databaseUrl,
      pool,
      log,
      concurrency: options.concurrency ?? 1,
      tasks,
      middleware,
    });
    return new Kit(pool, engine, { tasks: [...tasks.keys()], middleware });
  } catch (error) {
    await pool.end();
    throw error;
  }
}

function describe(tasks: Readonly<Record<string, unknown>> | readonly string[]): Map<string, LoadedTask> {
  const loaded = new Map<string, LoadedTask>();
  for (const [name, task] of Object.entries(tasks)) {
    if (typeof task !== "function") {
      throw new LegworkError("LW515", `'${name}' is not a task: its type is ${task === null ? "null" : typeof task}.`, {
        hint: "A task is what defineTask returns, or a plain graphile-worker task function.",
      });
    }
    loaded.set(name, { name, function: task as PlainTask, definition: definitionOf(task) });
  }
  return loaded;
}

class Kit implements TestKit {
  readonly pool: Pool;
  readonly #engine: Engine;
  readonly #tasks: readonly string[];
  readonly #middleware: readonly Middleware[];

  constructor(
    pool: Pool,
    engine: Engine,
    { tasks, middleware }: { tasks: readonly string[]; middleware: readonly Middleware[] },
  ) {
    this.pool = pool;
    this.#engine = engine;
    this.#tasks = tasks;
    this.#middleware = middleware;
  }

  async enqueue(name: string, given?: unknown, options?: EnqueueOptions): Promise<string> {
    const { task, payload, ...rest } = await throughEnqueue(this.#middleware, { ...options, task: name, payload: given });
    return await enqueue(this.pool, task, payload, rest);
  }

  async runTask(task: string, payload?: unknown, options?: EnqueueOptions): Promise<JobRow> {
    const id = await this.enqueue(task, payload, options);
    const { thrown } = await this.#attempt(id);
    const job = await this.job(id);
    const last = job.attempt_list.at(-1);
    if (last?.state === "failed") throw thrown ?? new Error(last.error_message ?? "The attempt failed.");
    return withoutAttempts(job);
  }

  async runJob(id: string): Promise<JobRow> {
    await this.#attempt(id);
    return withoutAttempts(await this.job(id));
  }

  async #attempt(id: string): Promise<Attempt> {
    const { state } = await getJob(this.pool, id);
    // Makes the job due now; limits and pauses still hold it back.
    await this.pool.query(
      "update legwork_private.graphile_jobs set run_at = now() where id = $1 and locked_at is null and $2 in ('scheduled', 'retrying')",
      [id, state],
    );
    await this.pool.query("select legwork.tick()");
    const [attempt] = await this.#engine.round({ onlyJob: id });
    if (attempt !== undefined) return attempt;
    const reason = (await explainJob(this.pool, id)).find((one) => one.reason !== "no_worker");
    throw new LegworkError("LW409", `Job ${id} did not start: ${reason?.detail ?? "the test kit does not have this task."}`, {
      hint: reason?.fix ?? "Pass the task to openTestKit.",
    });
  }

  async drain({ at, limit = ATTEMPT_LIMIT }: DrainOptions = {}): Promise<JobRow[]> {
    let ahead = at === undefined ? 0 : toAhead(at);
    let attempts = 0;
    const ids = new Set<string>();
    for (;;) {
      await this.pool.query("select legwork.tick()");
      const round = await this.#engine.round({ limit: limit - attempts });
      for (const { jobId } of round) ids.add(jobId);
      attempts += round.length;
      if (attempts >= limit) {
        throw new LegworkError("LW429", `Jobs are still due after ${counted(attempts, "attempt")}.`, {
          hint: "Check whether jobs enqueue each other endlessly. If this many attempts are expected, pass drain a larger limit.",
        });
      }
      if (round.length > 0) continue;
      const next = ahead > 0 ? await nextMoment(this.pool, this.#tasks, ahead) : undefined;
      if (next === undefined) break;
      await moveClock(this.pool, next);
      ahead -= next;
    }
    if (ahead > 0) await moveClock(this.pool, ahead);
    // Expires the jobs whose time has passed by then.
    await this.pool.query("select legwork.tick()");
    return await this.#jobs(ids);
  }

  /** Returns the jobs in the order of the ids. */
  async #jobs(ids: ReadonlySet<string>): Promise<JobRow[]> {
    const { rows } = await this.pool.query("select * from legwork.jobs where id = any ($1) order by array_position($1, id)", [
      [...ids],
    ]);
    return rows;
  }

  async fireSchedules(asOf: Date): Promise<JobRow[]> {
    if (!(asOf.getTime() <= Date.now())) {
      throw new LegworkError("LW400", "Schedules can fire only as of now or a time in the past.", {
        hint: "Create them with an asOf in the past. Their jobs are due at the times of their occurrences, which must have passed.",
      });
    }
    const ids = new Set<string>();
    for (;;) {
      const { rows } = await this.pool.query("select more, wants_plan from legwork_private.fire_schedules($1)", [asOf]);
      const planned = rows[0].wants_plan ? await planSchedules(this.pool, { asOf }) : 0;
      if (rows[0].more || planned > 0) continue;
      const { rowCount } = await this.pool.query(
        "select from legwork_private.graphile_jobs where is_available and run_at <= clock_timestamp() limit 1",
      );
      if (rowCount === 0) break;
      await this.pool.query("select legwork.tick()");
      const round = await this.#engine.round({ limit: ATTEMPT_LIMIT - ids.size });
      // The remaining jobs belong to tasks that the kit does not have.
      if (round.length === 0) break;
      for (const { jobId } of round) ids.add(jobId);
    }
    return await this.#jobs(ids);
  }

  async advance(by: Duration): Promise<void> {
    await moveClock(this.pool, toAhead(by));
  }

  async enqueued(filter: EnqueuedFilter = {}): Promise<JobRow[]> {
    return await findEnqueued(this.pool, filter);
  }

  async assertEnqueued(filter: EnqueuedFilter, { count }: { count?: number } = {}): Promise<JobRow[]> {
    return await assertEnqueued(this.pool, filter, count);
  }

  async job(id: string): Promise<JobRow & { attempt_list: AttemptRow[] }> {
    return await getJob(this.pool, id);
  }

  async clear(): Promise<void> {
    const { rows } = await this.pool.query(
      "select string_agg(format('delete from %s', t), ';') as deletes from unnest($1::text[]) as n, to_regclass('legwork_private.' || n) as t where t is not null",
      [EMPTIED],
    );
    // In one transaction, with deletes: with few rows, this is ten times as fast as truncating so many tables.
    await this.pool.query(
      `delete from legwork_private.graphile_jobs; delete from legwork_private.graphile_job_queues; ${rows[0].deletes}`,
    );
    await this.pool.query("notify legwork, '{\"rules\":true}'");
  }

  async close(): Promise<void> {
    await this.#engine.stop();
    await this.pool.end();
  }
}

/** The tables with data of jobs, which `clear` empties. Limits declared by tasks, schedules and users' settings are kept. */
const EMPTIED = [
  "queue_counts",
  "live_job_counts",
  "finished_jobs",
  "failed_attempts",
  "job_logs",
  "job_progress",
  "job_steps",
  "job_signals",
  "child_ends",
  "step_secrets",
  "awaited_jobs",
  "job_entries",
  "waiting_jobs",
  "slots",
  "lines",
  "wakeups",
  "gate_alarms",
  "limit_changes",
  "set_aside",
  "cancellations",
  "expirations",
  "unique_requests",
  "quota_keys",
  "quota_requests",
  "paced_keys",
  "pauses",
  "dependencies",
  "dependency_checks",
  "run_counts",
  "workflow_run_steps",
  "workflow_runs",
  "workflow_step_ends",
  "batch_runs",
];

function withoutAttempts({ attempt_list: _attempts, ...job }: JobRow & { attempt_list: AttemptRow[] }): JobRow {
  return job;
}

/** Returns the milliseconds from now. Throws LW400 for a value that is neither a time nor a duration, and for the past. */
function toAhead(at: Date | Duration): number {
  const ahead = at instanceof Date ? at.getTime() - Date.now() : parseDuration(at);
  if (ahead !== undefined && ahead >= 0) return ahead;
  throw new LegworkError(
    "LW400",
    `${at instanceof Date ? at.toISOString() : String(at)} is not a time in the future or a duration.`,
    {
      hint: 'Pass a Date in the future, or a duration such as "30s", "1h" or 5000 (milliseconds). The clock cannot go back.',
    },
  );
}
