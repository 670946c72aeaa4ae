import { createGzip } from "node:zlib";
import { defineTask, type TaskContext } from "legwork";
import type { PoolClient } from "pg";
import { z } from "zod";
import { age, cutoffOf } from "../@lib/age.ts";
import {
  assertSame,
  type BackedUpTable,
  listBackups,
  Meter,
  removeBackup,
  verifyFile,
  writeManifest,
} from "../@lib/backup-files.ts";
import { contentsOf, copyOut, setPortableText } from "../@lib/copy-rows.ts";
import { fileName, Folder, folderPath, writerTo } from "../@lib/folder.ts";
import { namedTables, type NamedTable, tableName } from "../@lib/named-table.ts";

/** What killed workers have left is removed when it is as old as this (ms). */
const ABANDONED_AFTER_MS = 24 * 60 * 60_000;

export default defineTask({
  description: "Backs up tables to compressed files, as they are at one moment, and verifies them by reading them back.",
  queue: "maintenance",
  payload: z.strictObject({
    tables: z.array(tableName).min(1).max(1_000).describe("The tables, as SQL writes them. Partitions belong to their table."),
    folder: folderPath.describe("Where backups go: one of LEGWORK_ALLOWED_FOLDERS, or one below, which is made."),
    name: fileName.max(100).default("backup").describe("What the backup is called; old ones of the same name are removed."),
    keepFor: age
      .optional()
      .describe("Backups of the name older than this are removed afterwards: 30 days. All are kept by default."),
    keepAtLeast: z.int().min(1).max(10_000).default(1).describe("So many of the newest are kept, however old."),
    compression: z.int().min(1).max(9).default(3).describe("gzip's level: 1 is fast, 9 is small."),
  }),
  result: z.strictObject({
    backup: z.string().describe("The backup's folder, below the folder of the payload."),
    tables: z.array(z.strictObject({ table: z.string(), rows: z.int(), bytes: z.int(), fileBytes: z.int(), sha256: z.string() })),
    verified: z.literal(true).describe("Every file was read back: its rows were counted and its checksum compared."),
    removed: z.array(z.string()).describe("Old backups that were removed."),
  }),
  /**
   * Written below a name that begins with a dot, verified, given its manifest and then its name: what bears a name is whole. All
   * tables are read in one snapshot, which holds back vacuum for as long. Rows that row security hides from the worker's role make
   * it fail: half of a table is no backup.
   */
  async run(payload, context) {
    const { sql, job, log, signal, progress } = context;
    const tables = await namedTables({ sql, job }, "tables", payload.tables);
    const before = payload.keepFor === undefined ? undefined : await cutoffOf(sql, "keepFor", payload.keepFor);
    await using folder = await Folder.open("folder", payload.folder, { create: true });
    await removePartial(folder, job.id);
    const partial = `.partial-${job.id}-${job.attempts}`;
    const createdAt = new Date().toISOString();
    const directory = `${payload.name}-${createdAt.replaceAll(/[-:.]/g, "")}-${job.id}`;
    await folder.makeFolder(partial);
    try {
      await using inner = await folder.folder(partial);
      const { done, database, postgres } = await sql.transaction(async (_sql, client) => {
        await client.query("set transaction isolation level repeatable read, read only");
        await setPortableText(client);
        const done: BackedUpTable[] = [];
        for (const [index, table] of tables.entries()) {
          progress((90 * index) / tables.length, table.full);
          done.push(await backUp(context, client, inner, table, { index, compression: payload.compression }));
        }
        const { rows } = await client.query<{ database: string; postgres: string }>(
          "select current_database() as database, current_setting('server_version') as postgres",
        );
        return { done, ...(rows[0] as { database: string; postgres: string }) };
      });
      progress(90, "Reading it back");
      for (const table of done) await verifyFile(inner, table, signal);
      await writeManifest(inner, { format: 1, name: payload.name, createdAt, database, postgres, tables: done });
      signal.throwIfAborted();
      await folder.rename(partial, directory);
      await folder.sync();
      log.info({ event: "backup_written", backup: directory, tables: done.length }, "The backup is whole and verified.");
      const removed = before === undefined ? [] : await removeOld(folder, payload.name, before.milliseconds, payload.keepAtLeast);
      const shown = done.map(({ schema, table, rows, bytes, fileBytes, sha256 }) => ({
        table: `${schema}.${table}`,
        rows,
        bytes,
        fileBytes,
        sha256,
      }));
      return { backup: directory, tables: shown, verified: true as const, removed };
    } finally {
      await folder.removeTree(partial).catch((error: unknown) => {
        log.warn({ event: "partial_backup_left", folder: partial }, `What was written is left behind: ${String(error)}`);
      });
    }
  },
});

async function backUp(
  context: TaskContext,
  client: PoolClient,
  folder: Folder,
  table: NamedTable,
  { index, compression }: { index: number; compression: number },
): Promise<BackedUpTable> {
  // What Postgres computes by itself is not written back either.
  const columns = [...table.columns.values()].filter(({ generated }) => !generated);
  const names = columns.map(({ quoted }) => quoted).join(", ");
  const source = table.partitioned ? table.quoted : `only ${table.quoted}`;
  const name = `${String(index + 1).padStart(4, "0")}-${table.full.replaceAll(/[^\w.-]/g, "_").slice(0, 150)}.copy.gz`;
  const { rows, contents } = await contentsOf(client, source, names);
  await using file = await folder.createFile(name);
  const meter = new Meter();
  await copyOut(
    context,
    client,
    `copy (select ${names} from ${source}) to stdout`,
    [meter, createGzip({ level: compression })],
    writerTo(file),
  );
  await file.sync();
  const { size } = await file.stat();
  const done = {
    schema: table.schema,
    table: table.name,
    columns: columns.map(({ name, type }) => ({ name, type })),
    file: name,
    fileBytes: size,
    rows,
    bytes: meter.bytes,
    sha256: meter.digest(),
    contents,
  };
  // The same snapshot: what was counted is what was sent.
  assertSame(done, { rows: meter.lines });
  return done;
}

/** What earlier attempts at this job have left, and what workers have left that were killed long ago. */
async function removePartial(folder: Folder, jobId: string): Promise<void> {
  for (const { name, isFolder } of await folder.entries()) {
    if (!isFolder || !name.startsWith(".partial-")) continue;
    const status = await folder.status(name);
    const isOld = status !== undefined && Date.now() - status.mtimeMs > ABANDONED_AFTER_MS;
    if (isOld || name.startsWith(`.partial-${jobId}-`)) await folder.removeTree(name);
  }
}

async function removeOld(folder: Folder, name: string, before: number, keepAtLeast: number): Promise<string[]> {
  const removed: string[] = [];
  for (const { directory, manifest } of (await listBackups(folder, name)).slice(keepAtLeast)) {
    if (new Date(manifest.createdAt).getTime() >= before) continue;
    await removeBackup(folder, directory);
    removed.push(directory);
  }
  return removed;
}
