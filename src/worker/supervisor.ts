import { setTimeout as delay } from "node:timers/promises";
import { isConnectionError } from "../db/translate-error.ts";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { within } from "../within.ts";

/** The wait before a runner that ended is started again (ms); doubled for each time it ends soon, up to the longest. */
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;

/** A runner that lived for so long (ms) has not ended soon: the next wait is the first again. */
const SETTLED_AFTER_MS = 60_000;

/** What ended a runner. */
export interface RunnerEnd {
  readonly error: Error | undefined;
  /** The job that its worker was at when it ended, where that is known. */
  readonly jobId: string | undefined;
}

/** One runner with what belongs to it, as the supervisor sees it. */
export interface Supervised {
  /** Resolves when it has ended by itself. */
  readonly ended: Promise<RunnerEnd>;
  /** Lets go of its jobs; false when the database could not be told, which may be tried again. */
  release(): Promise<boolean>;
  /** Lets running jobs finish within that time (ms), and then lets go of the others. Resolves to how many those were. */
  stop(timeout: number): Promise<number>;
}

export interface SupervisorOptions<T extends Supervised> {
  readonly log: Logger;
  readonly start: () => Promise<T>;
  /** Called when a runner has ended, with a sentence that says why; and with undefined once another runs. */
  readonly onProblem: (problem: string | undefined) => void;
  /** Called for each restart, to note it where doctor, alerts and metrics find it. */
  readonly onRestart: (reason: string, jobId: string | undefined) => void;
}

/** Keeps a runner going: one that ends by itself is followed by another, after a wait that grows while they end soon. */
export class Supervisor<T extends Supervised> {
  readonly #options: SupervisorOptions<T>;
  readonly #stopped = new AbortController();
  #current: T;
  #startedAt = performance.now();
  /** Runners that have ended soon, one after the other. */
  #soon = 0;
  readonly #work: Promise<void>;

  private constructor(options: SupervisorOptions<T>, first: T) {
    this.#options = options;
    this.#current = first;
    this.#work = this.#supervise();
  }

  /** Starts the first runner; rejects with what keeps it from starting. */
  static async start<T extends Supervised>(options: SupervisorOptions<T>): Promise<Supervisor<T>> {
    return new Supervisor(options, await options.start());
  }

  /** Stops supervising, and resolves to the runner there is now: within that time (ms), whatever a restart that is under way waits for. */
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
      log.error({ event: "worker_restarting", err: end.error, jobId: end.jobId }, `The worker is restarting: ${reason}`);
      const lost = this.#current;
      let isReleased = await lost.release();
      onRestart(reason, end.jobId);
      for (let attempt = Math.max(0, this.#soon - 1); ; attempt++) {
        await delay(waitBefore(attempt), undefined, { signal }).catch(() => undefined);
        if (signal.aborted) return;
        try {
          // Before fetching again: what the lost runner held can run at once, here or elsewhere.
          if (!isReleased) isReleased = await lost.release();
          if (!isReleased) continue;
          const next = await start();
          if (signal.aborted) {
            // Stopped meanwhile: nothing waits for this one.
            await next.stop(0);
            return;
          }
          this.#current = next;
          this.#startedAt = performance.now();
          onProblem(undefined);
          log.info({ event: "worker_restarted" }, "The worker is running again.");
          break;
        } catch (error) {
          log.warn({ err: toError(error) }, `The worker could not restart: ${toError(error).message}.`);
        }
      }
    }
  }
}

/** Between half of the wait and all of it, so that workers which ended together do not come back together. */
function waitBefore(attempt: number): number {
  return Math.min(FIRST_WAIT_MS * 2 ** Math.min(attempt, 20), LONGEST_WAIT_MS) * (0.5 + Math.random() / 2);
}

function describeEnd({ error, jobId }: RunnerEnd): string {
  if (error === undefined) return "its runner ended without an error.";
  const message = error.message.replace(/\.?$/, ".");
  if (isConnectionError(error)) return `it lost its connection to the database: ${message}`;
  return `its runner ended with an error${jobId === undefined ? "" : ` at job ${jobId}`}: ${message}`;
}
