import { LegworkError } from "../errors.ts";
import type { PoolClient, Queryable } from "./pool.ts";
import { makeObjectsAgain, missingObjects, objectsOf } from "./schema-objects.ts";

/** A migration, as far as it matters here. */
interface MigrationFile {
  readonly name: string;
  readonly checksum: string;
  readonly sql: string;
}

/** The last answer, because reading what the files make takes longer than asking the database. */
let known: { readonly files: string; readonly objects: ReadonlySet<string> } | undefined;

function objectsMadeBy(files: readonly string[]): ReadonlySet<string> {
  const text = files.join("\n");
  if (known?.files !== text) known = { files: text, objects: objectsOf(files) };
  return known.objects;
}

/** What Legwork's schema lacks of what these applied files have made: none, unless it was dropped by hand or with graphile-worker's schema. */
async function lackingObjects(client: Queryable, files: readonly string[]): Promise<string[]> {
  return await missingObjects(client, objectsMadeBy(files));
}

/** Says which they are, and the likely reason. */
export function describeLack(missing: readonly string[]): string {
  const shown = missing.slice(0, 3).join(", ");
  const others = missing.length > 3 ? ` and ${missing.length - 3} more` : "";
  return `The database lacks objects that Legwork made: ${shown}${others}. Were they dropped together with the schema graphile_worker?`;
}

/**
 * The same for a database as it is: of the files that have been applied to it. None where that cannot be told: of another version, which may have taken objects away
 * again, or for a login that may not read what was applied.
 */
export async function lackingNow(client: Queryable, migrations: readonly MigrationFile[]): Promise<string[]> {
  const { rows } = await client.query("select name, checksum from legwork.migrations").catch(() => ({ rows: [] }));
  const applied = migrations.filter(({ name, checksum }) => rows.some((row) => row.name === name && row.checksum === checksum));
  if (applied.length < rows.length) return [];
  return await lackingObjects(
    client,
    applied.map(({ sql }) => sql),
  );
}

/** Throws LW511 for a database that lacks some. */
export async function assertWhole(client: Queryable, migrations: readonly MigrationFile[]): Promise<void> {
  const missing = await lackingNow(client, migrations);
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
     (select max(id) as id from (select max(id) as id from legwork.finished_jobs union all select max(job_id) from legwork.failed_attempts
        union all select max(id) from graphile_worker._private_jobs) x) h
   where h.id is not null and h.id > coalesce(pg_sequence_last_value(s.name::regclass), 0)`,
  `update graphile_worker._private_jobs j set id = default
   where j.locked_at is null and exists (select from legwork.finished_jobs f where f.id = j.id and f.created_at <> j.created_at)`,
];

/**
 * Makes again what the schema lacks, in the transaction of the migration; the history and all settings stay. Resolves to what that was. Throws LW511 where it cannot:
 * a login that does not own the schema, or views of others that would be lost.
 */
export async function repair(client: PoolClient, files: readonly string[]): Promise<string[]> {
  const missing = await lackingObjects(client, files);
  if (missing.length === 0) return [];
  const { rows: owner } = await client.query(
    "select from pg_namespace where nspname = 'legwork' and pg_has_role(current_user, nspowner, 'usage')",
  );
  if (owner.length === 0) {
    throw new LegworkError("LW511", describeLack(missing), {
      hint: "Run `legwork migrate` as the owner of the schema legwork: it makes them again and keeps the history.",
    });
  }
  await client.query("set local lock_timeout = '10s'");
  const inTheWay = await makeObjectsAgain(client, files);
  if (inTheWay.length > 0) {
    throw new LegworkError(
      "LW511",
      `${describeLack(missing)} They cannot be made again while ${inTheWay.join(", ")} reads Legwork's views.`,
      {
        hint: `Run \`drop view ${inTheWay.join(", ")}\`, then \`legwork migrate\`, and make it again.`,
      },
    );
  }
  const left = await lackingObjects(client, files);
  if (left.length > 0) {
    throw new LegworkError("LW511", `${describeLack(left)} They could not be made again.`, {
      hint: "Run `legwork migrate --uninstall --yes`, which deletes the history, and then `legwork migrate`.",
    });
  }
  for (const statement of KEEP_IDS_APART) await client.query(statement);
  // What waits for jobs that are gone, and has places of theirs.
  await client.query("select legwork.reconcile()");
  return missing;
}
