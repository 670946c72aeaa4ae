import { durationInWords } from "../../wording.ts";
import type { SharedState } from "./shared-state.ts";

/** The event loop counts as blocked when it has not turned for this long (ms). Garbage collection and parsing take far less time. */
const BLOCKED_AFTER_MS = 1_500;

/** A gap between two checks that is longer than this (ms) means that the whole process was suspended or got no CPU time. */
const STANDSTILL_MS = 750;

/** A job that was running while the event loop was blocked. */
export interface Suspect {
  readonly id: string;
  readonly task: string;
}

/** Detects from another thread whether the main thread's event loop is blocked, and for how long. */
export class BlockedLoop {
  readonly #state: SharedState;
  #lookedAt = performance.now();
  #awakeSince = performance.now();
  #since: number | undefined;

  constructor(state: SharedState) {
    this.#state = state;
  }

  /** Returns when the event loop became blocked (`performance.now()`); undefined if it is not. Must be called a few times each second. */
  look(): number | undefined {
    const now = performance.now();
    if (now - this.#lookedAt > STANDSTILL_MS) this.#awakeSince = now;
    this.#lookedAt = now;
    const turnedAt = now - this.#state.since("turnedAt");
    // The time during which the whole process was suspended does not count.
    const since = this.#since === undefined ? Math.max(turnedAt, this.#awakeSince) : turnedAt;
    if (now - since < BLOCKED_AFTER_MS) this.#since = undefined;
    else this.#since ??= since;
    return this.#since;
  }
}

/** Describes which job blocks the event loop. `isCertain`: its task's function was being called. */
export function describeBlocked(suspects: readonly Suspect[], isCertain: boolean, milliseconds: number): string {
  const [first] = suspects;
  const time = `for ${durationInWords(milliseconds)}`;
  if (first === undefined) return `The event loop has been busy ${time} with synchronous code that does not belong to a job.`;
  if (isCertain) return `Busy in synchronous code of task ${first.task} (job ${first.id}) ${time}.`;
  if (suspects.length === 1) {
    return `The event loop has been busy with synchronous code ${time}, probably that of task ${first.task} (job ${first.id}), the only job running here.`;
  }
  const names = suspects.slice(0, 10).map(({ id, task }) => `${task} (job ${id})`);
  const more = suspects.length > 10 ? ` and ${suspects.length - 10} more` : "";
  return `The event loop has been busy with synchronous code ${time}. The code belongs to one of these jobs: ${names.join(", ")}${more}.`;
}
