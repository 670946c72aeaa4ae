import { type Pool, transaction } from "../db/pool.ts";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";

/** How often the waiting room is looked at when nothing is known to become due earlier (ms). */
const INTERVAL_MS = 1_000;

/** Calls `legwork.tick()`: every second, when it is poked, and when the last call said that there will be something to do. */
export class Ticker {
  readonly #pool: Pool;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #isPoked = false;
  #isStopped = false;

  constructor(pool: Pool, log: Logger) {
    this.#pool = pool;
    this.#log = log;
    this.poke();
  }

  /** Looks as soon as it can. */
  poke(): void {
    this.#isPoked = true;
    if (this.#isStopped || this.#running !== undefined) return;
    clearTimeout(this.#timer);
    this.#running = this.#turn().finally(() => {
      this.#running = undefined;
      if (this.#isPoked) this.poke();
    });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #turn(): Promise<void> {
    this.#isPoked = false;
    let wait = INTERVAL_MS;
    try {
      const { rows } = await transaction(this.#pool, (client) =>
        client.query("select extract(epoch from legwork.tick() - clock_timestamp()) * 1000 as wait"),
      );
      if (rows[0]?.wait !== null) wait = Math.min(INTERVAL_MS, Math.max(1, Math.ceil(Number(rows[0]?.wait))));
    } catch (error) {
      this.#log.warn({ err: toError(error) }, "The waiting room could not be looked after; trying again.");
    }
    if (!this.#isStopped) this.#timer = setTimeout(() => this.poke(), wait);
  }
}
