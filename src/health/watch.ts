import { type Pool, transaction } from "../db/pool.ts";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";

/** How often a process asks whether something is due (ms). What is due is done by one of them. */
const INTERVAL_MS = 2_000;

/**
 * Keeps the metrics and looks after the alert rules, by turns with every other process that does: `legwork_private.run_duty()`, duty by duty, each in
 * a transaction of its own. What fails is logged and tried again; nothing here ends the process.
 */
export class Watch {
  readonly #pool: Pool;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void>;
  #isStopped = false;

  constructor(pool: Pool, log: Logger) {
    this.#pool = pool;
    this.#log = log;
    this.#running = this.#turn();
  }

  /** Ends after the duty that it is at. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #turn(): Promise<void> {
    try {
      const { rows } = await this.#pool.query("select legwork_private.due_duties() as duties");
      for (const duty of rows[0]?.duties ?? []) {
        if (this.#isStopped) return;
        await this.#runDuty(duty);
      }
    } catch (error) {
      this.#log.debug({ err: toError(error) }, "What is due could not be asked for; trying again.");
    }
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => (this.#running = this.#turn()), INTERVAL_MS);
  }

  /** One that fails must not keep the others from being done. */
  async #runDuty(duty: string): Promise<void> {
    try {
      await transaction(this.#pool, (client) => client.query("select legwork_private.run_duty($1)", [duty]));
    } catch (error) {
      this.#log.warn(
        { event: "watch_failed", duty, err: toError(error) },
        "Metrics or alerts could not be looked after; trying again.",
      );
    }
  }
}
