import type { Pool } from "../db/pool.ts";
import { toError } from "../errors.ts";
import { type Listener, listen } from "../db/listen.ts";
import type { Logger } from "../log.ts";
import { Hint, parseHint } from "./hint.ts";
import { RunningJobs } from "./attempt/running-jobs.ts";

/**
 * How old this worker's knowledge of what is paused may be when it starts a job (ms). Together with the time a query takes it stays
 * below the 300 ms after which nothing may start.
 */
const MAX_AGE_MS = 200;

/** How often notifications make this worker read what is paused at most (ms). */
const PAUSES_INTERVAL_MS = 50;

/** How often they make it read which of its jobs were cancelled at most (ms): cancelling takes a second at most. */
const CANCELLED_INTERVAL_MS = 100;

/** How often they make it look at the waiting room at most (ms): as soon as `legwork.tick` wants to be called again when it has more to do. */
const WAKEUPS_INTERVAL_MS = 50;

/** How often they make it look at schedules at most (ms). */
const SCHEDULES_INTERVAL_MS = 100;

/** Why a job's signal aborted: somebody cancelled the job. */
class JobCancelled extends Error {
  override readonly name = "JobCancelled";
}

/** Why a job's signal aborted: this worker may have been taken for dead, and the job may run elsewhere. */
export class LeaseLost extends Error {
  override readonly name = "LeaseLost";
}

/**
 * What people decide while jobs run, as this worker knows it: what is paused and what was cancelled. Notifications say when to read that from the tables, and
 * nothing more: any login of the database can send them. Cancellations also come with every beat, and pauses are read again before a job starts
 * whenever a notification may have been missed.
 */
export class RemoteCommands {
  /** The attempts that run in this process, by job. */
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
  readonly #hints: Readonly<Record<"pauses" | "cancelled" | "wakeups" | "schedules", Hint>>;

  /** `onWakeups` is called when jobs may be let go from the waiting room, `onSchedules` when schedules were made or changed. */
  constructor(databaseUrl: string, options: { pool: Pool; log: Logger; onWakeups: () => void; onSchedules?: () => void }) {
    this.#pool = options.pool;
    this.#log = options.log;
    const { onWakeups, onSchedules } = options;
    this.#hints = {
      pauses: new Hint(PAUSES_INTERVAL_MS, () => this.#readSoon()),
      cancelled: new Hint(CANCELLED_INTERVAL_MS, () => void this.#readCancelled()),
      wakeups: new Hint(WAKEUPS_INTERVAL_MS, onWakeups),
      schedules: new Hint(SCHEDULES_INTERVAL_MS, () => onSchedules?.()),
    };
    this.#listener = listen(databaseUrl, "legwork", {
      log: options.log,
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
    const { limits, wakeups, schedules, cancelled } = parseHint(payload);
    if (limits === true) {
      this.#isDirty = true;
      this.#hints.pauses.take();
    }
    if (limits === true || wakeups === true) this.#hints.wakeups.take();
    if (schedules === true) this.#hints.schedules.take();
    if (typeof cancelled === "string" && this.running.has(cancelled)) this.#hints.cancelled.take();
  }

  /**
   * Whether it can be said without asking that a task is not paused. The way of nearly every job. One that was fetched `fetchedAgo` ms ago was not paused
   * then: a pause takes the jobs that wait out of reach in its own transaction.
   */
  isFree(task: string, fetchedAgo = Infinity): boolean {
    if (this.#paused.has(task)) return false;
    return (!this.#isDirty && fetchedAgo > -MAX_AGE_MS && fetchedAgo < MAX_AGE_MS) || this.#isFresh(performance.now());
  }

  /** Whether a task is paused, with certainty as of 200 ms ago. Rejects when the database does not answer. */
  async isPaused(task: string): Promise<boolean> {
    const asked = performance.now();
    while (!this.#isFresh(asked)) await this.#read();
    return this.#paused.has(task);
  }

  /**
   * Whether a job of which workers may have died must not start beside what runs here. On its last chance it runs beside no other
   * of its kind, so that none is blamed for what another does.
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

  /** Tells attempts that their jobs may be running elsewhere by now: these, or all. */
  abandon(jobIds: Iterable<string> = this.running.keys()): void {
    for (const id of jobIds) {
      this.running.get(id)?.abort(new LeaseLost("This worker may have been taken for dead, and the job may run elsewhere."));
    }
  }

  stop(): void {
    this.#listener.stop();
    for (const hint of Object.values(this.#hints)) hint.stop();
  }

  /**
   * By what was read, or by an answer on the listening connection: all notifications sent before the question came before it. While they say that
   * something may have changed, only what was read just before it was asked, or later: so they make jobs wait for one reading, however many come meanwhile.
   */
  #isFresh(asked: number): boolean {
    const now = performance.now();
    if (this.#isDirty) return this.#knownAt >= asked - PAUSES_INTERVAL_MS && now - this.#knownAt < MAX_AGE_MS;
    if (now - this.#listener.provenAt > MAX_AGE_MS / 2) this.#listener.prove();
    return now - Math.max(this.#knownAt, this.#listener.provenAt) < MAX_AGE_MS;
  }

  /** Reads what is paused; whoever comes while it is being read waits for the same answer. */
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

  /** Logs, queue by queue, the tasks that are among these and were not among those. */
  #tell(event: string, message: string, these: ReadonlyMap<string, string>, those: ReadonlyMap<string, string>): void {
    const tasks = [...these.keys()].filter((task) => !those.has(task));
    for (const queue of new Set(tasks.map((task) => these.get(task)))) {
      this.#log.info({ event, queue, tasks: tasks.filter((task) => these.get(task) === queue) }, message);
    }
  }

  /** Reads what is paused as of now, whatever this worker has heard of it. Rejects when the database does not answer. */
  async refresh(): Promise<void> {
    // A reading that is under way may have begun too early.
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
      this.#log.debug({ err: toError(error) }, "Which jobs were cancelled could not be read; the next heartbeat brings it.");
    }
  }

  #readSoon(): void {
    this.#read().catch((error: unknown) => {
      this.#log.debug({ err: toError(error) }, "What is paused could not be read; it is read before the next job starts.");
    });
  }
}
