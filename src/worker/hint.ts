/**
 * Something to look at soon, because a notification said so. Any login of the database may notify, so what a notification says is a hint: it makes the
 * worker look into tables that its sender could not write. The first hint is followed at once, and all that come within `interval` ms of that by
 * one more look at the end of it, so that a flood costs no more than one look per interval.
 */
export class Hint {
  readonly #look: () => void;
  readonly #interval: number;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(interval: number, look: () => void) {
    this.#interval = interval;
    this.#look = look;
  }

  take(): void {
    if (this.#isStopped || this.#timer !== undefined) return;
    const wait = this.#lookedAt + this.#interval - performance.now();
    if (wait <= 0) this.#follow();
    else this.#timer = setTimeout(() => this.#follow(), wait).unref();
  }

  /** Nothing is looked at any more. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #follow(): void {
    this.#timer = undefined;
    this.#lookedAt = performance.now();
    this.#look();
  }
}

/** The longest that a notification of ours is (characters). */
const MAX_PAYLOAD = 100;

/** What a notification on the channel `legwork` hints at; nothing for what is not one of ours. Its values are whatever the sender likes. */
export function parseHint(payload: string): { limits?: unknown; wakeups?: unknown; schedules?: unknown; cancelled?: unknown } {
  if (payload.length > MAX_PAYLOAD) return {};
  try {
    const hint: unknown = JSON.parse(payload);
    return typeof hint === "object" && hint !== null ? hint : {};
  } catch {
    return {};
  }
}
