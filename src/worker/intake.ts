import type { WorkerEvents } from "graphile-worker";
import type { Logger } from "../log.ts";
import { counted, pluralOf } from "../wording.ts";
import type { RunningJobs } from "./attempt/running-jobs.ts";
import { jobFields } from "./worker-log.ts";

/** Whether a worker takes jobs. A `quiet` or `draining` worker takes no new jobs. A draining worker also stops when its last job has ended. */
export type WorkerState = "active" | "quiet" | "draining";

/** The part of graphile-worker's local queue that this file uses. Its types declare it private. */
interface LocalQueue {
  readonly mode: string;
  readonly jobQueue: readonly { readonly id: string }[];
  setModeTtlExpired(): void;
}

export interface IntakeOptions {
  readonly log: Logger;
  readonly running: RunningJobs;
  readonly onDrained: () => void;
  readonly onState: (state: WorkerState) => void;
}

/** Applies the worker's state, which operators set in the database and the worker receives with its heartbeats. */
export class Intake {
  readonly #log: Logger;
  readonly #running: RunningJobs;
  readonly #onDrained: () => void;
  readonly #onState: (state: WorkerState) => void;
  #queue: LocalQueue | undefined;
  #state: WorkerState = "active";
  #isHeld = false;

  /** `onDrained` is called, possibly more than once, while the worker is draining and runs no job; `onState` when its state has changed. */
  constructor({ log, running, onDrained, onState }: IntakeOptions) {
    this.#log = log;
    this.#onState = onState;
    this.#running = running;
    this.#onDrained = onDrained;
  }

  get isOpen(): boolean {
    return this.#state === "active" && !this.#isHeld;
  }

  /** Why the worker takes no jobs, as a sentence; undefined while it does. */
  get problem(): string | undefined {
    if (this.#state === "quiet") return "The worker is quiet: it takes no new jobs until it is resumed.";
    if (this.#state === "draining")
      return "The worker is draining: it takes no new jobs and stops when the running ones have ended.";
    return undefined;
  }

  /** Starts over with a new runner, which has its own id and is active. */
  attachTo(events: WorkerEvents): void {
    this.#state = "active";
    this.#queue = undefined;
    events.once("localQueue:init", ({ localQueue }) => (this.#queue = localQueue as unknown as LocalQueue));
  }

  /** Keeps the worker from taking jobs, regardless of the state that operators set, until this is called with false. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    if (isHeld) this.#giveBack();
  }

  /** Receives the state with each heartbeat. */
  hear(state: WorkerState): void {
    if (state !== this.#state) {
      this.#state = state;
      this.#tell();
      this.#onState(state);
    }
    if (state === "active") return;
    this.#giveBack();
    if (state === "draining" && this.#running.size === 0) this.#onDrained();
  }

  #tell(): void {
    const jobs = [...this.#running.keys()];
    if (this.#state === "active") this.#log.info({ event: "worker_resumed" }, "The worker takes jobs again.");
    else if (this.#state === "quiet") {
      this.#log.info({ event: "worker_quiet", ...jobFields(jobs) }, "The worker takes no new jobs until it is resumed.");
    } else {
      const rest =
        jobs.length === 0 ? "" : ` when ${counted(jobs.length, "running job")} ${pluralOf(jobs.length, "has", "have")} ended`;
      this.#log.info({ event: "worker_draining", ...jobFields(jobs) }, `The worker takes no new jobs and stops${rest}.`);
    }
  }

  /** Puts jobs that were fetched ahead back into the queue, as graphile-worker does when they have waited here for too long. */
  #giveBack(): void {
    if (this.#queue?.mode !== "WAITING") return;
    const ids = this.#queue.jobQueue.map(({ id }) => id);
    this.#queue.setModeTtlExpired();
    this.#log.info(
      { event: "fetched_jobs_returned", ...jobFields(ids) },
      `${counted(ids.length, "job")} that had not started returned to the queue.`,
    );
  }
}
