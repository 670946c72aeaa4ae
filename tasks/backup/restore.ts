import { createGunzip } from "node:zlib";
import { defineTask, Discard, PayloadError, type TaskContext } from "legwork";
import type { PoolClient } from "pg";
import { z } from "zod";
import { assertSame, type BackedUpTable, listBackups, Meter, readManifest } from "../@lib/backup-files.ts";
import { contentsOf, copyIn, setPortableText } from "../@lib/copy-rows.ts";
import { fileName, Folder, folderPath, ignore, readerOf } from "../@lib/folder.ts";
import { namedTable, type NamedTable, tableName } from "../@lib/named-table.ts";

export default defineTask({
  description: "Restores the rows of tables from a backup, either all of them or none, and verifies them by reading them back.",
  queue: "maintenance",
  payload: z.strictObject({
    folder: folderPath.describe("The folder with the backups: one of LEGWORK_ALLOWED_FOLDERS, or a subfolder."),
    name: fileName
      .max(100)
      .default("backup")
      .describe("The name of the backup. The newest complete backup with this name is restored."),
    backup: fileName.optional().describe("The folder of a specific backup, as returned by backup/tables."),
    tables: z
      .record(z.string().min(1), tableName)
      .optional()
      .describe(
        'Tables to restore and their targets: {"public.users": "public.users_of_may"}. Default: every table, under its original name.',
      ),
    into: z
      .enum(["empty", "replace"])
      .default("empty")
      .describe("empty: fail if a target table has rows. replace: truncate the tables first."),
    triggers: z
      .enum(["off", "on"])
      .default("off")
      .describe(
        "Whether the tables' triggers fire for the restored rows. Only the tables' owner can turn triggers off, and this locks the tables until the end.",
      ),
  }),
  result: z.strictObject({
    backup: z.string(),
    createdAt: z.string().describe("When the backup was created."),
    tables: z.array(z.strictObject({ table: z.string(), from: z.string(), rows: z.int() })),
    verified: z.literal(true).describe("Row counts and checksums match the backup's, in the files and in the tables."),
  }),
  /**
   * Runs in one transaction: other sessions see the tables either as before, or with all restored rows. The tables' sequences continue after the
   * largest value.
   */
  async run(payload, context) {
    const { sql, job, progress, log } = context;
    await using folder = await Folder.open("folder", payload.folder);
    const directory = payload.backup ?? (await listBackups(folder, payload.name))[0]?.directory;
    if (directory === undefined) throw new PayloadError(`name: the folder has no complete backup named '${payload.name}'.`);
    await using inner = (await folder.folder(directory).catch(ignore("ENOENT", "ELOOP", "ENOTDIR"))) ?? notWhole(directory);
    const manifest = (await readManifest(inner)) ?? notWhole(directory);
    const pairs = await pairsOf(context, manifest.tables, payload.tables);
    const restored = await sql.transaction(async (_sql, client) => {
      await setPortableText(client);
      const names = pairs.map(({ table }) => table.quoted).join(", ");
      if (payload.into === "replace") await client.query(`truncate ${names}`);
      else for (const { table } of pairs) await assertEmpty(client, table);
      const silenced = payload.triggers === "off" ? await triggersOf(client, pairs) : [];
      for (const { relation, trigger } of silenced) await client.query(`alter table only ${relation} disable trigger ${trigger}`);
      const restored = [];
      for (const [index, { from, table }] of (await referredFirst(client, pairs)).entries()) {
        progress((100 * index) / pairs.length, table.full);
        const rows = await restore(context, client, inner, from, table);
        restored.push({ table: table.full, from: `${from.schema}.${from.table}`, rows });
      }
      // A table with pending constraint checks cannot be altered.
      if (silenced.length > 0) await client.query("set constraints all immediate");
      for (const { relation, trigger, mode } of silenced) {
        await client.query(`alter table only ${relation} enable ${mode} trigger ${trigger}`);
      }
      return restored;
    });
    log.info({ event: "backup_restored", backup: directory, tables: restored.length, jobId: job.id }, "The backup was restored.");
    return { backup: directory, createdAt: manifest.createdAt, tables: restored, verified: true as const };
  },
});

interface Pair {
  from: BackedUpTable;
  table: NamedTable;
}

function notWhole(directory: string): never {
  throw new PayloadError(`backup: '${directory}' is not a complete backup.`, {
    hint: "It has no manifest, or the sizes of its files differ from the manifest. Choose another backup.",
  });
}

/** Pairs each table to restore with its target. Throws a PayloadError for a target table that does not match the backup. */
async function pairsOf(
  { sql, job }: TaskContext,
  backedUp: readonly BackedUpTable[],
  wanted: Readonly<Record<string, string>> | undefined,
): Promise<Pair[]> {
  const known = new Map(backedUp.map((table) => [`${table.schema}.${table.table}`, table]));
  const unknown = Object.keys(wanted ?? {}).find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw new PayloadError(`tables: the backup has no table '${unknown}'.`, {
      hint: `Its tables: ${[...known.keys()].join(", ")}.`,
    });
  }
  const pairs: Pair[] = [];
  for (const [name, from] of known) {
    if (wanted !== undefined && wanted[name] === undefined) continue;
    const own = `"${from.schema.replaceAll('"', '""')}"."${from.table.replaceAll('"', '""')}"`;
    const table = await namedTable({ sql, job }, `tables.${name}`, wanted?.[name] ?? own);
    for (const { name: column, type } of from.columns) {
      const there = table.columns.get(column);
      if (there === undefined || there.generated || there.type !== type) {
        throw new PayloadError(
          `tables.${name}: '${table.full}' cannot store column '${column}' of type ${type}: the column ${there === undefined ? "does not exist" : `is ${there.generated ? "generated" : `of type ${there.type}`}`}.`,
          { hint: "Restore into a table that has the columns of the backup, and move the rows from there." },
        );
      }
    }
    if (pairs.some((pair) => pair.table.id === table.id))
      throw new PayloadError(`tables.${name}: '${table.full}' is named twice.`);
    pairs.push({ from, table });
  }
  return pairs;
}

async function assertEmpty(client: PoolClient, table: NamedTable): Promise<void> {
  // Concurrent writers wait, so a table that was found empty stays empty.
  await client.query(`lock table ${table.quoted} in share row exclusive mode`);
  const { rowCount } = await client.query(`select from ${table.quoted} limit 1`);
  if (rowCount !== 0) {
    throw new Discard(
      `${table.full} has rows. Restore into an empty table, or set "into": "replace" to replace them with the backup's rows.`,
    );
  }
}

/** Returns the enabled triggers of the tables and of their partitions, each with its mode. */
async function triggersOf(
  client: PoolClient,
  pairs: readonly Pair[],
): Promise<{ relation: string; trigger: string; mode: string }[]> {
  const { rows } = await client.query<{ relation: string; trigger: string; mode: string }>(
    `with recursive family as (
       select unnest($1::oid[]) as id
       union
       select i.inhrelid from pg_catalog.pg_inherits i join family f on i.inhparent = f.id
     )
     select format('%I.%I', n.nspname, c.relname) as relation, quote_ident(t.tgname) as trigger,
       case t.tgenabled when 'A' then 'always' when 'R' then 'replica' else '' end as mode
     from family f
     join pg_catalog.pg_trigger t on t.tgrelid = f.id
     join pg_catalog.pg_class c on c.oid = f.id
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where not t.tgisinternal and t.tgenabled <> 'D'`,
    [pairs.map(({ table }) => table.id)],
  );
  return rows;
}

/** Sorts the tables so that each comes after the tables that its foreign keys reference. */
async function referredFirst(client: PoolClient, pairs: readonly Pair[]): Promise<Pair[]> {
  const { rows } = await client.query<{ from: string; to: string }>(
    `select conrelid::text as "from", confrelid::text as "to" from (
       select conrelid::oid::text as conrelid, confrelid::oid::text as confrelid from pg_catalog.pg_constraint
       where contype = 'f' and conrelid <> confrelid and conrelid = any ($1::oid[]) and confrelid = any ($1::oid[])) c`,
    [pairs.map(({ table }) => table.id)],
  );
  const sorted: Pair[] = [];
  const left = new Set(pairs);
  while (left.size > 0) {
    const isFree = ({ table }: Pair): boolean =>
      !rows.some(({ from, to }) => from === table.id && [...left].some((other) => other.table.id === to));
    // In a cycle, any table may come first: deferrable constraints allow that, and others raise an error that names the missing row.
    const next = [...left].find(isFree) ?? [...left][0];
    if (next === undefined) break;
    left.delete(next);
    sorted.push(next);
  }
  return sorted;
}

async function restore(
  context: TaskContext,
  client: PoolClient,
  folder: Folder,
  from: BackedUpTable,
  table: NamedTable,
): Promise<number> {
  const names = from.columns.map(({ name }) => table.columns.get(name)?.quoted ?? "").join(", ");
  await using file = await folder.openFile(from.file);
  const meter = new Meter();
  const rows = await copyIn(context, client, `copy ${table.quoted} (${names}) from stdin`, [
    readerOf(file),
    createGunzip(),
    meter,
  ]);
  assertSame(from, { rows, sha256: meter.digest() });
  const source = table.partitioned ? table.quoted : `only ${table.quoted}`;
  assertSame(from, await contentsOf(client, source, names));
  await advanceSequences(client, table);
  return rows;
}

/** Makes serial and identity columns continue after the largest restored value. */
async function advanceSequences(client: PoolClient, table: NamedTable): Promise<void> {
  for (const column of table.columns.values()) {
    const { rows } = await client.query<{ sequence: string | null }>("select pg_get_serial_sequence($1, $2) as sequence", [
      table.quoted,
      column.name,
    ]);
    const sequence = rows[0]?.sequence;
    if (sequence === null || sequence === undefined) continue;
    await client.query(
      `select setval($1::regclass, m.largest)
       from (select max(${column.quoted})::bigint as largest from ${table.quoted}) m, ${sequence} s
       where m.largest > s.last_value or (m.largest = s.last_value and not s.is_called)`,
      [sequence],
    );
  }
}
