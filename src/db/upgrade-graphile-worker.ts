import { LegworkError, toError } from "../errors.ts";
import type { Pool, Queryable } from "./pool.ts";

/** The tables with data from users of graphile-worker, under all names that they have had. */
const USED_TABLES = [
  "jobs",
  "job_queues",
  "tasks",
  "known_crontabs",
  "_private_jobs",
  "_private_job_queues",
  "_private_tasks",
  "_private_known_crontabs",
];

/**
 * Runs graphile-worker's own missing migrations, on a separate connection, each in its own transaction. The caller must not hold a lock on
 * graphile-worker's tables. Throws LW510 with the reason when one fails; applied migrations stay, and the next call continues from there.
 */
export async function runGraphileWorkerMigrations(pool: Pool): Promise<void> {
  // Loaded here, because most commands never need it.
  const { Logger: GraphileLogger, runMigrations } = await import("graphile-worker");
  try {
    // It would log each of its twenty migrations; Legwork logs one line instead.
    await runMigrations({ pgPool: pool, logger: new GraphileLogger(() => () => {}) });
  } catch (thrown) {
    const error = toError(thrown) as Error & { code?: string };
    // A missing privilege has its own hint.
    if (error.code === "42501") throw thrown;
    throw new LegworkError("LW510", `graphile-worker's own migrations failed: ${error.message.replace(/\.?$/, ".")}`, {
      hint: "Correct what the message names, then run the same command again. It continues with the migration that failed.",
      cause: thrown,
    });
  }
}

/**
 * Whether graphile-worker's schema is outdated because its installation was interrupted, and not because an older version uses it:
 * it has no job, queue, task or crontab entry, and no worker listens.
 */
export async function isUnused(client: Queryable): Promise<boolean> {
  const { rows: tables } = await client.query(
    "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'graphile_worker' and tablename = any ($1)",
    [USED_TABLES],
  );
  for (const { name } of tables) {
    const { rows } = await client.query(`select from ${name} limit 1`);
    if (rows.length > 0) return false;
  }
  const { rows: listening } = await client.query(
    "select from pg_stat_activity where datname = current_database() and query like 'LISTEN \"jobs:insert\"%' limit 1",
  );
  return listening.length === 0;
}
