/**
 * Checks something soon because a notification suggested it. Any database login can send notifications, so a notification is only a hint: it makes
 * the worker read tables to which the sender cannot write. The first hint triggers a check immediately. All further hints within `interval` ms
 * trigger a single check at the end of that time, so that a flood of them costs no more than one check per interval.
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

  /** Stops reacting to hints. */
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

/** The longest notification that Legwork sends (characters). */
const MAX_PAYLOAD = 100;

/** Parses a notification on the channel `legwork`; returns an empty object for one that Legwork did not send. Its values are untrusted. */
export function parseHint(payload: string): {
  limits?: unknown;
  wakeups?: unknown;
  schedules?: unknown;
  cancelled?: unknown;
  worker?: unknown;
} {
  if (payload.length > MAX_PAYLOAD) return {};
  try {
    const hint: unknown = JSON.parse(payload);
    return typeof hint === "object" && hint !== null ? hint : {};
  } catch {
    return {};
  }
}
