import { LegworkError } from "../errors.ts";
import { compareVersions } from "../version.ts";
import { readCatalog, type Run } from "./definitions.ts";
import type { PoolClient, Queryable } from "./pool.ts";
import type { Migration, SchemaFiles } from "./schema-files.ts";
import { makeObjectsAgain, objectsOf } from "./schema-objects.ts";

/** The objects that each migration creates, cached because parsing the files takes longer than querying the database. */
const madeBy = new WeakMap<Migration, ReadonlySet<string>>();

function objectsMadeBy(migrations: readonly Migration[]): string[] {
  return migrations.flatMap((migration) => {
    let objects = madeBy.get(migration);
    if (objects === undefined) madeBy.set(migration, (objects = objectsOf([migration.sql, migration.after])));
    return [...objects];
  });
}

/** Returns the objects that the database lacks. Functions of migrations are found by name, regardless of their parameters. */
async function missingObjects(client: Queryable, objects: readonly string[]): Promise<string[]> {
  const catalog = await readCatalog(client);
  const names = new Set([...catalog].map((object) => object.replace(/\(.*$/, "")));
  return objects.filter((object) => !catalog.has(object) && (object.includes("(") || !names.has(object)));
}

/** Describes which objects are missing, and the likely reason. */
export function describeLack(missing: readonly string[]): string {
  const shown = missing.slice(0, 3).join(", ");
  const others = missing.length > 3 ? ` and ${missing.length - 3} more` : "";
  return `The database lacks objects that Legwork created: ${shown}${others}. Were they dropped together with the schema graphile_worker?`;
}

/**
 * Returns the objects that are missing from the database. Empty if this cannot be determined, because the schema has another version or the login may
 * not read the version.
 */
export async function lackingNow(client: Queryable, files: SchemaFiles): Promise<string[]> {
  const { rows } = await client.query("select version from legwork_private.schema_version").catch(() => ({ rows: [] }));
  if (rows[0] === undefined || compareVersions(rows[0].version, files.version) !== 0) return [];
  const definitions = files.definitions.filter(({ kind }) => kind !== "comments").map(({ object }) => object);
  return await missingObjects(client, [...objectsMadeBy(files.migrations), ...definitions]);
}

/** Throws LW511 if the database lacks objects. */
export async function assertWhole(client: Queryable, files: SchemaFiles): Promise<void> {
  const missing = await lackingNow(client, files);
  if (missing.length === 0) return;
  throw new LegworkError("LW511", describeLack(missing), {
    hint: "Run `legwork migrate`: it recreates them and keeps the history.",
  });
}

/**
 * Continues job ids after the highest one in the history, because a recreated job table would start again at 1. Jobs that were enqueued in the
 * meantime with the id of an earlier job get new ids.
 */
const KEEP_IDS_APART = [
  `select setval(s.name, h.id) from (select pg_get_serial_sequence('graphile_worker._private_jobs', 'id') as name) s,
     (select max(id) as id from (select max(id) as id from legwork_private.finished_jobs union all select max(job_id) from legwork_private.failed_attempts
        union all select max(id) from graphile_worker._private_jobs) x) h
   where h.id is not null and h.id > coalesce(pg_sequence_last_value(s.name::regclass), 0)`,
  `update graphile_worker._private_jobs j set id = default
   where j.locked_at is null and exists (select from legwork_private.finished_jobs f where f.id = j.id and f.created_at <> j.created_at)`,
];

/**
 * Recreates, in the migration's transaction, the tables, types and indexes that applied migrations created and that are now missing. Rows in other
 * tables stay. Returns these objects and the missing definitions, which are applied afterward. Throws LW511 if objects are still missing.
 */
export async function repairMigrations(
  client: PoolClient,
  migrations: readonly Migration[],
  run: Run,
  lockJobTables: () => Promise<void>,
): Promise<string[]> {
  const objects = objectsMadeBy(migrations);
  const missing = await missingObjects(client, objects);
  if (missing.length === 0) return [];
  await lockJobTables();
  await makeObjectsAgain(
    client,
    migrations.flatMap(({ sql, after }) => [sql, after]),
    run,
  );
  const left = await missingObjects(client, objects);
  if (left.length > 0) {
    throw new LegworkError("LW511", `${describeLack(left)} They could not be recreated.`, {
      hint: "Run `legwork migrate --uninstall --yes`, which deletes the history, and then `legwork migrate`.",
    });
  }
  return missing;
}

/** Runs after tables, indexes or triggers have been recreated: continues the job ids after the highest id in the history, and checks waiting jobs again. */
export async function afterRepair(run: Run): Promise<void> {
  for (const statement of KEEP_IDS_APART) await run(statement);
  // Some jobs may be waiting for jobs that were lost, and some slots may belong to lost jobs.
  await run("select legwork.reconcile()");
}
