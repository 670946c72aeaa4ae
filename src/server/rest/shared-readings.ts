/** A reading's result is shared for this many times the reading's duration. */
const SHARE = 20;

/** The longest time that a reading is shared (ms). */
const LONGEST_MS = 1_000;

/**
 * Readings that many clients request at the same time and that may be slightly stale. The first request makes the reading, and the others share it
 * for 20 times as long as it took, at most 1 s: a reading that takes 1 ms is never older than 20 ms. A failed reading fails for the requests that
 * waited for it, and the next request tries again. `key` separates readings, for example by tenant.
 */
export class SharedReadings<T> {
  readonly #byKey = new Map<string | null, Promise<T>>();

  async read(key: string | null, make: () => Promise<T>): Promise<T> {
    const shared = this.#byKey.get(key);
    if (shared !== undefined) return await shared;
    const begin = performance.now();
    const reading = make();
    this.#byKey.set(key, reading);
    const forget = (): void => void this.#byKey.delete(key);
    reading.then(() => setTimeout(forget, Math.min(LONGEST_MS, SHARE * (performance.now() - begin))).unref(), forget);
    return await reading;
  }
}
