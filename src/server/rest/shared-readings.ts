/** For how many times as long as a reading took it is shared. */
const SHARE = 20;

/** The longest that one is shared (ms). */
const LONGEST_MS = 1_000;

/**
 * Readings that many ask for at the same time and that may be a moment old. Each is made once, by the first who asks, and is everybody's for twenty times
 * as long as it took, a second at most: what takes a millisecond is never older than twenty. One that fails fails for those who waited for it, and is
 * made anew for the next. `key`: whose it is, such as a tenant.
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
