import { listen, type Listener } from "../db/listen.ts";
import { readJson } from "../db/exact-json.ts";
import type { Pool } from "../db/pool.ts";
import { findPooling } from "../db/pooler.ts";
import { fromDatabaseError } from "../db/translate-error.ts";
import type { JobState } from "../contract/states.ts";
import { LegworkError } from "../errors.ts";
import type { Logger } from "../log.ts";

/** How a job ended, as `legwork_private.results_of` returns it. */
export interface JobEnd {
  id: string;
  state: Extract<JobState, "completed" | "failed" | "cancelled" | "expired">;
  /** Null without a result; redacted values are missing, as in the history. */
  result: unknown;
  error: string | null;
  finished_at: Date;
}

/** The channel that `legwork_private.notify_waiters` notifies. */
const CHANNEL = "legwork_results";

/** The maximum number of jobs that one statement reads. */
const CHUNK = 1_000;

/** How long new waits and notifications are collected before the next read (ms). */
const COLLECT_MS = 3;

/**
 * The first and the longest pause before a job is read again while it may end without a notification (ms). Each pause is 1.5 times as long as the one
 * before.
 */
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 2_000;

/** How often a job is read even though a notification will announce its end (ms); a safety net. */
const NET_MS = 10_000;

/** The pause after a read is this many times as long as the read took, unless a notification has announced that a job ended. */
const PAUSE_FACTOR = 4;

/** The age at which a row of `legwork_private.awaited_jobs`, which is valid for five minutes, is renewed (ms). */
const RENEW_MS = 120_000;

/** How long the listening connection stays open while no job is awaited (ms). */
const IDLE_MS = 10_000;

/** The shortest time between two reads of all jobs that notifications cause (ms). Limited because any login may send notifications. */
const READ_ALL_MS = 250;

interface Wait {
  readonly resolve: (end: JobEnd) => void;
  readonly reject: (error: Error) => void;
}

/** The waits for one job. */
interface Awaited {
  readonly waits: Set<Wait>;
  /** When the job's row was last written, by `performance.now()`; undefined while there is no row. */
  registeredAt: number | undefined;
  /** Transactions before this one may have missed the row; undefined before the first read after the row was written. */
  horizon: bigint | undefined;
  /** Whether the row is visible to every transaction that may still end the job. */
  isSettled: boolean;
  /** When the job is read again at the latest, by `performance.now()`, and the pause before that. */
  nextAt: number;
  pause: number;
}

/**
 * Manages all waits of a process for jobs to end. However many there are, it uses one listening connection, and one statement that reads all jobs
 * that may have ended. The connection is opened for the first wait, closed after the last one, and never keeps the process alive. Behind a pooler in
 * transaction mode, where no notification arrives, the jobs are read at growing intervals. sql/definitions/lifecycle/results.sql explains why the end
 * of a job is never missed.
 */
export class ResultWaits {
  readonly #pool: Pool;
  readonly #log: Logger;
  readonly #waiter = crypto.randomUUID();
  readonly #awaited = new Map<string, Awaited>();
  /** Jobs whose rows can be deleted. */
  readonly #gone = new Set<string>();
  #readAllAt = Number.NEGATIVE_INFINITY;
  #listener: Listener | undefined;
  /** Whether notifications arrive. */
  #hears = false;
  #canListen: Promise<boolean> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #idleTimer: NodeJS.Timeout | undefined;
  #isReading = false;
  #current: Promise<void> | undefined;
  /** Whether `stop` was called. */
  isStopped = false;

  constructor(pool: Pool, log: Logger) {
    this.#pool = pool;
    this.#log = log;
  }

  /** The number of jobs that are awaited. */
  get size(): number {
    return this.#awaited.size;
  }

  /**
   * Resolves when the job has ended, regardless of its state. Rejects with LW404 when the job does not exist or belongs to a different tenant than
   * the pool's login, LW403 when the login may not read jobs, and the signal's reason when it aborts. While the database does not respond, the wait
   * continues.
   */
  async ended(id: string, signal: AbortSignal): Promise<JobEnd> {
    signal.throwIfAborted();
    if (this.isStopped) throw stopped();
    const { promise, resolve, reject } = Promise.withResolvers<JobEnd>();
    const wait: Wait = { resolve, reject };
    // If the row of an earlier wait has not been deleted yet, it is written again, and deleted after this wait.
    const awaited = this.#awaited.get(id) ?? newAwaited(this.#gone.delete(id) ? Number.NEGATIVE_INFINITY : undefined);
    this.#awaited.set(id, awaited);
    awaited.waits.add(wait);
    awaited.nextAt = 0;
    awaited.pause = FIRST_PAUSE_MS;
    this.#startListening();
    this.#readIn(COLLECT_MS);
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", abort);
      awaited.waits.delete(wait);
      if (awaited.waits.size === 0) this.#forget(id, awaited);
    }
  }

  /** Ends all waits with LW503 and closes the connection. */
  async stop(): Promise<void> {
    this.isStopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#idleTimer);
    for (const [id, { waits, registeredAt }] of this.#awaited) {
      if (registeredAt !== undefined) this.#gone.add(id);
      for (const { reject } of waits) reject(stopped());
    }
    this.#awaited.clear();
    this.#listener?.stop();
    this.#listener = undefined;
    // The current round may be adding rows.
    await this.#current;
    // If this fails, the rows stay for five minutes, and jobs that end notify a process that no longer listens.
    if (this.#gone.size > 0) await this.#register([], 0).catch(() => undefined);
  }

  #forget(id: string, awaited: Awaited): void {
    if (this.#awaited.get(id) === awaited) this.#awaited.delete(id);
    if (awaited.registeredAt !== undefined) this.#gone.add(id);
    if (this.#awaited.size > 0 || this.isStopped) return;
    // The rows are deleted in the next round, which does not keep the process alive.
    clearTimeout(this.#timer);
    this.#timerAt = Number.POSITIVE_INFINITY;
    if (this.#gone.size > 0) this.#readIn(100);
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => {
      this.#listener?.stop();
      this.#listener = undefined;
      this.#hears = false;
    }, IDLE_MS).unref();
  }

  #startListening(): void {
    clearTimeout(this.#idleTimer);
    if (this.#listener !== undefined) return;
    void this.#listen();
  }

  async #listen(): Promise<void> {
    this.#canListen ??= findPooling(this.#pool, { listens: true }).then(
      (pooling) => pooling === undefined,
      (error: unknown) => {
        this.#log.debug({ err: error }, "Cannot determine whether notifications arrive.");
        this.#canListen = undefined;
        return false;
      },
    );
    const can = await this.#canListen;
    const { connectionString } = this.#pool.options;
    if (!can || this.isStopped || this.#awaited.size === 0 || connectionString === undefined) return;
    this.#listener ??= listen(connectionString, CHANNEL, {
      log: this.#log,
      unref: true,
      onConnect: () => {
        this.#hears = true;
        this.#readAll();
      },
      onLost: () => {
        this.#hears = false;
        this.#readAll();
      },
      onNotification: (payload) => this.#hear(payload),
    });
  }

  /** A notification is only a hint, because it may be forged: it determines which jobs are read next, and nothing else. */
  #hear(payload: string): void {
    if (payload === "*") {
      const delay = this.#readAllAt + READ_ALL_MS - performance.now();
      if (delay <= 0) this.#readAll();
      return;
    }
    let hinted = false;
    for (const id of payload.split(",")) {
      const awaited = this.#awaited.get(id);
      if (awaited === undefined) continue;
      awaited.nextAt = 0;
      hinted = true;
    }
    if (hinted) this.#readIn(COLLECT_MS);
  }

  #readAll(): void {
    this.#readAllAt = performance.now();
    for (const awaited of this.#awaited.values()) {
      awaited.nextAt = 0;
      awaited.pause = FIRST_PAUSE_MS;
    }
    if (this.#awaited.size > 0) this.#readIn(COLLECT_MS);
  }

  /** Schedules the next round after this delay (ms), unless an earlier round is already scheduled. */
  #readIn(delay: number): void {
    const at = performance.now() + delay;
    if (this.isStopped || this.#isReading || at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => void (this.#current = this.#round()), delay);
    if (this.#awaited.size === 0) this.#timer.unref();
  }

  /** Reads the jobs that are due. */
  async #round(): Promise<void> {
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#isReading = true;
    const begin = performance.now();
    // Jobs that are almost due are read at the same time.
    const ids = [...this.#awaited].filter(([, { nextAt, pause }]) => nextAt <= begin + pause / 4).map(([id]) => id);
    try {
      for (let from = 0; from < Math.max(1, ids.length); from += CHUNK) await this.#read(ids.slice(from, from + CHUNK));
    } catch (thrown) {
      this.#fail(ids, thrown);
    }
    this.#isReading = false;
    const now = performance.now();
    if (this.#awaited.size === 0) {
      if (this.#gone.size > 0) this.#readIn(100);
      return;
    }
    let next = Number.POSITIVE_INFINITY;
    for (const { nextAt } of this.#awaited.values()) next = Math.min(next, nextAt);
    // `next` is 0 if a wait for a job has just begun, or a notification has named the job.
    this.#readIn(next === 0 ? COLLECT_MS : Math.max(next - now, PAUSE_FACTOR * (now - begin), COLLECT_MS));
  }

  /** Registers jobs if notifications arrive, and reads which of them have ended. */
  async #read(ids: readonly string[]): Promise<void> {
    const now = performance.now();
    for (const id of ids) {
      const awaited = this.#awaited.get(id);
      if (awaited === undefined) continue;
      awaited.nextAt = now + awaited.pause;
      awaited.pause = Math.min(LONGEST_PAUSE_MS, awaited.pause * 1.5);
    }
    const isStale = (id: string): boolean => {
      const registeredAt = this.#awaited.get(id)?.registeredAt;
      return registeredAt === undefined || now - registeredAt > RENEW_MS;
    };
    const stale = this.#hears ? ids.filter(isStale) : [];
    if (stale.length > 0 || this.#gone.size > 0) await this.#register(stale, now);
    if (ids.length === 0) return;
    const { rows } = await this.#pool.query(
      `select pg_snapshot_xmin(s.it)::text as oldest, pg_snapshot_xmax(s.it)::text as next, r.id::text, r.state, r.result::text, r.error, r.finished_at
       from (select pg_current_snapshot() as it) s left join legwork_private.results_of($1) r on true`,
      [ids],
    );
    const [oldest, next] = [BigInt(rows[0]?.oldest), BigInt(rows[0]?.next)];
    const known = new Map(
      (readJson(this.#pool, rows, ["result"]) as (JobEnd & { state: string | null })[]).map((row) => [row.id, row]),
    );
    for (const id of ids) {
      const awaited = this.#awaited.get(id);
      const end = known.get(id);
      if (awaited === undefined) continue;
      if (end !== undefined && end.state === null) {
        if (awaited.registeredAt === undefined) continue;
        awaited.horizon ??= next;
        awaited.isSettled ||= oldest >= awaited.horizon;
        // Unless a notification has named the job in the meantime.
        if (awaited.isSettled && this.#hears && awaited.nextAt > 0) awaited.nextAt = now + NET_MS;
        continue;
      }
      for (const { resolve, reject } of awaited.waits) {
        if (end === undefined) reject(unknown(id));
        else resolve({ id, state: end.state, result: end.result, error: end.error, finished_at: end.finished_at });
      }
      this.#forget(id, awaited);
    }
  }

  /** Registers jobs that have not ended, and removes those that are no longer awaited. */
  async #register(ids: readonly string[], now: number): Promise<void> {
    const gone = [...this.#gone].filter((id) => !this.#awaited.has(id));
    this.#gone.clear();
    const { rows } = await this.#pool
      .query("select legwork_private.await_results($1, $2, $3)::text as id", [ids, gone, this.#waiter])
      .catch((error: unknown) => {
        for (const id of gone) this.#gone.add(id);
        throw error;
      });
    for (const { id } of rows) {
      const awaited = this.#awaited.get(id);
      if (awaited === undefined) this.#gone.add(id);
      else awaited.registeredAt = now;
    }
  }

  #fail(ids: readonly string[], thrown: unknown): void {
    const error = fromDatabaseError(thrown);
    if (error instanceof LegworkError && (error.code === "LW503" || error.code === "LW504")) {
      this.#log.debug({ err: error }, "Cannot read which jobs have ended; retrying.");
      return;
    }
    for (const id of ids) for (const { reject } of this.#awaited.get(id)?.waits ?? []) reject(error);
  }
}

function newAwaited(registeredAt: number | undefined): Awaited {
  return { waits: new Set(), registeredAt, horizon: undefined, isSettled: false, nextAt: 0, pause: FIRST_PAUSE_MS };
}

function unknown(id: string): LegworkError {
  return new LegworkError("LW404", `No job has id ${id}.`, {
    hint: "A job exists once the transaction that enqueued it has committed. Finished jobs are kept for the period set in history_retention.",
  });
}

function stopped(): LegworkError {
  return new LegworkError("LW503", "Legwork was stopped while a result was awaited.", { hint: "The job continues." });
}
