/** For how many times as long as a reading took it is shared. */
const SHARE = 20;

/**
 * Readings that many ask for at the same time and that may be a moment old. Each is made once, by the first who asks, and is everybody's for twenty times
 * as long as it took: however many ask, reading takes a twentieth of one connection's time, and what takes a millisecond is never older than
 * twenty. One that fails fails for those who waited for it, and is made anew for the next. `key`: whose it is, such as a tenant.
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
    reading.then(() => setTimeout(forget, SHARE * (performance.now() - begin)).unref(), forget);
    return await reading;
  }
}
