import { type Pool, transaction } from "../../db/pool.ts";
import { toError } from "../../errors.ts";
import type { Logger } from "../../log.ts";

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
      if (isCausedByRow(error)) await this.#apart();
    }
    if (!this.#isStopped) this.#timer = setTimeout(() => this.poke(), wait);
  }

  /** Does the same one thing at a time, so that one row does not keep the others from being looked after. */
  async #apart(): Promise<void> {
    try {
      const { rows } = await transaction(this.#pool, (client) => client.query("select legwork_private.tick_apart() as failed"));
      if (rows[0]?.failed > 0)
        this.#log.error(
          { failed: rows[0].failed },
          "Some rows could not be looked after and were set aside: see legwork doctor.",
        );
    } catch (error) {
      this.#log.warn({ err: toError(error) }, "The waiting room could not be looked after one by one either; trying again.");
    }
  }
}

/** Whether a statement failed because of what a row holds, by the class of its SQLSTATE, or by an error that a trigger has raised. */
function isCausedByRow(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && /^(?:21|22|23|54|P0)/.test(code);
}
