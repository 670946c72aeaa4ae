import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { LegworkError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { SET_LOCK_TIMEOUT, withinLockTimeout } from "./lock-timeout.ts";
import { assertDatabase, type Pool, type PoolClient } from "./pool.ts";
import { isUnused, runGraphileWorkerMigrations } from "./upgrade-graphile-worker.ts";

/** Any number that nobody else uses; "legwork" in ASCII, cut to 31 bits. Held by whoever migrates or uninstalls. */
export const MIGRATION_LOCK = 0x6c_65_67;

/** What Legwork is made for. Its private tables may differ in any other version. */
export const GRAPHILE_WORKER_VERSION = "0.18.0";

/** The newest migration of that version. */
export const GRAPHILE_WORKER_SCHEMA = 20;

/** What our SQL touches of graphile-worker's private tables. */
const GRAPHILE_WORKER_COLUMNS = {
  _private_jobs: [
    "id",
    "job_queue_id",
    "task_id",
    "payload",
    "priority",
    "run_at",
    "attempts",
    "max_attempts",
    "last_error",
    "created_at",
    "updated_at",
    "key",
    "locked_at",
    "locked_by",
    "revision",
    "flags",
    "is_available",
  ],
  _private_job_queues: ["id", "queue_name", "locked_at", "locked_by", "is_available"],
  _private_tasks: ["id", "identifier"],
  _private_known_crontabs: ["identifier", "known_since", "last_execution"],
} as const;

export interface Migration {
  readonly id: number;
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the file. */
  readonly checksum: string;
}

export interface MigrationOptions {
  /**
   * Runs graphile-worker's own migrations on a schema that an older version of it made. Workers of graphile-worker 0.16 and
   * older stop by themselves then; jobs wait until newer ones run.
   */
  readonly upgradeGraphileWorker?: boolean;
}

export interface MigrationResult {
  /** Names of the migrations that this call applied, in order. */
  readonly applied: readonly string[];
}

/**
 * The directory of the numbered migrations: beside `src/` in a checkout, beside `dist/` in the published package.
 */
function migrationsDirectory(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, "sql", "000001_history.sql"))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error("The sql directory of Legwork is missing.");
    directory = parent;
  }
  return join(directory, "sql");
}

export function readMigrations(directory: string = migrationsDirectory()): Migration[] {
  return readdirSync(directory)
    .filter((file) => /^\d{6}_.+\.sql$/.test(file))
    .toSorted()
    .map((file) => {
      const sql = readFileSync(join(directory, file), "utf8");
      return {
        id: Number(file.slice(0, 6)),
        name: file.slice(0, -".sql".length),
        sql,
        checksum: createHash("sha256").update(sql).digest("hex"),
      };
    });
}

/**
 * Brings the database to the schema of this version: installs graphile-worker's schema where there is none, then every
 * migration that is missing, all in one transaction, so that a failure leaves nothing behind. Any number of processes
 * may call it at once; one migrates and the others wait for it. A graphile-worker schema that is there is never changed.
 *
 * Throws LW503 when the database cannot be reached, LW510 when Postgres or graphile-worker's schema is not a supported
 * version, and LW511 when a migration was changed after it was applied or the database is newer than this version.
 */
export async function migrate(
  pool: Pool,
  log: Logger,
  migrations: Migration[] = readMigrations(),
  options: MigrationOptions = {},
): Promise<MigrationResult> {
  await assertDatabase(pool);
  const result = await withinLockTimeout(pool, async (client): Promise<MigrationResult> => {
    // Held until the transaction ends, by whichever process comes first.
    await client.query("select pg_advisory_xact_lock($1)", [MIGRATION_LOCK]);
    await installGraphileWorker(pool, client, options);
    await assertGraphileWorker(client);
    const pending = await pendingMigrations(client, migrations);
    if (pending.length === 0) return { applied: [] };
    await client.query(SET_LOCK_TIMEOUT);
    await assertOwner(client, pending);
    for (const migration of pending) {
      await client.query(migration.sql);
      await client.query("insert into legwork.migrations (id, name, checksum) values ($1, $2, $3)", [
        migration.id,
        migration.name,
        migration.checksum,
      ]);
      log.debug({ migration: migration.name }, "Migrating.");
    }
    // Roles that have been granted something here get what has come since. In other databases of the server they mean nothing here.
    await client.query(
      `select legwork.grant_roles() where exists (
         select from pg_roles where rolname like 'legwork\\_%' and has_schema_privilege(oid, 'legwork', 'usage') and not rolsuper and not rolcanlogin)`,
    );
    return { applied: pending.map((migration) => migration.name) };
  });
  if (result.applied.length > 0)
    log.info({ applied: result.applied.length, latest: result.applied.at(-1) }, "The database is migrated.");
  return result;
}

/** Throws LW511 for a login that may run jobs but not migrate. */
async function assertOwner(client: PoolClient, [first]: Migration[]): Promise<void> {
  const { rows } = await client.query(
    "select from pg_namespace where nspname = 'legwork' and pg_has_role(current_user, nspowner, 'usage')",
  );
  if (rows.length > 0) return;
  throw new LegworkError(
    "LW511",
    `The database lacks the migration ${first?.name}, and this user does not own the schema legwork.`,
    {
      hint: "Run `legwork migrate` as its owner first.",
    },
  );
}

/** Null where there is none, or none yet. */
async function graphileWorkerSchema(client: PoolClient): Promise<number | null> {
  // Read from the catalog's tables: to_regclass would answer from what this transaction saw before (Postgres 15).
  const { rows: found } = await client.query(
    "select from pg_catalog.pg_tables where schemaname = 'graphile_worker' and tablename = 'migrations'",
  );
  if (found.length === 0) return null;
  const {
    rows: [latest],
  } = await client.query("select coalesce(max(id), 0) as id from graphile_worker.migrations");
  return latest.id;
}

/** Makes graphile-worker's schema, completes one that was left unfinished, and upgrades an older one when that was asked for. */
async function installGraphileWorker(pool: Pool, client: PoolClient, options: MigrationOptions): Promise<void> {
  // What was looked at is not locked any more afterwards: graphile-worker migrates over another connection, and this transaction waits for it.
  await client.query("savepoint look");
  const schema = await graphileWorkerSchema(client);
  const isWanted =
    schema === null || (schema < GRAPHILE_WORKER_SCHEMA && (options.upgradeGraphileWorker === true || (await isUnused(client))));
  await client.query("rollback to savepoint look");
  await client.query("release savepoint look");
  if (isWanted) await runGraphileWorkerMigrations(pool);
}

async function assertGraphileWorker(client: PoolClient): Promise<void> {
  const schema = await graphileWorkerSchema(client);
  if (schema !== GRAPHILE_WORKER_SCHEMA) {
    throw new LegworkError(
      "LW510",
      `The schema graphile_worker is at migration ${schema}; Legwork is made for graphile-worker ${GRAPHILE_WORKER_VERSION} with migration ${GRAPHILE_WORKER_SCHEMA}.`,
      {
        hint:
          (schema ?? 0) < GRAPHILE_WORKER_SCHEMA
            ? `Run \`legwork migrate --upgrade-graphile-worker\`. It runs graphile-worker's own migrations; workers of graphile-worker 0.16 and older then stop by themselves, so upgrade them to ${GRAPHILE_WORKER_VERSION}.`
            : "Install a version of Legwork that is made for your graphile-worker.",
      },
    );
  }
  const { rows: hidden } = await client.query(
    // Unless it is a login of legwork.create_roles(), whose policy shows them.
    `select from pg_class where oid = 'graphile_worker._private_tasks'::regclass and row_security_active(oid)
       and not exists (select from pg_policy where polrelid = 'graphile_worker._private_tasks'::regclass and polname = '_legwork_worker')`,
  );
  if (hidden.length > 0) {
    throw new LegworkError("LW510", "Row security hides graphile_worker's tables from this user.", {
      hint: "Migrate as the user who owns the schema graphile_worker, or as one with bypassrls.",
    });
  }
  for (const [table, columns] of Object.entries(GRAPHILE_WORKER_COLUMNS)) {
    const { rows } = await client.query<{ attname: string }>(
      "select attname from pg_attribute where attrelid = to_regclass('graphile_worker.' || $1) and attnum > 0 and not attisdropped",
      [table],
    );
    const missing = columns.filter((column) => !rows.some((row) => row.attname === column));
    if (missing.length > 0) {
      throw new LegworkError("LW510", `graphile_worker.${table} lacks the columns ${missing.join(", ")}.`, {
        hint: "The schema was changed by hand or by another version; Legwork is made for graphile-worker 0.18.0.",
      });
    }
  }
}

async function makeMigrationsTable(client: PoolClient): Promise<void> {
  // Whoever only runs jobs may make nothing, and need not.
  const { rows } = await client.query(
    "select from pg_catalog.pg_tables where schemaname = 'legwork' and tablename = 'migrations'",
  );
  if (rows.length > 0) return;
  await client.query(`
    create schema if not exists legwork;
    create table if not exists legwork.migrations (
      id integer primary key,
      name text not null,
      checksum text not null,
      applied_at timestamptz not null default now()
    );
    comment on schema legwork is 'Legwork: history, explanations and operations for the jobs of graphile_worker.';
    comment on table legwork.migrations is 'The migrations of this schema that have been applied.';
    comment on column legwork.migrations.id is 'The number of the migration.';
    comment on column legwork.migrations.name is 'Its file, without the extension.';
    comment on column legwork.migrations.checksum is 'SHA-256 of the file as it was applied.';
    comment on column legwork.migrations.applied_at is 'When it was applied.';
    alter table legwork.migrations enable row level security;
  `);
}

async function pendingMigrations(client: PoolClient, migrations: Migration[]): Promise<Migration[]> {
  await makeMigrationsTable(client);
  const { rows } = await client.query<{ id: number; name: string; checksum: string }>(
    "select id, name, checksum from legwork.migrations order by id",
  );
  for (const applied of rows) {
    const known = migrations.find((migration) => migration.id === applied.id);
    if (known === undefined) {
      throw new LegworkError(
        "LW511",
        `The database has migration ${applied.name}, which this version of Legwork does not know.`,
        {
          hint: "It was migrated by a newer version. Install that version, or a newer one.",
        },
      );
    }
    if (known.checksum !== applied.checksum) {
      throw new LegworkError("LW511", `Migration ${applied.name} is not the one that was applied to the database.`, {
        hint: `sql/${known.name}.sql was changed afterwards. Restore the file; a change belongs in a new migration.`,
      });
    }
  }
  return migrations.filter((migration) => !rows.some((applied) => applied.id === migration.id));
}
