import { setTimeout as delay } from "node:timers/promises";
import { LegworkError } from "../errors.ts";
import { durationInWords } from "../wording.ts";
import { type Pool, type PoolClient, transaction } from "./pool.ts";
import { sqlStateOf } from "./translate-error.ts";

/**
 * How long a schema change waits for one lock. Meanwhile, all worker statements that need the same table queue behind it, so the timeout is short,
 * and the change is retried.
 */
export const SET_LOCK_TIMEOUT = "set local lock_timeout = '2s'";

/**
 * Locks graphile-worker's tables before a schema change writes to them. No application statement fails because of this, whichever locks it already
 * holds: the job table is locked last and without waiting, so this transaction can never be part of a deadlock. While it tries to lock the job table,
 * for half a second at a time, `add_job` waits, because it writes to the task table first. The weaker lock on the job table, which is held from the
 * beginning, keeps autovacuum away.
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
      -- The lock on the task table has been released.
      if clock_timestamp() > v_until then
        raise;
      end if;
    end;
    perform pg_sleep(0.1 + 0.4 * random());
  end loop;
end $$`;

/** How long a schema change is retried before it fails (ms). */
const PATIENCE_MS = 60_000;

/** lock_not_available and deadlock_detected. A deadlock is possible because workers also lock several tables. */
const RETRIED: ReadonlySet<string | undefined> = new Set(["55P03", "40P01"]);

/**
 * Runs a transaction that changes the schema. When it has waited too long for a lock, or is part of a deadlock, it is rolled back and retried after a
 * pause of 1 to 3 s, so that workers can run statements in between. Throws LW409 after `patience` ms; in that case nothing has been changed.
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
