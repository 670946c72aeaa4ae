export interface LoopOptions {
  /** How long to wait after a turn (ms), unless the turn returns a different time. */
  readonly interval: number;
  /** Called with the error of a failed turn. The loop waits for it, and continues after the interval. Must not throw. */
  readonly onError: (error: unknown) => unknown;
}

/**
 * Runs a turn repeatedly: at the start, whenever woken, and an interval after the previous turn has ended. Turns never overlap. Waking it during a
 * turn starts another turn right after.
 */
export class Loop {
  readonly #turn: (stopped: AbortSignal) => Promise<number | void>;
  readonly #options: LoopOptions;
  readonly #stopped = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #isWoken = false;
  /** The latest time at which the next turn starts, on the clock of `performance.now()`. */
  #dueAt = Infinity;

  /** Starts the first turn. A turn returns how long to wait until the next one (ms), or nothing for the interval. */
  constructor(turn: (stopped: AbortSignal) => Promise<number | void>, options: LoopOptions) {
    this.#turn = turn;
    this.#options = options;
    this.wake();
  }

  /** Starts a turn now, or as soon as the current one has ended. */
  wake(): void {
    this.#isWoken = true;
    if (this.#stopped.signal.aborted || this.#running !== undefined) return;
    clearTimeout(this.#timer);
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (this.#isWoken) this.wake();
    });
  }

  /** Starts a turn after at most this time (ms). */
  wakeIn(wait: number): void {
    const dueAt = performance.now() + wait;
    if (dueAt >= this.#dueAt) return;
    this.#dueAt = dueAt;
    // If a turn is running, the next turn is planned when it ends.
    if (this.#running === undefined) this.#plan();
  }

  /** Stops the loop. Resolves when the current turn has ended. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    this.#isWoken = false;
    this.#dueAt = Infinity;
    const { interval, onError } = this.#options;
    let wait = interval;
    try {
      wait = (await this.#turn(this.#stopped.signal)) ?? interval;
    } catch (error) {
      await onError(error);
    }
    this.#dueAt = Math.min(this.#dueAt, performance.now() + wait);
    this.#plan();
  }

  #plan(): void {
    clearTimeout(this.#timer);
    if (!this.#stopped.signal.aborted) this.#timer = setTimeout(() => this.wake(), Math.max(0, this.#dueAt - performance.now()));
  }
}
