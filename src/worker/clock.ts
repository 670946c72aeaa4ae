import type { Queryable } from "../db/pool.ts";

/**
 * The database's clock as this process sees it, so that times from workers on different machines can be compared.
 * Off by at most half a round trip of the best measurement since the last beat.
 */
export class DatabaseClock {
  #offset = 0;

  /** Milliseconds since 1970, to the microsecond, which is as fine as Postgres stores. */
  now(): number {
    return Math.round((performance.timeOrigin + performance.now() + this.#offset) * 1_000) / 1_000;
  }

  /** Takes the database's time, read somewhere between two moments of `performance.now()`. */
  observe(databaseTime: Date | string, before: number, after: number): void {
    this.#offset = new Date(databaseTime).getTime() - (performance.timeOrigin + (before + after) / 2);
  }

  async synchronise(client: Queryable): Promise<void> {
    const before = performance.now();
    const { rows } = await client.query("select clock_timestamp() as now");
    this.observe(rows[0]?.now, before, performance.now());
  }
}
