import { type Pool, transaction } from "../db/pool.ts";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";

/** How often a process asks whether something is due (ms). What is due is done by one of them. */
const INTERVAL_MS = 2_000;

/**
 * Keeps the metrics and looks after the alert rules, by turns with every other process that does: `legwork_private.watch()`, step by step, each in
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

  /** Ends after the step that it is at. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #turn(): Promise<void> {
    try {
      const { rows } = await this.#pool.query("select legwork_private.due_steps() as steps");
      for (const step of rows[0]?.steps ?? []) {
        if (this.#isStopped) return;
        await this.#step(step);
      }
    } catch (error) {
      this.#log.debug({ err: toError(error) }, "What is due could not be asked for; trying again.");
    }
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => (this.#running = this.#turn()), INTERVAL_MS);
  }

  /** One that fails must not keep the others from being done. */
  async #step(step: string): Promise<void> {
    try {
      await transaction(this.#pool, (client) => client.query("select legwork_private.watch($1)", [step]));
    } catch (error) {
      this.#log.warn(
        { event: "watch_failed", step, err: toError(error) },
        "Metrics or alerts could not be looked after; trying again.",
      );
    }
  }
}
