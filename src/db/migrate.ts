import { setTimeout as delay } from "node:timers/promises";
import { LegworkError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { compareVersions } from "../version.ts";
import { applyDefinitions, changedByHand, literal, type Run } from "./definitions.ts";
import { SET_LOCK_TIMEOUT, withinLockTimeout } from "./lock-timeout.ts";
import { assertDatabase, type Pool, type PoolClient, type Queryable } from "./pool.ts";
import { afterRepair, assertWhole, describeLack, repairMigrations } from "./repair.ts";
import { administrativeError } from "./translate-error.ts";
import { type Migration, type SchemaFiles, schemaFiles } from "./schema-files.ts";
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

export interface MigrationOptions {
  /**
   * Runs graphile-worker's own migrations on a schema that an older version of it made. Workers of graphile-worker 0.16 and
   * older stop by themselves then; jobs wait until newer ones run.
   */
  readonly upgradeGraphileWorker?: boolean;
  /** For how long a table that another transaction holds is asked for again (ms): a minute by default. */
  readonly patience?: number;
}

export interface MigrationResult {
  /** Names of the migrations that this call applied, in order. */
  readonly applied: readonly string[];
  /** Functions, views, triggers, policies and comments that it made or replaced. */
  readonly definitions: readonly string[];
  /** Objects that had been dropped or changed by hand and were put back: none, as a rule. */
  readonly repaired: readonly string[];
}

/** Rolls a dry run back. */
class DryRun extends Error {
  readonly script: string;
  constructor(script: string) {
    super("dry run");
    this.script = script;
  }
}

/**
 * Brings the database to the schema of this version, all in one transaction, so that a failure leaves nothing behind: installs graphile-worker's schema where
 * there is none, applies the migrations that are missing, then the definitions that have changed. Any number of processes may call it at once; one
 * migrates and the others wait for it. A graphile-worker schema that is there is never changed. Nothing happens to the schema of a newer version that
 * this one may use.
 *
 * A login that may not migrate only learns whether there is anything to do.
 *
 * Throws LW409 when a table could not be locked in time, LW503 when the database cannot be reached, LW510 when Postgres or graphile-worker's schema is not a
 * supported version, and LW403 for a login without any role of Legwork. Throws LW511 when a migration was changed after it was applied, when the schema is
 * too new for this version or was made before 0.1.0, when an object of the user's depends on one that has to be replaced, and when something is to be done that this
 * login may not do.
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
    log.warn(event, `${describeLack(result.repaired)} They have been made again; jobs that waited in a dropped table are gone.`);
  }
  if (result.applied.length > 0 || result.definitions.length > 0) {
    const event = { version: files.version, migrations: result.applied.length, definitions: result.definitions.length };
    log.info(event, `The database is at version ${files.version}.`);
  }
  return result;
}

/**
 * The SQL that `migrate` would run now, as a script for psql; empty when there is nothing to do. Runs it in a transaction that is rolled back, with the same
 * short lock timeout. Throws LW510 when graphile-worker's schema is missing, which its own migrations make.
 */
export async function migrationScript(pool: Pool, files: SchemaFiles = schemaFiles()): Promise<string> {
  await assertDatabase(pool);
  if ((await graphileWorkerSchema(pool)) === undefined) {
    throw new LegworkError(
      "LW510",
      "The database has no schema graphile_worker yet, which graphile-worker's own migrations make.",
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

/** In the caller's transaction. `run` gets the statements that change something. */
async function migrateWith(
  client: PoolClient,
  files: SchemaFiles,
  run: (statement: string) => Promise<unknown>,
): Promise<MigrationResult> {
  const none = { applied: [], definitions: [], repaired: [] };
  // Held until the transaction ends, by whichever process comes first.
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
    // An open transaction elsewhere that has written a job would make us, and everyone behind us, wait for as long as it likes.
    if (!hasBegun) await run(SET_LOCK_TIMEOUT);
    hasBegun = true;
    await run(statement);
  };
  const pending = missingMigrations(installed?.migrations ?? [], files.migrations);
  const missing = await repairMigrations(
    client,
    files.migrations.filter((migration) => !pending.includes(migration)),
    begin,
  );
  for (const migration of pending) {
    await begin(migration.sql);
    const values = [String(migration.id), literal(migration.name), literal(migration.checksum)];
    await begin(`insert into legwork.migrations (id, name, checksum) values (${values.join(", ")})`);
  }
  const changed = installed === undefined ? [] : await changedByHand(client);
  const { applied, dropped, putBack } = await applyDefinitions(client, files.definitions, changed, begin);
  for (const { after } of pending) if (after !== "") await begin(after);
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

/** Roles that have been granted something here get what has come since. In other databases of the server they mean nothing here. */
const GRANT_ROLES = `select legwork_private.grant_roles() where exists (
  select from pg_roles where rolname like 'legwork\\_%' and has_schema_privilege(oid, 'legwork', 'usage') and not rolsuper and not rolcanlogin)`;

/** What the database has of Legwork. */
interface InstalledSchema {
  readonly version: string;
  readonly minimumVersion: string;
  readonly definitionsHash: string;
  readonly migrations: readonly AppliedMigration[];
}

/** Undefined where Legwork is not installed. Throws LW511 for a schema that was made before 0.1.0. */
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
  return new LegworkError(
    "LW511",
    "The database was set up by a version of Legwork from before 0.1.0, which cannot be upgraded.",
    {
      hint: "Run `legwork migrate --uninstall --yes`, then `legwork migrate`: waiting jobs stay, the history is deleted. Data of `npm start` is in .legwork: stop it, move the directory away and start again.",
    },
  );
}

/**
 * Whether a worker, server or command of this version can use the database as it is: the schema is of this version, or of a newer one that allows it. Throws LW511 with
 * what to run where it is not, and where objects are missing.
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
    // Dropped by hand, or from before 0.1.0.
    await assertWhole(client, files);
    throw tooOld();
  }
  const installed = await client
    .query(`select version, minimum_version as "minimumVersion" from legwork_private.installed_schema()`)
    .then(({ rows }) => rows[0] as Pick<InstalledSchema, "version" | "minimumVersion"> | undefined)
    .catch(async (error: { code?: string }) => {
      // A login with grants of its own: what it may not do, it is told when it tries.
      if (error.code === "42501") return undefined;
      // `drop schema graphile_worker cascade` has taken more with it than the table that is asked for.
      if (error.code === "42P01") await assertWhole(client, files);
      throw error;
    });
  if (installed === undefined) return;
  if (isNewer(installed, files)) return;
  if (compareVersions(installed.version, files.version) < 0) {
    throw new LegworkError("LW511", `The database has the schema of Legwork ${installed.version}; this is ${files.version}.`, {
      hint: "Run `legwork migrate`. Workers of the version before go on working meanwhile.",
    });
  }
  await assertWhole(client, files);
}

/** Whether the schema is of a newer version. Throws LW511 when that version does not let this one use it. */
function isNewer(installed: Pick<InstalledSchema, "version" | "minimumVersion">, files: SchemaFiles): boolean {
  if (compareVersions(installed.version, files.version) <= 0) return false;
  if (compareVersions(files.version, installed.minimumVersion) < 0) {
    throw new LegworkError(
      "LW511",
      `The database has the schema of Legwork ${installed.version}, which needs version ${installed.minimumVersion} or newer; this is ${files.version}.`,
      { hint: `Install legwork@${installed.version}.` },
    );
  }
  return true;
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
async function assertMigrated(client: PoolClient, files: SchemaFiles): Promise<void> {
  // From the catalog, which every login may read.
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
        hint: `sql/migrations/${known.name}.sql was changed afterwards. Restore the file; a change belongs in a new migration.`,
      });
    }
  }
  return migrations.filter((migration) => !found.some((applied) => applied.id === migration.id));
}
