/** How many lines of one attempt are stored: the first ones, which usually show its input, and the last ones, which show how it ended. */
export const HEAD_LINES = 200;
export const TAIL_LINES = 800;
export const LINE_LIMIT = HEAD_LINES + TAIL_LINES;

/** The maximum number of characters of unsent lines that are kept for one attempt. */
const CHARACTERS_LIMIT = 2_000_000;

/** An attempt with this many lines sends its last lines less often, because later lines would soon replace them. */
const MANY_LINES = 10_000;
const MANY_INTERVAL_MS = 5_000;

/** The unsent lines of an attempt that has exceeded the limit. Only as many as can be stored are sent; older ones are dropped. */
export class LogTail {
  #lines: string[] = [];
  #characters = 0;
  #count = 0;
  #sentAt = Number.NEGATIVE_INFINITY;
  #hasEnded = false;

  /** Counts a line. Returns whether it can be sent right away, because all lines so far can be stored. */
  count(): boolean {
    this.#count += 1;
    return this.#count <= LINE_LIMIT;
  }

  /** How many lines between the first and the last ones are not stored. */
  get missing(): number {
    return Math.max(0, this.#count - LINE_LIMIT);
  }

  add(json: string): void {
    this.#lines.push(json);
    this.#characters += json.length;
    if (this.#lines.length >= 2 * TAIL_LINES || this.#characters > CHARACTERS_LIMIT) {
      // Drop half of the lines at once, because moving the remaining lines costs the same no matter how many are dropped.
      const dropped = this.#lines.splice(0, Math.ceil(this.#lines.length / 2));
      for (const { length } of dropped) this.#characters -= length;
    }
  }

  end(): void {
    this.#hasEnded = true;
  }

  /** How long these lines should still wait (ms). */
  get wait(): number {
    if (this.#hasEnded || this.#count < MANY_LINES) return 0;
    return Math.max(0, this.#sentAt + MANY_INTERVAL_MS - performance.now());
  }

  /** Returns the lines to send, and clears the buffer. */
  take(): string[] {
    this.#sentAt = performance.now();
    const lines = this.#lines.slice(-TAIL_LINES);
    this.#lines = [];
    this.#characters = 0;
    return lines;
  }
}
