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

/** The age at which data left behind by killed workers is removed (ms). */
const ABANDONED_AFTER_MS = 24 * 60 * 60_000;

export default defineTask({
  description: "Backs up tables to compressed files from one snapshot, and verifies them by reading them back.",
  queue: "maintenance",
  payload: z.strictObject({
    tables: z
      .array(tableName)
      .min(1)
      .max(1_000)
      .describe("The names of the tables, as written in SQL. A table includes its partitions."),
    folder: folderPath.describe(
      "The folder for the backups: one of LEGWORK_ALLOWED_FOLDERS, or a subfolder, which is created if missing.",
    ),
    name: fileName
      .max(100)
      .default("backup")
      .describe("The name of the backup. With keepFor, old backups with the same name are removed."),
    keepFor: age
      .optional()
      .describe("Older backups with this name are removed afterward: an age such as 30 days. Default: all backups are kept."),
    keepAtLeast: z
      .int()
      .min(1)
      .max(10_000)
      .default(1)
      .describe("How many of the newest backups are kept, regardless of their age."),
    compression: z.int().min(1).max(9).default(3).describe("The gzip level: 1 is fastest, 9 is smallest."),
  }),
  result: z.strictObject({
    backup: z.string().describe("The backup's folder, inside the payload's folder."),
    tables: z.array(z.strictObject({ table: z.string(), rows: z.int(), bytes: z.int(), fileBytes: z.int(), sha256: z.string() })),
    verified: z.literal(true).describe("Every file was read back, its rows counted and its checksum compared."),
    removed: z.array(z.string()).describe("The old backups that were removed."),
  }),
  /**
   * Writes the backup to a folder whose name begins with a dot, verifies it, adds the manifest and then renames the folder, so a
   * folder with a final name is always complete. All tables are read in one snapshot, which holds back vacuum until the end. The
   * job fails if row security hides rows from the worker's role, because the backup would be incomplete.
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
      progress(90, "Reading the backup back");
      for (const table of done) await verifyFile(inner, table, signal);
      await writeManifest(inner, { format: 1, name: payload.name, createdAt, database, postgres, tables: done });
      signal.throwIfAborted();
      await folder.rename(partial, directory);
      await folder.sync();
      log.info({ event: "backup_written", backup: directory, tables: done.length }, "The backup is complete and verified.");
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
        log.warn(
          { event: "partial_backup_left", folder: partial },
          `The incomplete backup could not be removed: ${String(error)}`,
        );
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
  // Generated columns are left out: they cannot be written when restoring.
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
  // Counting and copying used the same snapshot, so the rows must agree.
  assertSame(done, { rows: meter.lines });
  return done;
}

/** Removes data left behind by earlier attempts at this job, and by workers that were killed long ago. */
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
