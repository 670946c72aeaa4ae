import type { Notification, PoolClient } from "pg";
import type { WorkerEvents } from "graphile-worker";
import { GRAPHILE_WORKER_SCHEMA } from "../../db/migrate.ts";
import type { Pool } from "../../db/pool.ts";
import { toError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { Hint } from "../hint.ts";

/** Fetches that found no job in a row before notifications of new jobs have to wait for each other. */
const FREE_MISSES = 3;

/** How far apart fetches for notifications are after that (ms). */
const NUDGE_INTERVAL_MS = 25;

/** Without a notification for so long (ms), fetches that found nothing are forgotten: they were those of the regular poll. */
const FORGET_MISSES_MS = 1_000;

/** How often the version of graphile-worker's schema is read at most (ms). */
const MIGRATION_INTERVAL_MS = 1_000;

export interface GuardOptions {
  /** Reads graphile_worker.migrations. */
  readonly pool: Pool;
  readonly log: Logger;
  /** Jobs run at a time. */
  readonly concurrency: number;
  /** Ends the guard, with the runner. */
  readonly signal: AbortSignal;
}

/**
 * Stands between graphile-worker and its notifications, which any login of the database can send. Left alone, it would shut down its whole pool because of a
 * `worker:migrate`, and fetch as fast as the database answers for as long as a `jobs:insert` arrives.
 *
 * A migration counts once graphile_worker.migrations has it. Of new jobs it is told at once while that leads to jobs; after some fetches that found none, every
 * 25 ms at most, until one is found.
 */
export function guardNotifications(events: WorkerEvents, { pool, log, concurrency, signal }: GuardOptions): void {
  let tell: (channel: string, payload: object) => void = () => undefined;
  const nudges = new Nudges(events, concurrency, (count) => tell("jobs:insert", { count }));
  const readMigrations = async (): Promise<void> => {
    try {
      // What was notified before this is committed, so that this reads it.
      const { rows } = await pool.query("select max(id) as id from graphile_worker.migrations where breaking");
      if (rows[0].id > GRAPHILE_WORKER_SCHEMA) tell("worker:migrate", { migrationNumber: rows[0].id, breaking: true });
    } catch (error) {
      log.debug({ err: toError(error) }, "The version of graphile-worker's schema could not be read; trying again.");
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

  // Before graphile-worker itself hears of the connection.
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
  // Back in the pool it is a connection like any other: its own emit hides the inherited one no longer.
  events.on("pool:listen:release", ({ client }) => void delete (client as Partial<Emitting>).emit);
}

interface Emitting extends Omit<PoolClient, "emit"> {
  emit: (event: string, ...values: unknown[]) => boolean;
}

/** How many jobs a notification says there are: 1 when it does not say it, 0 for none. */
function countOf(payload: string | undefined): number {
  const count = /"count":(-?\d{1,9})\b/.exec(payload?.slice(0, 100) ?? "")?.[1];
  return count === undefined ? 1 : Math.max(0, Number(count));
}

/** Notifications of new jobs, on their way to a runner. */
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
    // More than one fetch for each job that could run would be in vain.
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
