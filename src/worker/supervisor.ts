import { setTimeout as delay } from "node:timers/promises";
import { isConnectionError } from "../db/translate-error.ts";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { within } from "../within.ts";

/** The wait before a runner is restarted when it has ended (ms). It is doubled each time a runner ends soon, up to the longest wait. */
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;

/** If a runner ran for at least this long (ms), it did not end soon, and the next wait is the shortest one again. */
const SETTLED_AFTER_MS = 60_000;

/** Why a runner ended. */
export interface RunnerEnd {
  readonly error: Error | undefined;
  /** The job that the runner was running when it ended, if known. */
  readonly jobId: string | undefined;
}

/** A runner with its resources, as the supervisor uses it. */
export interface Supervised {
  /** Resolves when the runner has ended unexpectedly. */
  readonly ended: Promise<RunnerEnd>;
  /** Returns the runner's jobs to the queue. Returns false if the database could not be reached; in that case, it may be called again. */
  release(): Promise<boolean>;
  /** Lets running jobs finish within `timeout` (ms), and then returns the others to the queue. */
  stop(timeout: number): Promise<void>;
}

export interface SupervisorOptions<T extends Supervised> {
  readonly log: Logger;
  readonly start: () => Promise<T>;
  /** Called with the reason, as a sentence, when a runner has ended, and with undefined when another one is running. */
  readonly onProblem: (problem: string | undefined) => void;
  /** Called for each restart, to record it for doctor, alerts and metrics. */
  readonly onRestart: (reason: string, jobId: string | undefined) => void;
}

/** Keeps a runner running: restarts it when it ends unexpectedly. The wait before each restart grows if runners keep ending soon. */
export class Supervisor<T extends Supervised> {
  readonly #options: SupervisorOptions<T>;
  readonly #stopped = new AbortController();
  #current: T;
  #startedAt = performance.now();
  /** The number of runners in a row that ended soon. */
  #soon = 0;
  readonly #work: Promise<void>;

  private constructor(options: SupervisorOptions<T>, first: T) {
    this.#options = options;
    this.#current = first;
    this.#work = this.#supervise();
  }

  /** Starts the first runner; rejects with the error that prevents it from starting. */
  static async start<T extends Supervised>(options: SupervisorOptions<T>): Promise<Supervisor<T>> {
    return new Supervisor(options, await options.start());
  }

  /** Stops supervising, and returns the current runner within `timeout` (ms), even if a restart is still waiting. */
  async stop(timeout: number): Promise<T> {
    this.#stopped.abort();
    await within(timeout, this.#work);
    return this.#current;
  }

  async #supervise(): Promise<void> {
    const { log, onProblem, onRestart, start } = this.#options;
    const { signal } = this.#stopped;
    const stopped = new Promise<undefined>((resolve) => signal.addEventListener("abort", () => resolve(undefined)));
    while (!signal.aborted) {
      const end = await Promise.race([this.#current.ended, stopped]);
      if (end === undefined || signal.aborted) return;
      this.#soon = performance.now() - this.#startedAt > SETTLED_AFTER_MS ? 0 : this.#soon + 1;
      const reason = describeEnd(end);
      onProblem(`The worker is restarting: ${reason}`);
      log.error(
        { event: "worker_restarting", err: isConnectionError(end.error) ? undefined : end.error, jobId: end.jobId },
        `The worker is restarting: ${reason}`,
      );
      const lost = this.#current;
      let isReleased = await lost.release();
      onRestart(reason, end.jobId);
      for (let attempt = Math.max(0, this.#soon - 1); ; attempt++) {
        await delay(waitBefore(attempt), undefined, { signal }).catch(() => undefined);
        if (signal.aborted) return;
        try {
          // Return the jobs of the lost runner before fetching again, so that they can run immediately, here or elsewhere.
          if (!isReleased) isReleased = await lost.release();
          if (!isReleased) continue;
          const next = await start();
          if (signal.aborted) {
            // The supervisor was stopped in the meantime, so the new runner is not needed.
            await next.stop(0);
            return;
          }
          this.#current = next;
          this.#startedAt = performance.now();
          onProblem(undefined);
          log.info({ event: "worker_restarted" }, "The worker is running again.");
          break;
        } catch (error) {
          // While the database cannot be reached, a separate line reports that.
          const level = isConnectionError(error) ? "debug" : "warn";
          log[level]({ event: "restart_failed", err: toError(error) }, `The worker cannot restart: ${toError(error).message}.`);
        }
      }
    }
  }
}

/** Returns a random wait between half and all of the regular one, so that workers that ended together do not restart together. */
function waitBefore(attempt: number): number {
  return Math.min(FIRST_WAIT_MS * 2 ** Math.min(attempt, 20), LONGEST_WAIT_MS) * (0.5 + Math.random() / 2);
}

function describeEnd({ error, jobId }: RunnerEnd): string {
  if (error === undefined) return "its runner ended without an error.";
  const message = error.message.replace(/\.?$/, ".");
  if (isConnectionError(error)) return `it lost its connection to the database: ${message}`;
  return `its runner ended with an error${jobId === undefined ? "" : ` while running job ${jobId}`}: ${message}`;
}
