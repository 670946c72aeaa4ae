import type { Pool } from "../db/pool.ts";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { Loop } from "../loop.ts";
import { within } from "../within.ts";
import type { DatabaseClock } from "./clock.ts";
import { HELD_JOB } from "./graphile/jobs-table.ts";
import type { RemoteCommands } from "./remote-commands.ts";
import type { Beat, Heartbeat } from "./heartbeat/heartbeat.ts";
import { HostMeter } from "./host-stats.ts";

/** How often a worker looks after the others (ms). */
const RECOVER_INTERVAL_MS = 1_000;

/** How often the history's partitions are looked after (ms). They are made days ahead; this is for retention's sake. */
const MAINTENANCE_INTERVAL_MS = 5 * 60_000;

/** Without a beat for so long (ms), others may be about to take this worker's jobs: one before it is suspected. */
const DOUBT_AFTER_MS = 4_000;

/**
 * Without a beat for so long (ms) this worker aborts what it runs: one second before others may take its jobs, who look twice,
 * `legwork_private.worker_grace()` after its last beat and two seconds later.
 */
const ABANDON_AFTER_MS = 6_000;

/** How often the waiting room's books are proved (ms). */
const RECONCILE_INTERVAL_MS = 5 * 60_000;

/** How often the others are told how this machine is (ms). */
const HOST_INTERVAL_MS = 10_000;

export interface LeaseOptions {
  /** For what a worker does beside running jobs: a task that uses up a pool must not keep it from that. */
  readonly pool: Pool;
  readonly log: Logger;
  readonly clock: DatabaseClock;
  readonly heartbeat: Heartbeat;
  readonly workerId: string;
  readonly concurrency: number;
  readonly tasks: readonly string[];
  readonly control: RemoteCommands;
}

/**
 * This worker's claim on its jobs, which its heartbeat renews every second. Also gives the jobs of dead workers to the living and looks after the
 * history, each on its own, so that none waits for another. What fails is logged and tried again; nothing here ends the worker.
 */
export class Lease {
  readonly #options: LeaseOptions;
  readonly #loops: readonly Loop[];
  readonly #registered = Promise.withResolvers<void>();
  readonly #host = new HostMeter();
  readonly #watch: NodeJS.Timeout;

  constructor(options: LeaseOptions) {
    this.#options = options;
    const { pool, log } = options;
    const onError = (error: unknown): void =>
      log.warn({ err: toError(error) }, "The worker's lease could not be looked after; trying again.");
    this.#loops = [
      new Loop(() => this.#recover(), { interval: RECOVER_INTERVAL_MS, onError }),
      new Loop(async () => void (await pool.query("select legwork.maintain_history()")), {
        interval: MAINTENANCE_INTERVAL_MS,
        onError,
      }),
      new Loop(() => this.#reconcile(), { interval: RECONCILE_INTERVAL_MS, onError }),
      new Loop(() => this.#tellHost(), { interval: HOST_INTERVAL_MS, onError }),
    ];
    const { heartbeat, workerId: id, concurrency, tasks } = options;
    heartbeat.speakFor({ id, concurrency, tasks }, (beat) => this.#hear(beat));
    // A timer, because it is also the first thing to happen when a stopped process goes on. After a held-up event loop the thread has spoken all the while.
    this.#watch = setInterval(() => {
      if (heartbeat.silentFor >= ABANDON_AFTER_MS) options.control.abandon();
    }, 250);
  }

  /** Resolves once the others know of this worker, and so would notice its death: nothing is fetched before. */
  get registered(): Promise<void> {
    return this.#registered.promise;
  }

  /** The worker's name for graphile-worker: what holds its jobs. */
  get workerId(): string {
    return this.#options.workerId;
  }

  /**
   * Whether a job that was fetched then may have gone to others: there is a silence, such as that of a stopped process that
   * goes on, or there was one since.
   */
  mayHaveLost(fetchedAt: Date | null): boolean {
    const { heartbeat } = this.#options;
    if (heartbeat.silentFor >= DOUBT_AFTER_MS) return true;
    const { doubtUntil } = heartbeat;
    return doubtUntil !== undefined && fetchedAt !== null && fetchedAt.getTime() <= doubtUntil;
  }

  /** Whether this worker still holds a job that it fetched. */
  async holds(jobId: string): Promise<boolean> {
    const { rows } = await this.#options.pool.query(HELD_JOB, [jobId, this.#options.workerId]);
    return rows.length > 0;
  }

  /** Tells the others now what this worker runs. */
  async tell(): Promise<void> {
    await this.#options.heartbeat.beat();
  }

  /** Gives one job back that this worker does not run any more, without using an attempt. False when it was not held. */
  async giveBack(jobId: string): Promise<boolean> {
    const { rows } = await this.#options.pool.query("select legwork_private.give_back_jobs($1, array[$2::bigint]) as jobs", [
      this.#options.workerId,
      jobId,
    ]);
    return rows[0]?.jobs === 1;
  }

  /**
   * Stops beating and hands over what the worker still holds. Resolves to the number of jobs that were given back; may be tried
   * again when it throws because the database has not answered within that time (ms).
   */
  async release(timeout: number): Promise<number> {
    this.#registered.resolve();
    clearInterval(this.#watch);
    const stopping = Promise.all(this.#loops.map((loop) => loop.stop()));
    const { heartbeat, workerId } = this.#options;
    const released = heartbeat.stop(workerId);
    await within(timeout, Promise.all([stopping, released]));
    return await Promise.race([released, notInTime(timeout)]);
  }

  #hear({ now, before, after, cancelled, lost }: Beat): void {
    const { clock, control } = this.#options;
    this.#registered.resolve();
    clock.observe(now, before, after);
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
    await this.#options.pool.query("select legwork_private.worker_host($1, $2, $3, $4, $5, $6, $7)", [
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
    const { rows } = await pool.query("select worker, jobs from legwork_private.recover_jobs()");
    for (const { worker, jobs } of rows) {
      log.warn({ event: "worker_lost", worker, jobs }, "A worker is gone; its jobs were given back.");
    }
  }
}

async function notInTime(timeout: number): Promise<never> {
  // After what is already there has been taken.
  await new Promise((resolve) => setImmediate(resolve));
  throw new Error(`the database did not answer within ${timeout} ms`);
}
