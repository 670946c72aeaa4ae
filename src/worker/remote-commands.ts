import type { Pool } from "../db/pool.ts";
import { toError } from "../errors.ts";
import { type Listener, listen } from "../db/listen.ts";
import type { Logger } from "../log.ts";
import { Hint, parseHint } from "./hint.ts";
import { RunningJobs } from "./attempt/running-jobs.ts";

/**
 * How old this worker's knowledge of pauses may be when it starts a job (ms). Together with the time of a query it stays
 * below the 300 ms after which no job may start.
 */
const MAX_AGE_MS = 200;

/** The shortest interval at which notifications make this worker read pauses (ms). */
const PAUSES_INTERVAL_MS = 50;

/** The shortest interval at which they make it read cancelled jobs (ms): a cancellation may take at most a second. */
const CANCELLED_INTERVAL_MS = 100;

/**
 * The shortest interval at which they make it check the waiting room (ms): as soon as `legwork.tick` asks to be called again when it has more to do.
 */
const WAKEUPS_INTERVAL_MS = 50;

/** The shortest interval at which they make it check schedules (ms). */
const SCHEDULES_INTERVAL_MS = 100;

/** The shortest interval at which they make it send a heartbeat, whose answer has this worker's state (ms). */
const STATE_INTERVAL_MS = 200;

/**
 * How often the listening connection is checked, besides when a job starts (ms). What a dead one misses, heartbeats and the worker's poll bring
 * within seconds.
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
 * The changes that users make while jobs run, as known to this worker: pauses and cancellations. Notifications only trigger reading them from the
 * tables, because any login of the database can send them. Cancellations also come with every heartbeat, and pauses are read again before a job
 * starts if a notification may have been missed.
 */
export class RemoteCommands {
  /** The attempts that are running in this process, by job. */
  readonly running = new RunningJobs();
  readonly #pool: Pool;
  readonly #log: Logger;
  readonly #listener: Listener;
  /** The tasks that are paused, with their queues. */
  #paused: ReadonlyMap<string, string> = new Map();
  #knownAt = Number.NEGATIVE_INFINITY;
  /** Whether something may have changed since the last reading began. */
  #isDirty = true;
  #reading: Promise<void> | undefined;
  readonly #hints: Readonly<Record<"pauses" | "cancelled" | "wakeups" | "schedules" | "worker", Hint>>;
  /** The id of the current runner, to recognize hints that are meant for it. */
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
    // For one of all workers, and each of them would only send a heartbeat.
    if (typeof worker === "string" && worker === this.workerId) this.#hints.worker.take();
    if (typeof cancelled === "string" && this.running.has(cancelled)) this.#hints.cancelled.take();
  }

  /**
   * Whether a task is known not to be paused without a query; true for nearly every job. A job that was fetched `fetchedAgo` ms ago was not paused
   * then, because a pause moves waiting jobs out of reach in its own transaction.
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
   * Whether a job that may have killed workers must not start next to the jobs running here. On its last chance it does not run next to another
   * such job, so that no job is blamed for what another one does.
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

  /** Aborts the attempts of the given jobs, or all, because they may be running elsewhere. */
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
   * Whether the knowledge of pauses is recent: by the last reading, or by an answer on the listening connection, before which all earlier
   * notifications must have arrived. After a notification, only a reading that began just before `asked` or later counts. So notifications make jobs
   * wait for one reading, however many arrive meanwhile.
   */
  #isFresh(asked: number): boolean {
    const now = performance.now();
    if (this.#isDirty) return this.#knownAt >= asked - PAUSES_INTERVAL_MS && now - this.#knownAt < MAX_AGE_MS;
    if (now - this.#listener.provenAt > MAX_AGE_MS / 2) this.#listener.prove();
    return now - Math.max(this.#knownAt, this.#listener.provenAt) < MAX_AGE_MS;
  }

  /** Reads pauses. Concurrent callers wait for the same reading. */
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

  /** Logs, by queue, the tasks that are in `these` and not in `those`. */
  #tell(event: string, message: string, these: ReadonlyMap<string, string>, those: ReadonlyMap<string, string>): void {
    const tasks = [...these.keys()].filter((task) => !those.has(task));
    for (const queue of new Set(tasks.map((task) => these.get(task)))) {
      this.#log.info({ event, queue, tasks: tasks.filter((task) => these.get(task) === queue) }, message);
    }
  }

  /** Reads pauses now, independent of notifications. Rejects if the database does not respond. */
  async refresh(): Promise<void> {
    // A reading in progress may have begun too early.
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
