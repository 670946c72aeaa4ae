import type { Pool } from "../db/pool.ts";
import { toError } from "../errors.ts";
import { type Listener, listen } from "../db/listen.ts";
import type { Logger } from "../log.ts";
import { Hint, parseHint } from "./hint.ts";
import { RunningJobs } from "./attempt/running-jobs.ts";

/**
 * How old this worker's copy of the pauses may be when it starts a job (ms). Including the duration of a query, this stays below 300 ms, within which
 * a pause must take effect.
 */
const MAX_AGE_MS = 200;

/** The shortest interval at which notifications make this worker read pauses (ms). */
const PAUSES_INTERVAL_MS = 50;

/** The shortest interval at which notifications make this worker read cancelled jobs (ms). A cancellation may take at most a second. */
const CANCELLED_INTERVAL_MS = 100;

/**
 * The shortest interval at which notifications make this worker check the waiting room (ms). It equals the delay that `legwork.tick` returns when it
 * has more to do.
 */
const WAKEUPS_INTERVAL_MS = 50;

/** The shortest interval at which notifications make this worker check schedules (ms). */
const SCHEDULES_INTERVAL_MS = 100;

/** The shortest interval at which notifications make this worker send a heartbeat, whose response contains the worker's state (ms). */
const STATE_INTERVAL_MS = 200;

/**
 * How often the listening connection is checked, in addition to checks when a job starts (ms). If it is dead, heartbeats and the worker's poll
 * deliver the missed changes within seconds.
 */
const PROVE_INTERVAL_MS = 30_000;

/** The abort reason of a cancelled job. */
class JobCancelled extends Error {
  override readonly name = "JobCancelled";
}

/** The abort reason of a job whose worker may have been declared dead: the job may be running elsewhere. */
export class LeaseLost extends Error {
  override readonly name = "LeaseLost";
}

/**
 * Keeps track of the pauses and cancellations that users request while jobs run. Notifications only trigger reading them from the tables, because any
 * database login can send notifications. Cancellations also arrive with every heartbeat, and pauses are read again before a job starts if a
 * notification may have been missed.
 */
export class RemoteCommands {
  /** The attempts that are running in this process, by job. */
  readonly running = new RunningJobs();
  readonly #pool: Pool;
  readonly #log: Logger;
  readonly #listener: Listener;
  /** The queue of each paused task. */
  #paused: ReadonlyMap<string, string> = new Map();
  #knownAt = Number.NEGATIVE_INFINITY;
  /** Whether something may have changed since the last read began. */
  #isDirty = true;
  #reading: Promise<void> | undefined;
  readonly #hints: Readonly<Record<"pauses" | "cancelled" | "wakeups" | "schedules" | "worker", Hint>>;
  /** The id of the current runner, which is compared with the worker id in hints. */
  workerId: string | undefined;

  /**
   * `onWakeups` is called when jobs may leave the waiting room, `onSchedules` when schedules were created or changed, `onState` when this worker may
   * have been made quiet or active.
   */
  constructor(
    databaseUrl: string,
    options: { pool: Pool; log: Logger; onWakeups: () => void; onSchedules?: () => void; onState?: () => void },
  ) {
    this.#pool = options.pool;
    this.#log = options.log;
    const { onWakeups, onSchedules, onState } = options;
    this.#hints = {
      pauses: new Hint(PAUSES_INTERVAL_MS, () => this.#readSoon()),
      cancelled: new Hint(CANCELLED_INTERVAL_MS, () => void this.#readCancelled()),
      wakeups: new Hint(WAKEUPS_INTERVAL_MS, onWakeups),
      schedules: new Hint(SCHEDULES_INTERVAL_MS, () => onSchedules?.()),
      worker: new Hint(STATE_INTERVAL_MS, () => onState?.()),
    };
    this.#listener = listen(databaseUrl, "legwork", {
      log: options.log,
      proveEvery: PROVE_INTERVAL_MS,
      onConnect: () => {
        this.#isDirty = true;
        this.#hints.pauses.take();
        this.#hints.cancelled.take();
        this.#hints.wakeups.take();
        this.#hints.schedules.take();
      },
      onNotification: (payload) => this.#hear(payload),
    });
  }

  #hear(payload: string): void {
    const { limits, wakeups, schedules, cancelled, worker } = parseHint(payload);
    if (limits === true) {
      this.#isDirty = true;
      this.#hints.pauses.take();
    }
    if (limits === true || wakeups === true) this.#hints.wakeups.take();
    if (schedules === true) this.#hints.schedules.take();
    // All workers receive this hint, but only the worker that it names needs to send a heartbeat.
    if (typeof worker === "string" && worker === this.workerId) this.#hints.worker.take();
    if (typeof cancelled === "string" && this.running.has(cancelled)) this.#hints.cancelled.take();
  }

  /**
   * Whether it is certain without a query that a task is not paused; true for nearly every job. A job that was fetched `fetchedAgo` ms ago was not
   * paused at that time, because the transaction that pauses a task also makes its waiting jobs impossible to fetch.
   */
  isFree(task: string, fetchedAgo = Infinity): boolean {
    if (this.#paused.has(task)) return false;
    return (!this.#isDirty && fetchedAgo > -MAX_AGE_MS && fetchedAgo < MAX_AGE_MS) || this.#isFresh(performance.now());
  }

  /** Whether a task was paused at most 200 ms ago. Rejects if the database does not respond. */
  async isPaused(task: string): Promise<boolean> {
    const asked = performance.now();
    while (!this.#isFresh(asked)) await this.#read();
    return this.#paused.has(task);
  }

  /**
   * Whether a job that may have killed workers must wait because of the jobs that are running here. A job with only one chance left does not run next
   * to another such job, so that it does not fail because of the other job.
   */
  mustWait(deaths: number): boolean {
    for (const other of this.running.values()) {
      if (other.deaths > 0 && (deaths > 1 || other.deaths > 1)) return true;
    }
    return false;
  }

  cancel(jobIds: readonly string[]): void {
    for (const id of jobIds) this.running.get(id)?.abort(new JobCancelled("The job was cancelled."));
  }

  /** Aborts the attempts of the given jobs, or of all jobs, because they may be running elsewhere. */
  abandon(jobIds: Iterable<string> = this.running.keys()): void {
    for (const id of jobIds) {
      this.running
        .get(id)
        ?.abort(new LeaseLost("This worker may have been declared dead, and the job may be running elsewhere."));
    }
  }

  stop(): void {
    this.#listener.stop();
    for (const hint of Object.values(this.#hints)) hint.stop();
  }

  /**
   * Whether the copy of the pauses is recent enough: because of the last read, or because of a response on the listening connection, before which all
   * earlier notifications must have arrived. After a notification, only a read that began shortly before `asked` or later counts. So jobs wait for
   * one read, no matter how many notifications arrive in the meantime.
   */
  #isFresh(asked: number): boolean {
    const now = performance.now();
    if (this.#isDirty) return this.#knownAt >= asked - PAUSES_INTERVAL_MS && now - this.#knownAt < MAX_AGE_MS;
    if (now - this.#listener.provenAt > MAX_AGE_MS / 2) this.#listener.prove();
    return now - Math.max(this.#knownAt, this.#listener.provenAt) < MAX_AGE_MS;
  }

  /** Reads pauses. Concurrent callers wait for the same read. */
  async #read(): Promise<void> {
    const read = async (): Promise<void> => {
      const before = performance.now();
      this.#isDirty = false;
      try {
        const { rows } = await this.#pool.query("select task, queue from legwork_private.task_limits where is_paused");
        const paused = new Map<string, string>(rows.map((row) => [row.task, row.queue]));
        this.#tell("queue_paused", "Paused.", paused, this.#paused);
        this.#tell("queue_resumed", "Resumed.", this.#paused, paused);
        this.#paused = paused;
        this.#knownAt = before;
      } catch (error) {
        this.#isDirty = true;
        throw error;
      }
    };
    this.#reading ??= read().finally(() => (this.#reading = undefined));
    await this.#reading;
  }

  /** Logs the tasks that are in `these` but not in `those`, with one line for each queue. */
  #tell(event: string, message: string, these: ReadonlyMap<string, string>, those: ReadonlyMap<string, string>): void {
    const tasks = [...these.keys()].filter((task) => !those.has(task));
    for (const queue of new Set(tasks.map((task) => these.get(task)))) {
      this.#log.info({ event, queue, tasks: tasks.filter((task) => these.get(task) === queue) }, message);
    }
  }

  /** Reads pauses now, regardless of notifications. Rejects if the database does not respond. */
  async refresh(): Promise<void> {
    // A read in progress may have begun too early.
    await this.#reading;
    await this.#read();
  }

  async #readCancelled(): Promise<void> {
    if (this.running.size === 0) return;
    try {
      const { rows } = await this.#pool.query("select legwork_private.cancelled_jobs($1)::text as id", [
        [...this.running.keys()],
      ]);
      this.cancel(rows.map(({ id }) => id));
    } catch (error) {
      this.#log.debug({ err: toError(error) }, "Cannot read which jobs were cancelled; the next heartbeat will return them.");
    }
  }

  #readSoon(): void {
    this.#read().catch((error: unknown) => {
      this.#log.debug({ err: toError(error) }, "Cannot read what is paused; retrying before the next job starts.");
    });
  }
}
