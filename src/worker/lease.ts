import { hostname } from "node:os";
import type { Pool } from "../db/pool.ts";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { DatabaseClock } from "./clock.ts";

/** How often a worker says that it lives, and looks after the others (ms). Five of these make `legwork.worker_grace()`. */
const BEAT_INTERVAL_MS = 1_000;

/** How often the history's partitions are looked after (ms). They are made days ahead; this is for retention's sake. */
const MAINTENANCE_INTERVAL_MS = 5 * 60_000;

export interface LeaseOptions {
  readonly pool: Pool;
  readonly log: Logger;
  readonly clock: DatabaseClock;
  readonly workerId: string;
  readonly concurrency: number;
  readonly tasks: readonly string[];
  readonly running: ReadonlySet<string>;
}

/**
 * Tells the database every second that this worker lives, and gives the jobs of dead workers to the living. A beat that
 * fails is logged and tried again; nothing here ends the worker.
 */
export class Lease {
  readonly #options: LeaseOptions;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> = Promise.resolve();
  #stopped = false;
  #lastMaintenance = -Infinity;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#next(0);
  }

  /**
   * Stops beating and hands over what the worker still holds. Resolves to the number of jobs that were given back; may be tried
   * again when it throws because the database does not answer.
   */
  async release(): Promise<number> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#beating;
    const { rows } = await this.#options.pool.query("select legwork.worker_stopped($1) as jobs", [this.#options.workerId]);
    return rows[0]?.jobs;
  }

  #next(delay: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#beating = this.#beat().then(() => this.#next(BEAT_INTERVAL_MS));
    }, delay);
  }

  async #beat(): Promise<void> {
    const { pool, log, clock, workerId, concurrency, tasks, running } = this.#options;
    try {
      const before = performance.now();
      const beat = await pool.query("select legwork.worker_beat($1, $2, $3, $4, $5, $6) as now", [
        workerId,
        hostname(),
        process.pid,
        concurrency,
        tasks,
        [...running],
      ]);
      clock.observe(beat.rows[0].now, before, performance.now());
      const { rows } = await pool.query("select worker, jobs from legwork.recover_jobs()");
      for (const { worker, jobs } of rows)
        log.warn({ event: "worker_lost", worker, jobs }, "A worker is gone; its jobs were given back.");
      if (performance.now() - this.#lastMaintenance > MAINTENANCE_INTERVAL_MS) {
        this.#lastMaintenance = performance.now();
        await pool.query("select legwork.maintain_history()");
      }
    } catch (error) {
      log.warn({ err: toError(error) }, "This worker could not tell the database that it lives.");
    }
  }
}
