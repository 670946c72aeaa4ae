import { setTimeout as delay } from "node:timers/promises";
import { LegworkError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { compareVersions } from "../version.ts";
import { applyDefinitions, changedByHand, literal, type Run } from "./definitions.ts";
import { LOCK_JOB_TABLES, SET_LOCK_TIMEOUT, withinLockTimeout } from "./lock-timeout.ts";
import { assertDatabase, type Pool, type PoolClient, type Queryable } from "./pool.ts";
import { afterRepair, assertWhole, describeLack, repairMigrations } from "./repair.ts";
import { administrativeError } from "./translate-error.ts";
import { type Migration, type SchemaFiles, schemaFiles } from "./schema-files.ts";
import { assertUpgradable, isUnused, runGraphileWorkerMigrations } from "./upgrade-graphile-worker.ts";

/** The key of the advisory lock that is held while migrating or uninstalling. An arbitrary number: "leg" in ASCII. */
export const MIGRATION_LOCK = 0x6c_65_67;

/** The version of graphile-worker that Legwork supports. The private tables may differ in any other version. */
export const GRAPHILE_WORKER_VERSION = "0.18.0";

/** The newest migration of that version. */
export const GRAPHILE_WORKER_SCHEMA = 20;

/** The columns of graphile-worker's private tables that Legwork's SQL uses. */
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

export interface MigrationOptions {
  /**
   * Runs graphile-worker's own migrations on a schema from an older version. Workers of graphile-worker 0.16 then finish their jobs and stop; jobs
   * wait until newer workers run. Throws LW409 while jobs run under 0.13–0.15, whose workers could not record how these jobs ended.
   */
  readonly upgradeGraphileWorker?: boolean;
  /** How long to retry while another transaction holds a lock on a table (ms); a minute by default. */
  readonly patience?: number;
  /** Returns a preset whose hooks run with graphile-worker's own migrations. Called only if there are any to run. */
  readonly preset?: (() => GraphileConfig.Preset | undefined) | undefined;
}

export interface MigrationResult {
  /** Names of the migrations that this call applied, in order. */
  readonly applied: readonly string[];
  /** Functions, views, triggers, policies and comments that this call created or replaced. */
  readonly definitions: readonly string[];
  /** Objects that had been dropped or changed manually and were restored; usually empty. */
  readonly repaired: readonly string[];
}

/** Thrown to roll back a dry run. */
class DryRun extends Error {
  readonly script: string;
  constructor(script: string) {
    super("dry run");
    this.script = script;
  }
}

/**
 * Migrates the database to the schema of this version, all in one transaction, so that a failure leaves nothing behind: installs graphile-worker's
 * schema if it is missing, applies missing migrations, then changed definitions. Any number of processes may call this at the same time: one
 * migrates, and the others wait. An existing graphile-worker schema is never changed. If the schema is newer and supports this version, it stays
 * unchanged.
 *
 * A login that may not migrate only checks whether the schema is up to date.
 *
 * Throws LW409 when a table could not be locked in time, LW503 when the database cannot be reached, LW510 when the version of Postgres or of
 * graphile-worker's schema is not supported, and LW403 for a login without any Legwork role. Throws LW511 when a migration was changed after it was
 * applied, when the schema is too new for this version or was created before 0.1.0, when a user's object depends on one that must be replaced, and
 * when a migration is needed that this login may not run.
 */
export async function migrate(
  pool: Pool,
  log: Logger,
  files: SchemaFiles = schemaFiles(),
  options: MigrationOptions = {},
): Promise<MigrationResult> {
  await assertDatabase(pool);
  if (await mayMigrate(pool)) await installGraphileWorker(pool, options);
  const result = await withinLockTimeout(
    pool,
    (client) => migrateWith(client, files, client.query.bind(client)),
    options.patience,
  ).catch((error: unknown) => {
    throw administrativeError(error) ?? error;
  });
  if (result.repaired.length > 0) {
    const event = { event: "schema_repaired", objects: result.repaired };
    log.warn(event, `${describeLack(result.repaired)} They have been recreated; jobs that waited in a dropped table are lost.`);
  }
  if (result.applied.length > 0 || result.definitions.length > 0) {
    const event = {
      event: "migrated",
      version: files.version,
      migrations: result.applied.length,
      definitions: result.definitions.length,
    };
    log.info(event, `The database is at version ${files.version}.`);
  }
  return result;
}

/**
 * Returns the SQL that `migrate` would run now, as a script for psql; empty if there is nothing to do. To find out, it runs the migration in a
 * transaction that is rolled back, with the same short lock timeout. Throws LW510 if graphile-worker's schema is missing, because graphile-worker's
 * own migrations create it.
 */
export async function migrationScript(pool: Pool, files: SchemaFiles = schemaFiles()): Promise<string> {
  await assertDatabase(pool);
  if ((await graphileWorkerSchema(pool)) === undefined) {
    throw new LegworkError(
      "LW510",
      "The database has no schema graphile_worker yet. graphile-worker's own migrations create it.",
      {
        hint: "Run `npx graphile-worker --schema-only` first.",
      },
    );
  }
  const statements: string[] = [];
  try {
    await withinLockTimeout(pool, async (client) => {
      statements.length = 0;
      await migrateWith(client, files, async (statement) => {
        statements.push(statement.trim().replace(/;$/, ""));
        await client.query(statement);
      });
      throw new DryRun(statements.length === 0 ? "" : `begin;\n\n${statements.join(";\n\n")};\n\ncommit;\n`);
    });
  } catch (thrown) {
    if (thrown instanceof DryRun) return thrown.script;
    throw administrativeError(thrown) ?? thrown;
  }
  return "";
}

/** Migrates in the caller's transaction. `run` receives the statements that change something. */
async function migrateWith(
  client: PoolClient,
  files: SchemaFiles,
  run: (statement: string) => Promise<unknown>,
): Promise<MigrationResult> {
  const none = { applied: [], definitions: [], repaired: [] };
  // Other processes that migrate wait here until this transaction ends.
  await client.query("select pg_advisory_xact_lock($1)", [MIGRATION_LOCK]);
  if (!(await mayMigrate(client))) {
    await assertMigrated(client, files);
    return none;
  }
  await assertGraphileWorker(client);
  const installed = await installedSchema(client);
  if (installed !== undefined && isNewer(installed, files)) return none;
  let hasBegun = false;
  const begin: Run = async (statement) => {
    // Without a timeout, another session's open transaction that has written a job would block this one, and all sessions that queue behind it,
    // indefinitely.
    if (!hasBegun) await run(SET_LOCK_TIMEOUT);
    hasBegun = true;
    await run(statement);
  };
  let areLocked = false;
  const lockJobTables = async (): Promise<void> => {
    if (!areLocked) await begin(LOCK_JOB_TABLES);
    areLocked = true;
  };
  const pending = missingMigrations(installed?.migrations ?? [], files.migrations);
  const missing = await repairMigrations(
    client,
    files.migrations.filter((migration) => !pending.includes(migration)),
    begin,
    lockJobTables,
  );
  // Lock tables in the same order as statements that add jobs: these lock the job table first, and then, in triggers, Legwork's tables.
  if (installed !== undefined && pending.length > 0) await lockJobTables();
  for (const migration of pending) {
    await begin(migration.sql);
    const values = [String(migration.id), literal(migration.name), literal(migration.checksum)];
    await begin(`insert into legwork.migrations (id, name, checksum) values (${values.join(", ")})`);
  }
  const changed = installed === undefined ? [] : await changedByHand(client);
  const { applied, dropped, putBack } = await applyDefinitions(client, files.definitions, changed, begin, lockJobTables);
  for (const { after } of pending) {
    if (after === "") continue;
    await lockJobTables();
    await begin(after);
  }
  const repaired = [...missing, ...putBack];
  if (repaired.length > 0) await afterRepair(begin);
  if (hasBegun || installed?.version !== files.version) {
    await begin("select legwork_private.record_definitions()");
    await begin(
      `insert into legwork_private.schema_version (version, minimum_version, definitions_hash)
values (${literal(files.version)}, ${literal(files.minimumVersion)}, ${literal(files.definitionsHash)})
on conflict (only_row) do update
set version = excluded.version, minimum_version = excluded.minimum_version, definitions_hash = excluded.definitions_hash, migrated_at = clock_timestamp()`,
    );
    await begin(GRANT_ROLES);
  }
  return {
    applied: pending.map(({ name }) => name),
    definitions: [...applied, ...dropped].filter((object) => !object.startsWith("comments ") && !putBack.includes(object)),
    repaired,
  };
}

/**
 * Grants new privileges to Legwork's roles if this database uses them. Roles belong to the whole server, so they may exist only for its other
 * databases.
 */
const GRANT_ROLES = `select legwork_private.grant_roles() where exists (
  select from pg_roles where rolname like 'legwork\\_%' and has_schema_privilege(oid, 'legwork', 'usage') and not rolsuper and not rolcanlogin)`;

/** The installed schema of Legwork. */
interface InstalledSchema {
  readonly version: string;
  readonly minimumVersion: string;
  readonly definitionsHash: string;
  readonly migrations: readonly AppliedMigration[];
}

/** Returns the installed schema; undefined if Legwork is not installed. Throws LW511 for a schema that was created before 0.1.0. */
async function installedSchema(client: Queryable): Promise<InstalledSchema | undefined> {
  const { rows } = await client.query(
    `select to_regclass('legwork.migrations') is not null as "isInstalled", to_regclass('legwork_private.schema_version') is not null as "hasVersion"`,
  );
  if (rows[0]?.isInstalled !== true) return undefined;
  if (rows[0].hasVersion !== true) throw tooOld();
  const { rows: found } = await client.query(
    `select v.version, v.minimum_version as "minimumVersion", v.definitions_hash as "definitionsHash",
       coalesce((select jsonb_agg(jsonb_build_object('id', m.id, 'name', m.name, 'checksum', m.checksum) order by m.id) from legwork.migrations m), '[]') as migrations
     from legwork_private.schema_version v`,
  );
  return found[0];
}

function tooOld(): LegworkError {
  return new LegworkError("LW511", "The database was set up by a version of Legwork before 0.1.0, which cannot be upgraded.", {
    hint: "Run `legwork migrate --uninstall --yes`, then `legwork migrate`: waiting jobs are kept, and the history is deleted. The data of `npm start` is in .legwork: stop it, move the directory away and start again.",
  });
}

/**
 * Checks that a worker, server or command of this version can use the database as it is: its schema has this version, or a newer one that supports
 * this version. Otherwise, or if objects are missing, throws LW511 with the command to run.
 */
export async function assertUsable(client: Queryable, files: SchemaFiles = schemaFiles()): Promise<void> {
  const { rows: known } = await client.query(
    `select exists (select from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'legwork_private' and p.proname = 'installed_schema') as "hasVersion",
       exists (select from pg_tables where schemaname = 'legwork' and tablename = 'migrations') as "isInstalled"`,
  );
  if (known[0]?.isInstalled !== true) {
    throw new LegworkError("LW511", "The database has no schema legwork yet.", { hint: "Run `legwork migrate` first." });
  }
  if (known[0].hasVersion !== true) {
    // The function is missing: it was dropped manually, or the schema was created before 0.1.0.
    await assertWhole(client, files);
    throw tooOld();
  }
  const installed = await client
    .query(`select version, minimum_version as "minimumVersion" from legwork_private.installed_schema()`)
    .then(({ rows }) => rows[0] as Pick<InstalledSchema, "version" | "minimumVersion"> | undefined)
    .catch(async (error: { code?: string }) => {
      // A login with individual grants. It gets an error from the first statement that it may not run.
      if (error.code === "42501") return undefined;
      // A table is missing. If that is because of `drop schema graphile_worker cascade`, other objects are missing too.
      if (error.code === "42P01") await assertWhole(client, files);
      throw error;
    });
  if (installed === undefined) return;
  if (isNewer(installed, files)) return;
  if (compareVersions(installed.version, files.version) < 0) {
    throw new LegworkError("LW511", `The database has the schema of Legwork ${installed.version}; this is ${files.version}.`, {
      hint: "Run `legwork migrate`. Workers of the previous version keep running meanwhile.",
    });
  }
  await assertWhole(client, files);
}

/** Whether the schema has a newer version. Throws LW511 if that version does not support this one. */
function isNewer(installed: Pick<InstalledSchema, "version" | "minimumVersion">, files: SchemaFiles): boolean {
  if (compareVersions(installed.version, files.version) <= 0) return false;
  if (compareVersions(files.version, installed.minimumVersion) < 0) {
    throw new LegworkError(
      "LW511",
      `The database has the schema of Legwork ${installed.version}, which requires version ${installed.minimumVersion} or newer; this is ${files.version}.`,
      { hint: `Install legwork@${installed.version}.` },
    );
  }
  return true;
}

/** Whether this login owns the schema legwork, or may create it. Throws LW511 if the schema is missing and the login may not create it. */
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

/**
 * Checks the schema for a login that may not migrate. Throws LW511 if a migration is needed, and LW510 for a different version of graphile-worker.
 */
async function assertMigrated(client: PoolClient, files: SchemaFiles): Promise<void> {
  // Checked in the catalog, which every login may read.
  const { rows: known } = await client.query(
    "select from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'legwork_private' and p.proname = 'installed_schema'",
  );
  if (known.length === 0) {
    throw new LegworkError(
      "LW511",
      `The database does not have the schema of Legwork ${files.version}, and this login does not own the schema legwork.`,
      {
        hint: "Run `legwork migrate` as its owner first.",
      },
    );
  }
  const { rows } = await client.query<InstalledSchema & { graphileWorker: number }>(
    `select version, minimum_version as "minimumVersion", definitions_hash as "definitionsHash", graphile_worker as "graphileWorker", migrations
     from legwork_private.installed_schema()`,
  );
  const [installed] = rows;
  if (installed === undefined) return;
  assertGraphileWorkerVersion(installed.graphileWorker);
  if (isNewer(installed, files)) return;
  const [first] = missingMigrations(installed.migrations, files.migrations);
  if (first === undefined && installed.definitionsHash === files.definitionsHash) return;
  const lack = first === undefined ? `has the definitions of Legwork ${installed.version}` : `lacks the migration ${first.name}`;
  throw new LegworkError("LW511", `The database ${lack}, and this login does not own the schema legwork.`, {
    hint: "Run `legwork migrate` as its owner first.",
  });
}

/** Returns the newest migration of graphile-worker's schema, and whether it was applied within the last five seconds; undefined without a schema. */
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
 * Creates graphile-worker's schema, completes an unfinished one, and upgrades an older one if requested. This cannot be part of the transaction of
 * Legwork's migrations, because it uses another connection, and a pooler may not provide two at the same time. A process that finds an unfinished
 * schema waits while another process completes it.
 */
async function installGraphileWorker(pool: Pool, { upgradeGraphileWorker, preset }: MigrationOptions): Promise<void> {
  for (;;) {
    const schema = await graphileWorkerSchema(pool);
    if (schema !== undefined && schema.id >= GRAPHILE_WORKER_SCHEMA) return;
    if (schema === undefined || upgradeGraphileWorker === true || (!schema.isNew && (await isUnused(pool)))) {
      await assertUpgradable(pool);
      await runGraphileWorkerMigrations(pool, preset?.());
      return;
    }
    if (!schema.isNew) return;
    await delay(100);
  }
}

async function assertGraphileWorker(client: PoolClient): Promise<void> {
  assertGraphileWorkerVersion((await graphileWorkerSchema(client))?.id ?? null);
  const { rows: hidden } = await client.query(
    // For logins with a role from legwork.create_roles(), a policy makes the rows visible.
    `select from pg_class where oid = 'graphile_worker._private_tasks'::regclass and row_security_active(oid)
       and not exists (select from pg_policy where polrelid = 'graphile_worker._private_tasks'::regclass and polname = '_legwork_worker')`,
  );
  if (hidden.length > 0) {
    throw new LegworkError("LW510", "Row-level security hides graphile_worker's rows from this login.", {
      hint: "Migrate as the owner of the schema graphile_worker, or as a login with bypassrls.",
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
        hint: "The schema was changed manually or by another version. Legwork supports graphile-worker 0.18.0.",
      });
    }
  }
}

function assertGraphileWorkerVersion(schema: number | null): void {
  if (schema === GRAPHILE_WORKER_SCHEMA) return;
  throw new LegworkError(
    "LW510",
    `The schema graphile_worker is at migration ${schema}; Legwork supports graphile-worker 0.18.0 with migration ${GRAPHILE_WORKER_SCHEMA}.`,
    {
      hint:
        (schema ?? 0) < GRAPHILE_WORKER_SCHEMA
          ? `Run \`legwork migrate --upgrade-graphile-worker\`. It runs graphile-worker's own migrations. With \`--preview\`, it shows what this means for running workers and waiting jobs.`
          : "Install a version of Legwork that supports your graphile-worker.",
    },
  );
}

type AppliedMigration = Pick<Migration, "id" | "name" | "checksum">;

/** Returns the migrations that have not been applied. Throws LW511 if an applied migration was changed afterward, or is unknown to this version. */
function missingMigrations(found: readonly AppliedMigration[], migrations: readonly Migration[]): Migration[] {
  for (const applied of found) {
    const known = migrations.find((migration) => migration.id === applied.id);
    if (known === undefined) {
      throw new LegworkError(
        "LW511",
        `The database was migrated by a newer version of Legwork: this version does not include migration ${applied.name}.`,
        {
          hint: "Install that version, or a newer one.",
        },
      );
    }
    if (known.checksum !== applied.checksum) {
      throw new LegworkError("LW511", `Migration ${applied.name} differs from the one that was applied to the database.`, {
        hint: `sql/migrations/${known.name}.sql was changed afterward. Restore the file, and put changes into a new migration.`,
      });
    }
  }
  return migrations.filter((migration) => !found.some((applied) => applied.id === migration.id));
}
