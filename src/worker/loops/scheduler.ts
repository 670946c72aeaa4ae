import { type Pool, transaction } from "../../db/pool.ts";
import { toError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { planAll } from "../../schedules/plan-schedules.ts";
import { type CrontabEntry, registerCrontab } from "../../schedules/register-crontab.ts";

/** How often schedules are looked at when none is due earlier (ms): for those that wait for others, and where nobody tells of changes. */
const INTERVAL_MS = 1_000;

/** Schedules that one transaction fires: the first of many must not wait for the last. */
const BATCH = 1_000;

/** How often a worker tells which entries its crontab has (ms); those that none tells of for three times as long are forgotten. */
const TELL_INTERVAL_MS = 5 * 60_000;

/**
 * Fires and plans runtime schedules: when one is due, when it is poked, and every second. Any number of workers do it side by side, each taking
 * the rows that no other has. Also tells of the crontab's entries.
 */
export class Scheduler {
  readonly #pool: Pool;
  readonly #log: Logger;
  readonly #crontab: readonly CrontabEntry[];
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #isPoked = false;
  #isStopped = false;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(pool: Pool, options: { log: Logger; crontab: readonly CrontabEntry[] }) {
    this.#pool = pool;
    this.#log = options.log;
    this.#crontab = options.crontab;
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
      await this.#tellCrontab();
      wait = await this.#fire();
    } catch (error) {
      this.#log.warn({ err: toError(error) }, "Schedules could not be looked after; trying again.");
    }
    if (!this.#isStopped) this.#timer = setTimeout(() => this.poke(), wait);
  }

  /** Fires what is due, plans what runs short, and resolves to how long nothing will be due (ms). */
  async #fire(): Promise<number> {
    const due = await transaction(this.#pool, async (client) => {
      const { rows } = await client.query(
        `select more, wants_plan, extract(epoch from next_at - clock_timestamp()) * 1000 as wait
         from legwork_private.fire_schedules(at_most => ${BATCH})`,
      );
      return rows[0] as { more: boolean; wants_plan: boolean; wait: string | null };
    });
    if (due.more && !this.#isStopped) return 0;
    if (due.wants_plan && !this.#isStopped) {
      const planned = await planAll(this.#pool);
      // What has just been planned may be due already.
      if (planned > 0) return 0;
    }
    return due.wait === null ? INTERVAL_MS : Math.min(INTERVAL_MS, Math.max(0, Math.ceil(Number(due.wait))));
  }

  async #tellCrontab(): Promise<void> {
    if (performance.now() - this.#toldAt < TELL_INTERVAL_MS) return;
    await registerCrontab(this.#pool, this.#crontab);
    this.#toldAt = performance.now();
  }
}
