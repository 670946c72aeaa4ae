import type { SharedState } from "./shared-state.ts";

/** The event loop is taken for held up when it has not turned for so long (ms); garbage collection and parsing stay far below it. */
const BLOCKED_AFTER_MS = 1_500;

/** A longer gap (ms) between two looks means that the whole process stood still: stopped, or without a processor. */
const STANDSTILL_MS = 750;

/** A job that ran while the event loop was held up. */
export interface Suspect {
  readonly id: string;
  readonly task: string;
}

/** Tells whether the main thread's event loop is held up, and since when, looking from another thread. */
export class BlockedLoop {
  readonly #state: SharedState;
  #lookedAt = performance.now();
  #awakeSince = performance.now();
  #since: number | undefined;

  constructor(state: SharedState) {
    this.#state = state;
  }

  /** Since when the event loop is held up (`performance.now()`), undefined when it turns. Call it a few times each second. */
  look(): number | undefined {
    const now = performance.now();
    if (now - this.#lookedAt > STANDSTILL_MS) this.#awakeSince = now;
    this.#lookedAt = now;
    const turnedAt = now - this.#state.since("turnedAt");
    // What the main thread could not do while the process stood still is not held against it.
    const since = this.#since === undefined ? Math.max(turnedAt, this.#awakeSince) : turnedAt;
    if (now - since < BLOCKED_AFTER_MS) this.#since = undefined;
    else this.#since ??= since;
    return this.#since;
  }
}

/** What is known about who holds up the event loop. `isCertain`: its task's function was being called. */
export function describeBlocked(suspects: readonly Suspect[], isCertain: boolean, milliseconds: number): string {
  const [first] = suspects;
  const time = `for ${formatSeconds(milliseconds)}`;
  if (first === undefined) return `The event loop has been busy ${time} with synchronous code that belongs to no job.`;
  if (isCertain) return `Busy in synchronous code of task ${first.task} (job ${first.id}) ${time}.`;
  if (suspects.length === 1) {
    return `The event loop has been busy with synchronous code ${time}, probably that of task ${first.task} (job ${first.id}), the only job running here.`;
  }
  const names = suspects.slice(0, 10).map(({ id, task }) => `${task} (job ${id})`);
  const more = suspects.length > 10 ? ` and ${suspects.length - 10} more` : "";
  return `The event loop has been busy with synchronous code ${time}. It is one of: ${names.join(", ")}${more}.`;
}

/** A length of time in words: 12 seconds, 5 minutes. */
export function formatSeconds(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1_000);
  if (seconds >= 120 && seconds % 60 === 0) return `${seconds / 60} minutes`;
  return seconds === 1 ? "1 second" : `${seconds} seconds`;
}
