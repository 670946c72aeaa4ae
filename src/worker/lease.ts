import { hostname } from "node:os";
import type { Pool } from "../db/pool.ts";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { DatabaseClock } from "./clock.ts";
import type { Control } from "./control.ts";
import { HostMeter } from "./host-stats.ts";

/** How often a worker says that it lives, and looks after the others (ms). Five of these make `legwork.worker_grace()`. */
const BEAT_INTERVAL_MS = 1_000;

/** How often the history's partitions are looked after (ms). They are made days ahead; this is for retention's sake. */
const MAINTENANCE_INTERVAL_MS = 5 * 60_000;

/** Without a beat for so long (ms), others may be about to take this worker's jobs: one before it is suspected. */
const DOUBT_AFTER_MS = 4_000;

/**
 * Without a beat for so long (ms) this worker aborts what it runs: one second before others may take its jobs, who look twice,
 * `legwork.worker_grace()` after its last beat and two seconds later.
 */
const ABANDON_AFTER_MS = 6_000;

/** How often the waiting room's books are proved (ms). */
const RECONCILE_INTERVAL_MS = 5 * 60_000;

/** How often the others are told how this machine is (ms). */
const HOST_INTERVAL_MS = 10_000;

/** How long a job runs before the others are told of it ahead of the next beat (ms). Most are over by then. */
const NOTE_AFTER_MS = 50;

export interface LeaseOptions {
  /** For the lease alone: a task that uses up a pool must not keep the worker from telling that it lives. */
  readonly pool: Pool;
  readonly log: Logger;
  readonly clock: DatabaseClock;
  readonly workerId: string;
  readonly concurrency: number;
  readonly tasks: readonly string[];
  readonly control: Control;
}

/**
 * Tells the database every second that this worker lives, gives the jobs of dead workers to the living and looks after the
 * history, each on its own, so that none waits for another. What fails is logged and tried again; nothing here ends the worker.
 */
export class Lease {
  readonly #options: LeaseOptions;
  readonly #loops: { stop(): Promise<void> }[];
  #lastBeat = performance.now();
  /** The end of the last silence, by the database's clock: what was fetched before may have gone to others. */
  #doubtUntil: Date | undefined;
  readonly #registered = Promise.withResolvers<void>();
  readonly #host = new HostMeter();
  readonly #watch: NodeJS.Timeout;
  #soon: NodeJS.Timeout | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
    const { pool, log } = options;
    this.#loops = [
      every(BEAT_INTERVAL_MS, () => this.#beat(), log),
      every(BEAT_INTERVAL_MS, () => this.#recover(), log),
      every(MAINTENANCE_INTERVAL_MS, async () => void (await pool.query("select legwork.maintain_history()")), log),
      every(RECONCILE_INTERVAL_MS, () => this.#reconcile(), log),
      every(HOST_INTERVAL_MS, () => this.#tellHost(), log),
    ];
    // A timer, because it is also the first thing to happen when a stopped process goes on.
    this.#watch = setInterval(() => {
      if (performance.now() - this.#lastBeat >= ABANDON_AFTER_MS) options.control.abandon();
    }, 250);
  }

  /** Resolves once the others know of this worker, and so would notice its death: nothing is fetched before. */
  get registered(): Promise<void> {
    return this.#registered.promise;
  }

  /**
   * Whether a job that was fetched then may have gone to others: there is a silence, such as that of a stopped process that
   * goes on, or there was one since.
   */
  mayHaveLost(fetchedAt: Date | null): boolean {
    if (performance.now() - this.#lastBeat >= DOUBT_AFTER_MS) return true;
    return this.#doubtUntil !== undefined && fetchedAt !== null && fetchedAt <= this.#doubtUntil;
  }

  /** Whether this worker still holds a job that it fetched. */
  async holds(jobId: string): Promise<boolean> {
    const { rows } = await this.#options.pool.query(
      "select from graphile_worker._private_jobs where id = $1 and locked_by = $2",
      [jobId, this.#options.workerId],
    );
    return rows.length > 0;
  }

  /**
   * Tells the others soon that this job runs, if it still does: should it kill the process, it is known which one did.
   */
  noteStart(jobId: string): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      if (!this.#options.control.running.has(jobId)) return;
      this.#beat().catch((error: unknown) => this.#options.log.debug({ err: toError(error) }, "A beat failed."));
    }, NOTE_AFTER_MS);
  }

  /** Tells the others now what this worker runs. */
  async tell(): Promise<void> {
    await this.#beat();
  }

  /** Gives one job back that this worker does not run any more, without using an attempt. False when it was not held. */
  async giveBack(jobId: string): Promise<boolean> {
    const { rows } = await this.#options.pool.query("select legwork.give_back_jobs($1, array[$2::bigint]) as jobs", [
      this.#options.workerId,
      jobId,
    ]);
    return rows[0]?.jobs === 1;
  }

  /**
   * Stops beating and hands over what the worker still holds. Resolves to the number of jobs that were given back; may be tried
   * again when it throws because the database does not answer.
   */
  async release(): Promise<number> {
    this.#registered.resolve();
    clearTimeout(this.#soon);
    clearInterval(this.#watch);
    await Promise.all(this.#loops.map((loop) => loop.stop()));
    const { rows } = await this.#options.pool.query("select legwork.worker_stopped($1) as jobs", [this.#options.workerId]);
    return rows[0]?.jobs;
  }

  async #beat(): Promise<void> {
    const { pool, clock, workerId, concurrency, tasks, control } = this.#options;
    const before = performance.now();
    const { rows } = await pool.query("select now, cancelled, lost from legwork.worker_beat($1, $2, $3, $4, $5, $6)", [
      workerId,
      hostname(),
      process.pid,
      concurrency,
      tasks,
      [...control.running.keys()],
    ]);
    const { now, cancelled, lost } = rows[0];
    if (before - this.#lastBeat >= DOUBT_AFTER_MS || performance.now() - before >= DOUBT_AFTER_MS) this.#doubtUntil = now;
    this.#lastBeat = before;
    this.#registered.resolve();
    clock.observe(now, before, performance.now());
    control.cancel(cancelled);
    control.abandon(lost);
  }

  async #reconcile(): Promise<void> {
    const { pool, log } = this.#options;
    const { rows } = await pool.query("select problem, job_id, gate from legwork.reconcile()");
    for (const row of rows)
      log.warn({ event: "waiting_room_repaired", ...row }, `The waiting room was repaired: ${row.problem}.`);
  }

  async #tellHost(): Promise<void> {
    await this.registered;
    const { cpu, memory, memoryTotal, disk, diskTotal, heapBytes } = await this.#host.read();
    await this.#options.pool.query("select legwork.worker_host($1, $2, $3, $4, $5, $6, $7)", [
      this.#options.workerId,
      cpu,
      memory,
      memoryTotal,
      disk,
      diskTotal,
      heapBytes,
    ]);
  }

  async #recover(): Promise<void> {
    const { pool, log } = this.#options;
    const { rows } = await pool.query("select worker, jobs from legwork.recover_jobs()");
    for (const { worker, jobs } of rows) {
      log.warn({ event: "worker_lost", worker, jobs }, "A worker is gone; its jobs were given back.");
    }
  }
}

/** Does `work` now and again `interval` ms after each time it has ended. */
function every(interval: number, work: () => Promise<void>, log: Logger): { stop(): Promise<void> } {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const turn = async (): Promise<void> => {
    try {
      await work();
    } catch (error) {
      log.warn({ err: toError(error) }, "The worker's lease could not be looked after; trying again.");
    }
    if (stopped) return;
    timer = setTimeout(() => (current = turn()), interval);
  };
  let current = turn();
  return {
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await current;
    },
  };
}
