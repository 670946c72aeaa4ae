import { LegworkError } from "../errors.ts";
import { compareVersions } from "../version.ts";
import { readCatalog, type Run } from "./definitions.ts";
import type { PoolClient, Queryable } from "./pool.ts";
import type { Migration, SchemaFiles } from "./schema-files.ts";
import { makeObjectsAgain, objectsOf } from "./schema-objects.ts";

/** The objects that each list of migrations makes, because reading the files takes longer than asking the database. */
const madeBy = new WeakMap<Migration, ReadonlySet<string>>();

function objectsMadeBy(migrations: readonly Migration[]): string[] {
  return migrations.flatMap((migration) => {
    let objects = madeBy.get(migration);
    if (objects === undefined) madeBy.set(migration, (objects = objectsOf([migration.sql])));
    return [...objects];
  });
}

/** Which of these the database lacks. Functions of migrations are looked for by name, whatever their parameters. */
async function missingObjects(client: Queryable, objects: readonly string[]): Promise<string[]> {
  const catalog = await readCatalog(client);
  const names = new Set([...catalog].map((object) => object.replace(/\(.*$/, "")));
  return objects.filter((object) => !catalog.has(object) && (object.includes("(") || !names.has(object)));
}

/** Says which they are, and the likely reason. */
export function describeLack(missing: readonly string[]): string {
  const shown = missing.slice(0, 3).join(", ");
  const others = missing.length > 3 ? ` and ${missing.length - 3} more` : "";
  return `The database lacks objects that Legwork made: ${shown}${others}. Were they dropped together with the schema graphile_worker?`;
}

/** Objects that the database lacks and should have. None where that cannot be told: a schema of another version, or a login that may not read which it is. */
export async function lackingNow(client: Queryable, files: SchemaFiles): Promise<string[]> {
  const { rows } = await client.query("select version from legwork_private.schema_version").catch(() => ({ rows: [] }));
  if (rows[0] === undefined || compareVersions(rows[0].version, files.version) !== 0) return [];
  const definitions = files.definitions.filter(({ kind }) => kind !== "comments").map(({ object }) => object);
  return await missingObjects(client, [...objectsMadeBy(files.migrations), ...definitions]);
}

/** Throws LW511 for a database that lacks some. */
export async function assertWhole(client: Queryable, files: SchemaFiles): Promise<void> {
  const missing = await lackingNow(client, files);
  if (missing.length === 0) return;
  throw new LegworkError("LW511", describeLack(missing), {
    hint: "Run `legwork migrate`: it makes them again and keeps the history.",
  });
}

/**
 * Where new ids may begin: after those of the history, which a new job table knows nothing of. Jobs that were enqueued meanwhile under an id that another job had
 * get one of their own.
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
 * Makes the tables, types and indexes again that applied migrations made and the schema lacks, in the transaction of the migration. Rows of others stay. Resolves to what
 * that was, and to what the definitions lack, which are applied afterwards. Throws LW511 where it cannot.
 */
export async function repairMigrations(client: PoolClient, migrations: readonly Migration[], run: Run): Promise<string[]> {
  const objects = objectsMadeBy(migrations);
  const missing = await missingObjects(client, objects);
  if (missing.length === 0) return [];
  await makeObjectsAgain(
    client,
    migrations.map(({ sql }) => sql),
    run,
  );
  const left = await missingObjects(client, objects);
  if (left.length > 0) {
    throw new LegworkError("LW511", `${describeLack(left)} They could not be made again.`, {
      hint: "Run `legwork migrate --uninstall --yes`, which deletes the history, and then `legwork migrate`.",
    });
  }
  return missing;
}

/** After tables, indexes or triggers have been made again: ids go on where the history ends, and what waits is looked at again. */
export async function afterRepair(run: Run): Promise<void> {
  for (const statement of KEEP_IDS_APART) await run(statement);
  // What waits for jobs that are gone, and has places of theirs.
  await run("select legwork.reconcile()");
}
