import { LegworkError, toError } from "../errors.ts";
import type { Pool, Queryable } from "./pool.ts";

/** The tables that hold what users of graphile-worker have made, under the names they have had. */
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
 * Runs those of graphile-worker's own migrations that are missing, on another connection, each committed by itself. The caller must
 * hold no lock on graphile-worker's tables. Throws LW510 with the reason when one fails; what was applied stays, and a repetition goes on from there.
 */
export async function runGraphileWorkerMigrations(pool: Pool): Promise<void> {
  // Loaded here, because most commands never need it.
  const { Logger: GraphileLogger, runMigrations } = await import("graphile-worker");
  try {
    // It reports each of its twenty migrations; ours says in one line what was done.
    await runMigrations({ pgPool: pool, logger: new GraphileLogger(() => () => {}) });
  } catch (thrown) {
    const error = toError(thrown) as Error & { code?: string };
    // A right that is missing has a hint of its own.
    if (error.code === "42501") throw thrown;
    throw new LegworkError("LW510", `graphile-worker's own migrations failed: ${error.message.replace(/\.?$/, ".")}`, {
      hint: "Correct what the message names, then run the same command again. It continues with the migration that failed.",
      cause: thrown,
    });
  }
}

/**
 * Whether graphile-worker's schema is behind because installing it was interrupted, and not because an older version works with it:
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
