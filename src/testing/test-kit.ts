import type { Task as PlainTask } from "graphile-worker";
import { migrate } from "../db/migrate.ts";
import { createPool, type Pool } from "../db/pool.ts";
import { type Duration, parseDuration } from "../duration.ts";
import { LegworkError } from "../errors.ts";
import { createLogger, type LogLevel } from "../log.ts";
import { definitionOf, type Task } from "../jobs/define-task.ts";
import { enqueue, type EnqueueOptions } from "../jobs/enqueue.ts";
import { explainJob } from "../jobs/explain-job.ts";
import { type AttemptRow, getJob, type JobRow } from "../jobs/read-jobs.ts";
import { planSchedules } from "../schedules/plan-schedules.ts";
import { type LoadedTask, loadTasks } from "../worker/load-tasks.ts";
import { type Attempt, Engine } from "./engine.ts";
import { assertEnqueued, type EnqueuedFilter, findEnqueued } from "./enqueued.ts";
import { moveClock, nextMoment } from "./move-clock.ts";

/** More attempts than this in one `drain` are taken for jobs that enqueue each other for ever. */
const ATTEMPT_LIMIT = 10_000;

export interface TestKitOptions {
  /** A database for tests alone: it is migrated, and `clear()` empties it. */
  databaseUrl: string;
  /** The tasks by name, or the directories of their files. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tasks of every payload and result
  tasks: Readonly<Record<string, Task<any, any> | PlainTask>> | readonly string[];
  /** Jobs that run at a time; 1 by default, so that they run in the order of their priority and time. */
  concurrency?: number;
  /** What the tasks log is printed from this level on; `silent` by default. */
  logLevel?: LogLevel;
}

export interface DrainOptions {
  /** Until then, a time or so long from now: the clock moves from one due time to the next. Now by default. */
  at?: Date | Duration;
  /** The most attempts that are made before it is given up; 10,000 by default. */
  limit?: number;
}

/**
 * Runs tasks as a worker does, in this process and when it is told: the same statements, triggers, limits, retries, redaction. Made by
 * `openTestKit`.
 */
export interface TestKit {
  /** Connections to the database, to enqueue with and to look. */
  readonly pool: Pool;
  /** Enqueues a job, as `enqueue` does. */
  enqueue(task: string, payload?: unknown, options?: EnqueueOptions): Promise<string>;
  /**
   * Enqueues a job and makes its first attempt now, whatever its `runAt` and whatever else is enqueued. Resolves to the job: it has completed, or waits for a signal or
   * a time of its own. Throws what the task threw when the attempt failed; LW409 when the job may not start, saying why.
   */
  runTask(task: string, payload?: unknown, options?: EnqueueOptions): Promise<JobRow>;
  /** Makes one attempt of a job that is enqueued, now. Resolves to the job, however the attempt ended. Throws LW409 when it may not start, LW404 when it is not there. */
  runJob(id: string): Promise<JobRow>;
  /**
   * Runs what is due, and what that enqueues, until nothing is due. Resolves to the jobs of which it has made an attempt, in that order, as they are
   * afterwards; a failed one throws nothing. Throws LW429 after `limit` attempts.
   */
  drain(options?: DrainOptions): Promise<JobRow[]>;
  /**
   * Fires what schedules have due as of a time that is not ahead, runs it and what it enqueues, and then what has waited for it. Resolves to the jobs of which it has
   * made an attempt, in that order. Call it with one due time after the other: `next_at` of `legwork.schedules` has them. A schedule that was made `asOf` a time
   * in the past lives a month in seconds; what it has missed by more than a minute is made up for as its `missed` says. Throws LW400 for a time ahead.
   */
  fireSchedules(asOf: Date): Promise<JobRow[]>;
  /** Makes it later: everything that is stored becomes that much older. Nothing runs. */
  advance(by: Duration): Promise<void>;
  /** The jobs that have not ended and fit, oldest first. */
  enqueued(filter?: EnqueuedFilter): Promise<JobRow[]>;
  /** Throws an AssertionError, listing what is enqueued, unless a job that has not ended fits; with `count`, exactly so many. Resolves to those that do. */
  assertEnqueued(filter: EnqueuedFilter, options?: { count?: number }): Promise<JobRow[]>;
  /** A job with its attempts. Throws LW404 when it is not there. */
  job(id: string): Promise<JobRow & { attempt_list: AttemptRow[] }>;
  /** Takes away all jobs and their history, and ends every pause. Between two tests. */
  clear(): Promise<void>;
  /** Lets go of the database. */
  close(): Promise<void>;
}

/**
 * Migrates a database and makes its tasks known. Throws LW409 when workers are alive on it, because it is not for tests alone then; LW515 for a task that is
 * none, and what migrating throws.
 */
export async function openTestKit(options: TestKitOptions): Promise<TestKit> {
  const log = createLogger({ level: options.logLevel ?? "silent" });
  const pool = createPool(options.databaseUrl, { log, max: 10, name: "legwork test" });
  try {
    await migrate(pool, log);
    const { rows } = await pool.query("select host, pid from legwork.workers limit 1");
    if (rows[0] !== undefined) {
      throw new LegworkError("LW409", `A worker is alive on this database (process ${rows[0].pid} on ${rows[0].host}).`, {
        hint: "Give the test kit a database of its own: it moves the clock and takes jobs away.",
      });
    }
    const tasks = Array.isArray(options.tasks) ? await loadTasks(options.tasks, log) : describe(options.tasks);
    const engine = await Engine.start({
      databaseUrl: options.databaseUrl,
      pool,
      log,
      concurrency: options.concurrency ?? 1,
      tasks,
    });
    return new Kit(pool, engine, [...tasks.keys()]);
  } catch (error) {
    await pool.end();
    throw error;
  }
}

function describe(tasks: Readonly<Record<string, unknown>> | readonly string[]): Map<string, LoadedTask> {
  const loaded = new Map<string, LoadedTask>();
  for (const [name, task] of Object.entries(tasks)) {
    if (typeof task !== "function") {
      throw new LegworkError("LW515", `'${name}' is no task but ${task === null ? "null" : typeof task}.`, {
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

  constructor(pool: Pool, engine: Engine, tasks: readonly string[]) {
    this.pool = pool;
    this.#engine = engine;
    this.#tasks = tasks;
  }

  async enqueue(task: string, payload?: unknown, options?: EnqueueOptions): Promise<string> {
    return await enqueue(this.pool, task, payload, options);
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
    // It may start now; limits and pauses still hold it back.
    await this.pool.query(
      "update legwork_private.graphile_jobs set run_at = now() where id = $1 and locked_at is null and $2 in ('scheduled', 'retrying')",
      [id, state],
    );
    await this.pool.query("select legwork.tick()");
    const [attempt] = await this.#engine.round({ onlyJob: id });
    if (attempt !== undefined) return attempt;
    const reason = (await explainJob(this.pool, id)).find((one) => one.reason !== "no_worker");
    throw new LegworkError("LW409", `Job ${id} did not start: ${reason?.detail ?? "the test kit has no such task."}`, {
      hint: reason?.fix ?? "Give openTestKit the task.",
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
        throw new LegworkError("LW429", `${attempts} attempts were made and jobs are still due.`, {
          hint: "Do they enqueue each other for ever? If it is right, give drain a larger limit.",
        });
      }
      if (round.length > 0) continue;
      const next = ahead > 0 ? await nextMoment(this.pool, this.#tasks, ahead) : undefined;
      if (next === undefined) break;
      await moveClock(this.pool, next);
      ahead -= next;
    }
    if (ahead > 0) await moveClock(this.pool, ahead);
    // Ends what has expired by then.
    await this.pool.query("select legwork.tick()");
    return await this.#jobs(ids);
  }

  /** In that order. */
  async #jobs(ids: ReadonlySet<string>): Promise<JobRow[]> {
    const { rows } = await this.pool.query("select * from legwork.jobs where id = any ($1) order by array_position($1, id)", [
      [...ids],
    ]);
    return rows;
  }

  async fireSchedules(asOf: Date): Promise<JobRow[]> {
    if (!(asOf.getTime() <= Date.now())) {
      throw new LegworkError("LW400", "Schedules fire as of now or of a time in the past.", {
        hint: "Make them with an asOf in the past: their jobs are due at their times, and those must have come.",
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
      // What is left is no task of the kit's.
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
    // In one transaction, and row by row: with few rows that is ten times as fast as to truncate so many tables.
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

/** What belongs to jobs; rules that tasks declare, schedules and what people have set are not among them. */
const EMPTIED = [
  "queue_counts",
  "finished_jobs",
  "failed_attempts",
  "job_logs",
  "job_progress",
  "job_steps",
  "job_signals",
  "step_secrets",
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

/** In milliseconds from now. Throws LW400 for what is neither a time nor a duration, and for the past. */
function toAhead(at: Date | Duration): number {
  const ahead = at instanceof Date ? at.getTime() - Date.now() : parseDuration(at);
  if (ahead !== undefined && ahead >= 0) return ahead;
  throw new LegworkError("LW400", `${at instanceof Date ? at.toISOString() : String(at)} is no time ahead.`, {
    hint: 'Give a Date to come, or a duration such as "30s", "1h" or 5000 (milliseconds). The clock does not go back.',
  });
}
