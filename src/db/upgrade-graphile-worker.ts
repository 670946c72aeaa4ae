import { LegworkError, toError } from "../errors.ts";
import { counted, pluralOf } from "../wording.ts";
import type { Pool, Queryable } from "./pool.ts";

/** The tables in which graphile-worker stores its users' data, under all names that they have had. */
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

/** The newest migration of graphile-worker 0.13; the next one refuses to run while jobs are running. */
const LAST_OF_0_13 = 10;

/** The newest migration of 0.15. Workers up to this version do not notice an upgrade, and cannot record how their jobs ended after it. */
const LAST_OF_0_15 = 15;

/** The newest migration of 0.16, whose workers stop when they notice the upgrade. Workers of 0.17 keep running. */
const LAST_OF_0_16 = 18;

/** A SQL expression: graphile-worker treats a job that was locked before this time as abandoned. */
const ABANDONED = "now() - interval '4 hours'";

/** Jobs are counted only up to this number. */
const COUNT_LIMIT = 10_000;

/** What `migrate --upgrade-graphile-worker` would find. Counts end at 10,001. */
export interface UpgradePreview {
  /** The newest migration of graphile-worker's schema; null if it is not installed. */
  migration: number | null;
  /** The versions of graphile-worker with this newest migration, such as `0.14 or 0.15`. */
  versions: string;
  /** Whether the upgrade would fail now. */
  isRefused: boolean;
  /** The connections on which workers listen, if this login may see them. */
  workers: { pid: number; application: string; address: string | null }[];
  jobs: { running: number; due: number; later: number; failed: number };
}

/** Reads what the upgrade would change and what it would interrupt. Changes nothing, and locks nothing. */
export async function previewUpgrade(client: Queryable): Promise<UpgradePreview> {
  const migration = await newestMigration(client);
  const { rows: workers } = await client.query(
    `select pid, application_name as application, host(client_addr) as address from pg_stat_activity
     where datname = current_database() and query like 'LISTEN "jobs:insert"%' order by backend_start`,
  );
  const counts = { running: 0, due: 0, later: 0, failed: 0 };
  const jobs: UpgradePreview["jobs"] = migration === null ? counts : await countJobs(client);
  const isRefused = migration !== null && migration <= LAST_OF_0_15 && (await hasRunningJobs(client));
  return { migration, versions: versionsOf(migration), isRefused, workers, jobs };
}

/**
 * Throws LW409 while jobs run under a version whose workers could not record, after the upgrade, how they ended. Such jobs would run again. For 0.13,
 * graphile-worker's own migration refuses too.
 */
export async function assertUpgradable(client: Queryable): Promise<void> {
  const migration = await newestMigration(client);
  if (migration === null || migration > LAST_OF_0_15 || !(await hasRunningJobs(client))) return;
  const { running } = await countJobs(client);
  throw new LegworkError(
    "LW409",
    `${counted(running, "job")} ${pluralOf(running, "is", "are")} running under graphile-worker ${versionsOf(migration)}, whose workers could not record how they end after the upgrade.`,
    {
      hint: "Stop these workers and let running jobs finish. If a worker has crashed, `graphile_worker.force_unlock_workers` (from 0.14) releases its jobs.",
    },
  );
}

function versionsOf(migration: number | null): string {
  if (migration === null) return "none";
  if (migration <= LAST_OF_0_13) return "0.13 or older";
  if (migration <= LAST_OF_0_15) return "0.14 or 0.15";
  if (migration <= LAST_OF_0_16) return "0.16";
  return migration === LAST_OF_0_16 + 1 ? "0.17" : "0.18";
}

async function newestMigration(client: Queryable): Promise<number | null> {
  // If the jobs table is missing, an installation was interrupted right at the start.
  const { rows: tables } = await client.query(
    "select where to_regclass('graphile_worker.migrations') is not null and to_regclass('graphile_worker.jobs') is not null",
  );
  if (tables.length === 0) return null;
  const { rows } = await client.query("select max(id) as id from graphile_worker.migrations");
  return rows[0]?.id ?? null;
}

async function hasRunningJobs(client: Queryable): Promise<boolean> {
  const { rows } = await client.query(`select from graphile_worker.jobs where locked_at > ${ABANDONED} limit 1`);
  return rows.length > 0;
}

/** `jobs` is a table in old versions and a view in new ones, with these columns in both. */
async function countJobs(client: Queryable): Promise<UpgradePreview["jobs"]> {
  const isIdle = `(locked_at is null or locked_at <= ${ABANDONED})`;
  const conditions = {
    running: `locked_at > ${ABANDONED}`,
    due: `${isIdle} and attempts < max_attempts and run_at <= now()`,
    later: `${isIdle} and attempts < max_attempts and run_at > now()`,
    failed: `${isIdle} and attempts >= max_attempts`,
  };
  const columns = Object.entries(conditions).map(
    ([name, condition]) =>
      `(select count(*)::int from (select from graphile_worker.jobs where ${condition} limit ${COUNT_LIMIT + 1}) counted) as ${name}`,
  );
  const { rows } = await client.query(`select ${columns.join(", ")}`);
  return rows[0]!;
}

/**
 * Runs graphile-worker's own missing migrations, on a separate connection, each in its own transaction. The caller must not hold a lock on
 * graphile-worker's tables. The preset's hooks for installing and migrating run. Throws LW510 with the reason when one fails; applied migrations
 * stay, and the next call continues from there.
 */
export async function runGraphileWorkerMigrations(pool: Pool, preset?: GraphileConfig.Preset): Promise<void> {
  // Loaded here, because most commands never need it.
  const { Logger: GraphileLogger, runMigrations } = await import("graphile-worker");
  try {
    // graphile-worker would log each of its twenty migrations; Legwork logs one line instead.
    await runMigrations({
      pgPool: pool,
      logger: new GraphileLogger(() => () => {}),
      ...(preset === undefined ? {} : { preset }),
    });
  } catch (thrown) {
    const error = toError(thrown) as Error & { code?: string };
    // The error for a missing privilege gets its own hint elsewhere.
    if (error.code === "42501") throw thrown;
    throw new LegworkError("LW510", `graphile-worker's own migrations failed: ${error.message.replace(/\.?$/, ".")}`, {
      hint: "Fix the reported problem, then run the same command again. It continues with the migration that failed.",
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
