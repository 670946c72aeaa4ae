export interface LoopOptions {
  /** How long to wait after a turn (ms), unless the turn says otherwise or fails. */
  readonly interval: number;
  /** Is told why a turn has failed. The loop waits for it, and goes on after the interval. Must not throw. */
  readonly onError: (error: unknown) => unknown;
}

/**
 * Does the same work again and again: at once, when it is woken, and some time after each turn has ended. Turns never overlap. Waking it during a
 * turn starts another one right after.
 */
export class Loop {
  readonly #turn: (stopped: AbortSignal) => Promise<number | void>;
  readonly #options: LoopOptions;
  readonly #stopped = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #isWoken = false;

  /** Starts with a turn. A turn resolves to how long to wait for the next (ms), or to nothing for the interval. */
  constructor(turn: (stopped: AbortSignal) => Promise<number | void>, options: LoopOptions) {
    this.#turn = turn;
    this.#options = options;
    this.wake();
  }

  /** Starts a turn now, or as soon as the present one has ended. */
  wake(): void {
    this.#isWoken = true;
    if (this.#stopped.signal.aborted || this.#running !== undefined) return;
    clearTimeout(this.#timer);
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (this.#isWoken) this.wake();
    });
  }

  /** Starts no further turn. Resolves when the present one has ended. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    this.#isWoken = false;
    const { interval, onError } = this.#options;
    let wait = interval;
    try {
      wait = (await this.#turn(this.#stopped.signal)) ?? interval;
    } catch (error) {
      await onError(error);
    }
    if (!this.#stopped.signal.aborted) this.#timer = setTimeout(() => this.wake(), wait);
  }
}
