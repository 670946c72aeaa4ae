import type { Notification, PoolClient } from "pg";
import type { WorkerEvents } from "graphile-worker";
import { GRAPHILE_WORKER_SCHEMA } from "../../db/migrate.ts";
import type { Pool } from "../../db/pool.ts";
import { toError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { Hint } from "../hint.ts";

/** How many fetches in a row may find no job before notifications about new jobs are throttled. */
const FREE_MISSES = 3;

/** The interval between throttled fetches (ms). */
const NUDGE_INTERVAL_MS = 25;

/** After this long without a notification (ms), fetches that found no job no longer count, because they come from regular polling. */
const FORGET_MISSES_MS = 1_000;

/** The shortest interval between reads of the version of graphile-worker's schema (ms). */
const MIGRATION_INTERVAL_MS = 1_000;

export interface GuardOptions {
  /** Reads graphile_worker.migrations. */
  readonly pool: Pool;
  readonly log: Logger;
  /** The number of jobs that run at a time. */
  readonly concurrency: number;
  /** Ends the guard together with the runner. */
  readonly signal: AbortSignal;
}

/**
 * Filters the notifications that graphile-worker receives, because any database login can send them. Without the filter, a `worker:migrate`
 * notification would shut down the whole pool, and a stream of `jobs:insert` would make graphile-worker fetch as fast as the database responds.
 *
 * A migration notification is passed on only if graphile_worker.migrations contains the migration. Notifications about new jobs are passed on
 * immediately while the fetches find jobs. After a few fetches that found no job, they are passed on at most every 25 ms, until a job is found.
 */
export function guardNotifications(events: WorkerEvents, { pool, log, concurrency, signal }: GuardOptions): void {
  let tell: (channel: string, payload: object) => void = () => undefined;
  const nudges = new Nudges(events, concurrency, (count) => tell("jobs:insert", { count }));
  const readMigrations = async (): Promise<void> => {
    try {
      // Notifications arrive after the commit, so this query can already see the migration.
      const { rows } = await pool.query("select max(id) as id from graphile_worker.migrations where breaking");
      if (rows[0].id > GRAPHILE_WORKER_SCHEMA) tell("worker:migrate", { migrationNumber: rows[0].id, breaking: true });
    } catch (error) {
      log.debug({ err: toError(error) }, "Cannot read the version of graphile-worker's schema; retrying.");
      migration.take();
    }
  };
  const migration = new Hint(MIGRATION_INTERVAL_MS, () => void readMigrations());
  const stop = (): void => {
    tell = () => undefined;
    migration.stop();
    nudges.stop();
  };
  signal.addEventListener("abort", stop, { once: true });

  // Runs before graphile-worker itself uses the connection.
  events.on("pool:listen:success", ({ client }) => {
    const emit = client.emit.bind(client) as (event: string, ...values: unknown[]) => boolean;
    tell = (channel, payload) => void emit("notification", { channel, payload: JSON.stringify(payload) });
    client.emit = (event: string, ...values: unknown[]) => {
      if (event !== "notification") return emit(event, ...values);
      const { channel, payload } = values[0] as Notification;
      if (channel === "jobs:insert") nudges.take(countOf(payload));
      else if (channel === "worker:migrate") migration.take();
      return true;
    };
  });
  // Once it is back in the pool, the connection is a normal one again, with the inherited `emit`.
  events.on("pool:listen:release", ({ client }) => void delete (client as Partial<Emitting>).emit);
}

interface Emitting extends Omit<PoolClient, "emit"> {
  emit: (event: string, ...values: unknown[]) => boolean;
}

/** Returns the number of jobs that a notification states; 1 if it states none. */
function countOf(payload: string | undefined): number {
  const count = /"count":(-?\d{1,9})\b/.exec(payload?.slice(0, 100) ?? "")?.[1];
  return count === undefined ? 1 : Math.max(0, Number(count));
}

/** Passes notifications about new jobs to a runner, throttled. */
class Nudges {
  readonly #concurrency: number;
  readonly #nudge: (count: number) => void;
  readonly #waiting = new Hint(NUDGE_INTERVAL_MS, () => this.#pass());
  #misses = 0;
  #passedAt = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(events: WorkerEvents, concurrency: number, nudge: (count: number) => void) {
    this.#concurrency = concurrency;
    this.#nudge = nudge;
    events.on("localQueue:getJobs:complete", ({ jobs }) => this.#fetched(jobs.length > 0));
    events.on("worker:getJob:empty", () => this.#fetched(false));
    events.on("job:start", () => this.#fetched(true));
  }

  take(count: number): void {
    if (count === 0) return;
    // Fetching for more jobs than can run would be wasted.
    this.#count = Math.min(this.#concurrency, this.#count + count);
    if (performance.now() - this.#passedAt > FORGET_MISSES_MS) this.#misses = 0;
    if (this.#misses < FREE_MISSES) this.#pass();
    else this.#waiting.take();
  }

  stop(): void {
    this.#waiting.stop();
  }

  #pass(): void {
    const count = this.#count;
    if (count === 0) return;
    this.#count = 0;
    this.#passedAt = performance.now();
    this.#nudge(count);
  }

  #fetched(hasFound: boolean): void {
    if (!hasFound) {
      this.#misses += 1;
      return;
    }
    this.#misses = 0;
    this.#pass();
  }
}
