import type { Queryable } from "../db/pool.ts";

/**
 * How fast two clocks may drift apart, as a fraction of the elapsed time: ten times the 15 ppm that NTP assumes for a disciplined clock (PHI in RFC
 * 5905).
 */
const DRIFT = 0.000_15;
const FIRST_READINGS = 3;

/**
 * The database's clock as seen from this process, so that times from workers on different hosts are comparable.
 *
 * Each reading is off by at most half of its round trip. A slow reading, as on a busy host, does not replace a better one, unless the two contradict
 * each other. In that case, one of the clocks was adjusted, and the new reading is used.
 */
export class DatabaseClock {
  #offset = 0;
  #error = Infinity;
  #readAt = 0;

  /** Returns the milliseconds since 1970 with microsecond precision, like Postgres. */
  now(): number {
    return Math.round((performance.timeOrigin + performance.now() + this.#offset) * 1_000) / 1_000;
  }

  /** Adds a reading of the database's time, taken between two values of `performance.now()`. */
  observe(databaseTime: Date | string, before: number, after: number): void {
    const offset = new Date(databaseTime).getTime() - (performance.timeOrigin + (before + after) / 2);
    const error = (after - before) / 2;
    const errorOfKept = this.#error + Math.max(0, after - this.#readAt) * DRIFT;
    if (error > errorOfKept && Math.abs(offset - this.#offset) <= error + errorOfKept) return;
    this.#offset = offset;
    this.#error = error;
    this.#readAt = after;
  }

  async synchronize(client: Queryable): Promise<void> {
    for (let reading = 0; reading < FIRST_READINGS; reading++) {
      const before = performance.now();
      const { rows } = await client.query("select clock_timestamp() as now");
      this.observe(rows[0]?.now, before, performance.now());
    }
  }
}
