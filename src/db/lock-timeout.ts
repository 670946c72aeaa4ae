import { LegworkError } from "../errors.ts";
import { type Pool, type PoolClient, transaction } from "./pool.ts";
import { sqlStateOf } from "./translate-error.ts";

/** A transaction elsewhere that has written a job would make a change of the schema, and every statement behind it, wait for as long as it likes. */
export const SET_LOCK_TIMEOUT = "set local lock_timeout = '10s'";

/** A transaction that changes the schema. Throws LW409 when it has waited for a table too long; nothing is changed then. */
export async function withinLockTimeout<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  try {
    return await transaction(pool, work);
  } catch (thrown) {
    if (sqlStateOf(thrown) !== "55P03") throw thrown;
    throw new LegworkError("LW409", "Another transaction has held a table for more than 10 seconds. Nothing was changed.", {
      hint: "Run the command again when it has ended. `select pid, xact_start, query from pg_stat_activity where xact_start is not null order by xact_start` lists what is open.",
      cause: thrown,
    });
  }
}
