import { currentJob } from "../heartbeat/current-job.ts";
import { makeSlots, SharedState, SLOTS_AT_ONCE } from "../heartbeat/shared-state.ts";

/** An attempt that is running in this process. */
export interface Abortable {
  /** The number of workers that died while running the job, possibly because of it; 0 for nearly all jobs. */
  readonly deaths: number;
  /** The attempt's index in the memory that the heartbeat thread reads; set by `RunningJobs`. */
  slot: number;
  abort(reason: Error): void;
}

/**
 * The attempts that are running in this process, by job. The job ids are also in memory that the heartbeat thread reads, so that heartbeats are
 * correct even if a job blocks the event loop, or kills the process, immediately after it starts.
 */
export class RunningJobs extends Map<string, Abortable> {
  readonly state = new SharedState();
  /** The pieces of that memory; `onGrowth` is called with each new piece. */
  readonly pieces = [makeSlots()];
  onGrowth: ((buffer: ArrayBufferLike) => void) | undefined = undefined;
  readonly #free: number[] = Array.from({ length: SLOTS_AT_ONCE }, (_, slot) => SLOTS_AT_ONCE - 1 - slot);

  override set(id: string, run: Abortable): this {
    const slot = this.#free.pop() ?? this.#grow();
    run.slot = slot;
    this.pieces[Math.trunc(slot / SLOTS_AT_ONCE)]![slot % SLOTS_AT_ONCE] = Number(id);
    return super.set(id, run);
  }

  override delete(id: string): boolean {
    const run = this.get(id);
    if (run === undefined) return false;
    this.pieces[Math.trunc(run.slot / SLOTS_AT_ONCE)]![run.slot % SLOTS_AT_ONCE] = 0;
    this.#free.push(run.slot);
    return super.delete(id);
  }

  /**
   * Calls a task in such a way that the heartbeat thread can determine which job's code blocks the event loop: from shared memory until the call
   * returns its promise, and by querying V8 afterward. For tasks that are always quick, the latter is skipped, because it costs 0.4 µs.
   */
  call<T>(id: string, run: Abortable, pace: TaskPace, task: () => T): T {
    this.state.calling = run.slot;
    try {
      return pace.isQuick ? task() : currentJob.run(id, task);
    } finally {
      this.state.calling = undefined;
    }
  }

  #grow(): number {
    const piece = makeSlots();
    const first = this.pieces.length * SLOTS_AT_ONCE;
    this.pieces.push(piece);
    this.onGrowth?.(piece.buffer);
    for (let slot = first + SLOTS_AT_ONCE - 1; slot > first; slot--) this.#free.push(slot);
    return first;
  }
}

/** The longest time that a quick attempt takes (ms). */
const QUICK_MS = 10;

/** A task is considered quick after this many quick attempts in a row. */
const QUICK_ATTEMPTS = 200;

/** Keeps track of how long the attempts of one task take in this process. */
export class TaskPace {
  #quickAttempts = 0;

  get isQuick(): boolean {
    return this.#quickAttempts >= QUICK_ATTEMPTS;
  }

  note(milliseconds: number): void {
    if (milliseconds > QUICK_MS) this.#quickAttempts = 0;
    else if (this.#quickAttempts < QUICK_ATTEMPTS) this.#quickAttempts += 1;
  }
}
