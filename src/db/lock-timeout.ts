import { setTimeout as delay } from "node:timers/promises";
import { LegworkError } from "../errors.ts";
import { durationInWords } from "../wording.ts";
import { type Pool, type PoolClient, transaction } from "./pool.ts";
import { sqlStateOf } from "./translate-error.ts";

/**
 * How long a schema change waits for one lock. All worker statements that need the same table queue behind it for that long, so it is short and
 * retried instead.
 */
export const SET_LOCK_TIMEOUT = "set local lock_timeout = '2s'";

/**
 * Locks graphile-worker's tables before a schema change writes to them. No application's statement fails because of it, whatever the statement has
 * locked before: the job table is locked last and without waiting, so this can never be part of a deadlock. While it tries, for half a second at a
 * time, `add_job` waits for the lock on the tasks, which it writes first. The lock on the jobs that it holds from the beginning keeps autovacuum away.
 */
export const LOCK_JOB_TABLES = `do $$
declare
  v_until timestamptz := clock_timestamp() + '10 s';
begin
  lock table graphile_worker._private_jobs in share update exclusive mode;
  loop
    begin
      lock table graphile_worker._private_tasks in access exclusive mode;
      for i in 1..100 loop
        begin
          lock table graphile_worker._private_jobs in access exclusive mode nowait;
          return;
        exception when lock_not_available then
          perform pg_sleep(0.005);
        end;
      end loop;
      raise lock_not_available;
    exception when lock_not_available then
      -- The lock on the tasks is free again.
      if clock_timestamp() > v_until then
        raise;
      end if;
    end;
    perform pg_sleep(0.1 + 0.4 * random());
  end loop;
end $$`;

/** How long a schema change is retried before it fails (ms). */
const PATIENCE_MS = 60_000;

/** A lock that was not available in time, and a deadlock: workers lock several tables, too. */
const RETRIED: ReadonlySet<string | undefined> = new Set(["55P03", "40P01"]);

/**
 * Runs a transaction that changes the schema. When it has waited too long for a lock, or in a deadlock, it is rolled back and retried after a pause of
 * 1 to 3 s, so that workers can run statements in between. Throws LW409 after `patience` ms; nothing is changed then.
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
      if (!RETRIED.has(sqlStateOf(thrown))) throw thrown;
      if (Date.now() >= deadline) {
        throw new LegworkError(
          "LW409",
          `Another transaction has held a lock on a table for ${durationInWords(patience)}. Nothing was changed.`,
          {
            hint: "Run the command again when it has ended. `select pid, xact_start, query from pg_stat_activity where xact_start is not null order by xact_start` lists the open transactions.",
            cause: thrown,
          },
        );
      }
    }
    await delay(1_000 + Math.random() * 2_000);
  }
}
