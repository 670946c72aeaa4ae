import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { LegworkError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { SET_LOCK_TIMEOUT, withinLockTimeout } from "./lock-timeout.ts";
import { administrativeError, assertDatabase, type Pool, type PoolClient, type Queryable } from "./pool.ts";
import { describeLack, repair } from "./repair.ts";
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
  /** What was gone of what earlier ones had made, and has been made again: none, unless objects were dropped by hand. */
  readonly repaired: readonly string[];
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
 * A login that may not migrate only learns whether there is anything to do.
 *
 * Throws LW503 when the database cannot be reached, LW510 when Postgres or graphile-worker's schema is not a supported
 * version, LW511 when a migration was changed after it was applied, the database is newer than this version, or something is
 * to be done that this login may not do, and LW403 for a login without any role of Legwork.
 */
export async function migrate(
  pool: Pool,
  log: Logger,
  migrations: Migration[] = readMigrations(),
  options: MigrationOptions = {},
): Promise<MigrationResult> {
  await assertDatabase(pool);
  if (await mayMigrate(pool)) await installGraphileWorker(pool, options);
  const work = async (client: PoolClient): Promise<MigrationResult> => {
    // Held until the transaction ends, by whichever process comes first.
    await client.query("select pg_advisory_xact_lock($1)", [MIGRATION_LOCK]);
    if (!(await mayMigrate(client))) {
      await assertMigrated(client, migrations);
      return { applied: [], repaired: [] };
    }
    await assertGraphileWorker(client);
    const pending = await pendingMigrations(client, migrations);
    const repaired = await repair(
      client,
      migrations.filter((migration) => !pending.includes(migration)).map(({ sql }) => sql),
    );
    if (pending.length === 0) {
      if (repaired.length > 0) await grantRoles(client);
      return { applied: [], repaired };
    }
    // An open transaction elsewhere that has written a job would make us, and everyone behind us, wait for as long as it likes.
    await client.query(SET_LOCK_TIMEOUT);
    for (const migration of pending) {
      await client.query(migration.sql);
      await client.query("insert into legwork.migrations (id, name, checksum) values ($1, $2, $3)", [
        migration.id,
        migration.name,
        migration.checksum,
      ]);
      log.debug({ migration: migration.name }, "Migrating.");
    }
    await grantRoles(client);
    return { applied: pending.map((migration) => migration.name), repaired };
  };
  const result = await withinLockTimeout(pool, work).catch((error: unknown) => {
    throw administrativeError(error) ?? error;
  });
  if (result.repaired.length > 0) {
    const event = { event: "schema_repaired", objects: result.repaired };
    log.warn(event, `${describeLack(result.repaired)} They have been made again; jobs that waited in a dropped table are gone.`);
  }
  if (result.applied.length > 0)
    log.info({ applied: result.applied.length, latest: result.applied.at(-1) }, "The database is migrated.");
  return result;
}

/** Roles that have been granted something here get what has come since. In other databases of the server they mean nothing here. */
async function grantRoles(client: PoolClient): Promise<void> {
  await client.query(
    `select legwork.grant_roles() where exists (
       select from pg_roles where rolname like 'legwork\\_%' and has_schema_privilege(oid, 'legwork', 'usage') and not rolsuper and not rolcanlogin)`,
  );
}

/** Whether this login owns the schema legwork, or may make it. Throws LW511 where it is missing and the login may not. */
async function mayMigrate(client: Queryable): Promise<boolean> {
  const { rows } = await client.query(
    `select l.oid is not null as installed, current_user as login,
       coalesce(pg_has_role(l.nspowner, 'usage'), has_database_privilege(current_database(), 'create')) as may
     from (values (1)) x left join pg_namespace l on l.nspname = 'legwork'`,
  );
  const [found] = rows;
  if (found?.installed === false && !found.may) {
    throw new LegworkError("LW511", `The database has no schema legwork yet, and ${found.login} may not create it.`, {
      hint: "Run `legwork migrate` as the owner of the database first.",
    });
  }
  return found?.may === true;
}

/** For a login that may not migrate. Throws LW511 when it would have to, and LW510 for another version of graphile-worker. */
async function assertMigrated(client: PoolClient, migrations: readonly Migration[]): Promise<void> {
  // From the catalog, which every login may read: an older version has no such function.
  const { rows: known } = await client.query(
    "select from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'legwork' and p.proname = 'applied_migrations'",
  );
  let missing = migrations;
  if (known.length > 0) {
    const { rows } = await client.query<{ graphile_worker: number; legwork: AppliedMigration[] }>(
      "select * from legwork.applied_migrations()",
    );
    assertGraphileWorkerVersion(rows[0]?.graphile_worker ?? null);
    missing = missingMigrations(rows[0]?.legwork ?? [], migrations);
  }
  const [first] = missing;
  if (first === undefined) return;
  const lacks = known.length > 0 ? `the migration ${first.name}` : "migrations of this version";
  throw new LegworkError("LW511", `The database lacks ${lacks}, and this login does not own the schema legwork.`, {
    hint: "Run `legwork migrate` as its owner first.",
  });
}

/** What there is of graphile-worker's schema: its newest migration, and whether that came within the last five seconds. */
async function graphileWorkerSchema(client: Queryable): Promise<{ id: number; isNew: boolean } | undefined> {
  const { rows: found } = await client.query(
    "select from pg_catalog.pg_tables where schemaname = 'graphile_worker' and tablename = 'migrations'",
  );
  if (found.length === 0) return undefined;
  const { rows } = await client.query(
    `select coalesce(max(id), 0) as id, coalesce(max(ts) > clock_timestamp() - interval '5 seconds', true) as "isNew" from graphile_worker.migrations`,
  );
  return rows[0];
}

/**
 * Makes graphile-worker's schema, completes one that was left unfinished, and upgrades an older one when that was asked for. Not within our transaction: it takes
 * a connection of its own, which a pooler may not have beside ours. A process that finds it half done waits while another one goes on with it.
 */
async function installGraphileWorker(pool: Pool, { upgradeGraphileWorker }: MigrationOptions): Promise<void> {
  for (;;) {
    const schema = await graphileWorkerSchema(pool);
    if (schema !== undefined && schema.id >= GRAPHILE_WORKER_SCHEMA) return;
    if (schema === undefined || upgradeGraphileWorker === true || (!schema.isNew && (await isUnused(pool)))) {
      await runGraphileWorkerMigrations(pool);
      return;
    }
    if (!schema.isNew) return;
    await delay(100);
  }
}

async function assertGraphileWorker(client: PoolClient): Promise<void> {
  assertGraphileWorkerVersion((await graphileWorkerSchema(client))?.id ?? null);
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

function assertGraphileWorkerVersion(schema: number | null): void {
  if (schema === GRAPHILE_WORKER_SCHEMA) return;
  throw new LegworkError(
    "LW510",
    `The schema graphile_worker is at migration ${schema}; Legwork is made for graphile-worker 0.18.0 with migration ${GRAPHILE_WORKER_SCHEMA}.`,
    {
      hint:
        (schema ?? 0) < GRAPHILE_WORKER_SCHEMA
          ? `Run \`legwork migrate --upgrade-graphile-worker\`. It runs graphile-worker's own migrations; workers of graphile-worker 0.16 and older then stop by themselves, so upgrade them to ${GRAPHILE_WORKER_VERSION}.`
          : "Install a version of Legwork that is made for your graphile-worker.",
    },
  );
}

async function makeMigrationsTable(client: PoolClient): Promise<void> {
  // Where it is there, each start would lock it.
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
  const { rows } = await client.query<AppliedMigration>("select id, name, checksum from legwork.migrations order by id");
  return missingMigrations(rows, migrations);
}

type AppliedMigration = Pick<Migration, "id" | "name" | "checksum">;

/** Those that have not been applied. Throws LW511 when one was changed since, or is not known here. */
function missingMigrations(found: readonly AppliedMigration[], migrations: readonly Migration[]): Migration[] {
  for (const applied of found) {
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
  return migrations.filter((migration) => !found.some((applied) => applied.id === migration.id));
}
