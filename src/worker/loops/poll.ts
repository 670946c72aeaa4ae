import type { Pool } from "../../db/pool.ts";
import { toError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { Loop } from "../../loop.ts";
import type { RunningJobs } from "../attempt/running-jobs.ts";
import type { Heartbeat } from "../heartbeat/heartbeat.ts";
import type { WorkerState } from "../intake.ts";

/**
 * How often a worker polls (ms). Each response includes what will become due before the next poll, so the interval delays only work without a
 * notification, such as a job that another session had locked.
 */
const POLL_INTERVAL_MS = 2_000;

/** How long after a new job or a failed attempt the worker polls again, because that job may be due before the next regular poll (ms). */
const SOON_MS = 500;

/** How long after a job has become due the worker polls for the next one (ms). */
const NEXT_MS = 100;

/** The shortest time between duties (ms), so that duties that become due shortly after each other are done together. */
const DUTIES_INTERVAL_MS = 5_000;

/** A row of `legwork_private.worker_poll`. Times are milliseconds from now. */
interface Due {
  readonly now: Date;
  readonly state: WorkerState | null;
  readonly tick_in: number | null;
  readonly schedules_in: number | null;
  readonly recovery_in: number | null;
  readonly jobs_due: boolean;
  readonly jobs_in: number | null;
  readonly duties: boolean;
  readonly bulk_actions: boolean;
}

/** The parts that are new after the worker has restarted. */
interface Runner {
  readonly workerId: string;
  readonly recovery: Loop;
  readonly concurrency: number;
  /** Makes the runner fetch. */
  readonly fetch: () => void;
}

export interface PollOptions {
  readonly pool: Pool;
  readonly log: Logger;
  readonly running: RunningJobs;
  readonly heartbeat: Heartbeat;
  readonly ticker: Loop;
  readonly scheduler: Loop;
  readonly watch: Loop;
  readonly bulkRunner: Loop;
}

/**
 * Reads from the database every two seconds, in one statement, what there is to do, and wakes the loops that do it, and the runner, when it is due.
 * In an idle worker, this statement is also the heartbeat. So the worker needs a single statement instead of several for each loop. When the
 * statement fails, each loop checks for its own work.
 */
export class Poll {
  readonly #options: PollOptions;
  readonly #loop: Loop;
  #runner: Runner | undefined;
  #fetching: NodeJS.Timeout | undefined;
  #watchedAt = Number.NEGATIVE_INFINITY;

  constructor(options: PollOptions) {
    this.#options = options;
    this.#loop = new Loop(() => this.#ask(), {
      interval: POLL_INTERVAL_MS,
      onError: (error) => {
        options.log.debug({ err: toError(error) }, "Cannot read what is due; checking for each kind of work separately.");
        for (const loop of this.#loops()) loop.wake();
        this.#fetch();
      },
    });
  }

  attachTo(runner: Runner): void {
    this.#runner = runner;
  }

  /** Polls soon, because a job that was enqueued or will be retried may be due before the next regular poll. */
  soon(): void {
    this.#loop.wakeIn(SOON_MS);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#fetching);
    await this.#loop.stop();
  }

  /**
   * Makes the runner fetch, unless no slot is free: the worker would fetch a job that it cannot run, and it fetches anyway as soon as a slot is free.
   */
  #fetch(): void {
    if (this.#runner !== undefined && this.#options.running.size < this.#runner.concurrency) this.#runner.fetch();
  }

  #loops(): Loop[] {
    const { ticker, scheduler, watch, bulkRunner } = this.#options;
    return [ticker, scheduler, watch, bulkRunner, ...(this.#runner === undefined ? [] : [this.#runner.recovery])];
  }

  async #ask(): Promise<void> {
    const { pool, running, heartbeat, ticker, scheduler, watch, bulkRunner } = this.#options;
    const runner = this.#runner;
    const before = performance.now();
    const { rows } = await pool.query("select * from legwork_private.worker_poll($1, $2, $3 * interval '1 millisecond')", [
      runner?.workerId ?? "",
      runner !== undefined && running.size === 0,
      POLL_INTERVAL_MS,
    ]);
    const due = rows[0] as Due;
    if (runner !== undefined && due.state !== null)
      heartbeat.hear(runner.workerId, { now: due.now, before, after: performance.now(), state: due.state });
    wakeIn(ticker, due.tick_in);
    wakeIn(scheduler, due.schedules_in);
    if (runner !== undefined) wakeIn(runner.recovery, due.recovery_in);
    if (due.duties && before - this.#watchedAt >= DUTIES_INTERVAL_MS) {
      this.#watchedAt = before;
      watch.wake();
    }
    if (due.bulk_actions) bulkRunner.wake();
    clearTimeout(this.#fetching);
    if (due.jobs_due) this.#fetch();
    if (due.jobs_in === null) return;
    this.#fetching = setTimeout(() => {
      this.#fetch();
      this.#loop.wakeIn(NEXT_MS);
    }, Math.ceil(due.jobs_in)).unref();
  }
}

function wakeIn(loop: Loop, wait: number | null): void {
  if (wait !== null) loop.wakeIn(Math.ceil(wait));
}
