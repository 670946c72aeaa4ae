import { logFault, type Pool } from "../db/pool.ts";
import type { Logger } from "../log.ts";
import { Loop } from "../loop.ts";
import { within } from "../within.ts";
import { counted, durationInWords } from "../wording.ts";
import type { DatabaseClock } from "./clock.ts";
import { HELD_JOB } from "./graphile/jobs-table.ts";
import type { RemoteCommands } from "./remote-commands.ts";
import { type Beat, DOUBT_AFTER_MS, type Heartbeat } from "./heartbeat/heartbeat.ts";
import type { Intake } from "./intake.ts";
import { HostMeter } from "./host-stats.ts";
import { jobFields } from "./worker-log.ts";

/** How often a worker checks for dead workers if its poll, which computes when one may be found, does not trigger a check (ms). */
const RECOVER_INTERVAL_MS = 5 * 60_000;

/** How often the history's partitions are maintained (ms). They are created days ahead, so the interval matters only for retention. */
const MAINTENANCE_INTERVAL_MS = 5 * 60_000;

/**
 * After this long without a heartbeat (ms), this worker aborts its running jobs: one second before other workers may take them. Other workers check
 * twice: `legwork_private.worker_grace()` after the last heartbeat, and two seconds later.
 */
const ABANDON_AFTER_MS = 6_000;

/** How often the waiting room is checked for inconsistencies (ms). */
const RECONCILE_INTERVAL_MS = 5 * 60_000;

/** How often the state of this host is reported (ms). */
const HOST_INTERVAL_MS = 30_000;

/** A row of `legwork_private.recover_jobs`. */
interface LostWorker {
  readonly worker: string;
  readonly host: string;
  readonly pid: number;
  readonly job_ids: readonly string[];
  readonly ended: readonly { id: string; task: string; state: string; attempt: number; error: string }[];
}

export interface LeaseOptions {
  /** The pool for the worker's own statements, so that a task that uses up the tasks' pool does not block them. */
  readonly pool: Pool;
  readonly log: Logger;
  readonly clock: DatabaseClock;
  readonly heartbeat: Heartbeat;
  readonly workerId: string;
  readonly concurrency: number;
  readonly tasks: readonly string[];
  /** The tasks that the worker has loaded but was started without (`--only`, `--except`). */
  readonly excluded: readonly string[];
  readonly slots: Readonly<Record<string, number>> | undefined;
  readonly control: RemoteCommands;
  readonly intake: Intake;
}

/**
 * This worker's claim on its jobs, renewed by its heartbeat every second. Also recovers the jobs of dead workers and maintains the history, in
 * independent loops that do not wait for each other. Errors are logged and the work is retried; they never end the worker.
 */
export class Lease {
  /** Checks for dead workers. */
  readonly recovery: Loop;
  readonly #options: LeaseOptions;
  readonly #loops: readonly Loop[];
  readonly #registered = Promise.withResolvers<void>();
  readonly #host = new HostMeter();
  readonly #watch: NodeJS.Timeout;

  constructor(options: LeaseOptions) {
    this.#options = options;
    const { pool, log } = options;
    const onError = (error: unknown): void =>
      logFault(pool, log, error, "Cannot maintain the worker's lease; retrying.", { event: "lease_failed" });
    this.recovery = new Loop(() => this.#recover(), { interval: RECOVER_INTERVAL_MS, onError });
    this.#loops = [
      this.recovery,
      new Loop(async () => void (await pool.query("select legwork.maintain_history()")), {
        interval: MAINTENANCE_INTERVAL_MS,
        onError,
      }),
      new Loop(() => this.#reconcile(), { interval: RECONCILE_INTERVAL_MS, onError }),
      new Loop(() => this.#tellHost(), { interval: HOST_INTERVAL_MS, onError }),
    ];
    const { heartbeat, workerId: id, concurrency, tasks, excluded, slots } = options;
    heartbeat.speakFor({ id, concurrency, tasks, excluded, slots }, (beat) => this.#hear(beat));
    // This is a timer because timers fire first when a suspended process resumes. If the event loop was only blocked, the thread has kept sending
    // heartbeats.
    this.#watch = setInterval(() => {
      if (heartbeat.silentFor >= ABANDON_AFTER_MS) options.control.abandon();
    }, 250);
  }

  /** Resolves when this worker is registered, so that other workers can notice if it dies. Nothing is fetched before that. */
  get registered(): Promise<void> {
    return this.#registered.promise;
  }

  /** The worker's name in graphile-worker, under which it holds its jobs. */
  get workerId(): string {
    return this.#options.workerId;
  }

  /**
   * Whether a job that was fetched at that time may have been given to another worker, because there has been a gap between heartbeats since then.
   * For example, there is one when a suspended process resumes.
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

  /** Sends a heartbeat with the running jobs now. */
  async tell(): Promise<void> {
    await this.#options.heartbeat.beat();
  }

  /** Puts a job that this worker no longer runs back into the queue, without using an attempt. Returns false if this worker did not hold it. */
  async giveBack(jobId: string): Promise<boolean> {
    const { rows } = await this.#options.pool.query("select legwork_private.give_back_jobs($1, array[$2::bigint]) as jobs", [
      this.#options.workerId,
      jobId,
    ]);
    return rows[0]?.jobs === 1;
  }

  /**
   * Stops the heartbeats and returns the jobs that the worker still holds to the queue. Returns their ids. It may be called again
   * if it throws because the database has not responded within `timeout` (ms).
   */
  async release(timeout: number): Promise<readonly string[]> {
    this.#registered.resolve();
    clearInterval(this.#watch);
    const stopping = Promise.all(this.#loops.map((loop) => loop.stop()));
    const { heartbeat, workerId } = this.#options;
    const released = heartbeat.stop(workerId);
    await within(timeout, Promise.all([stopping, released]));
    return await Promise.race([released, notInTime(timeout)]);
  }

  #hear({ now, before, after, cancelled, lost, state }: Beat): void {
    const { clock, control, intake } = this.#options;
    this.#registered.resolve();
    clock.observe(now, before, after);
    control.cancel(cancelled);
    control.abandon(lost);
    intake.hear(state);
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
    const { rows } = await pool.query("select worker, host, pid, job_ids::text[], ended from legwork_private.recover_jobs()");
    for (const { worker, host, pid, job_ids: ids, ended } of rows as LostWorker[]) {
      const gone = new Set(ended.map(({ id }) => id));
      const returned = ids.filter((id) => !gone.has(id));
      log.warn(
        { event: "worker_lost", lostWorker: worker, lostHost: host, lostPid: pid, ...jobFields(returned) },
        `The worker ${host}:${pid} is gone; ${counted(returned.length, "job")} returned to the queue.`,
      );
      for (const { id, task, state, attempt, error } of ended) {
        const fields = { jobId: id, task, attempt, lostWorker: worker };
        if (state === "cancelled") log.info({ event: "job_cancelled", ...fields, reason: error }, "Job cancelled.");
        else log.error({ event: "job_failed", final: true, ...fields }, `Job failed for good: ${error}`);
      }
    }
  }
}

async function notInTime(timeout: number): Promise<never> {
  // Let a response that has already arrived be handled first.
  await new Promise((resolve) => setImmediate(resolve));
  throw new Error(`the database did not respond within ${durationInWords(timeout)}`);
}
