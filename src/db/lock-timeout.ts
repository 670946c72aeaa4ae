import { setTimeout as delay } from "node:timers/promises";
import { LegworkError } from "../errors.ts";
import { type Pool, type PoolClient, transaction } from "./pool.ts";
import { sqlStateOf } from "./translate-error.ts";

/**
 * How long a change of the schema waits for one lock. Every statement of a worker that needs the same table queues behind it for as long, so it is short: longer
 * waits are made of tries.
 */
export const SET_LOCK_TIMEOUT = "set local lock_timeout = '2s'";

/** For how long such a change is tried again before it is given up (ms). */
const PATIENCE_MS = 60_000;

/**
 * A transaction that changes the schema. When it has waited for a lock too long, it is rolled back and tried again after a pause of 1 to 3 s, so that workers are
 * served in between. Throws LW409 when that has gone on for `patience` ms; nothing is changed then.
 */
export async function withinLockTimeout<T>(
  pool: Pool,
  work: (client: PoolClient) => Promise<T>,
  patience: number = PATIENCE_MS,
): Promise<T> {
  const deadline = Date.now() + patience;
  for (;;) {
    try {
      return await transaction(pool, work);
    } catch (thrown) {
      if (sqlStateOf(thrown) !== "55P03") throw thrown;
      if (Date.now() >= deadline) {
        throw new LegworkError(
          "LW409",
          `Another transaction has held a table for ${Math.round(patience / 1_000)} seconds. Nothing was changed.`,
          {
            hint: "Run the command again when it has ended. `select pid, xact_start, query from pg_stat_activity where xact_start is not null order by xact_start` lists the open ones.",
            cause: thrown,
          },
        );
      }
    }
    await delay(1_000 + Math.random() * 2_000);
  }
}
