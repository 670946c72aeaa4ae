import { createHash } from "node:crypto";
import { Transform, Writable, type TransformCallback } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { z } from "zod";
import { codeOf, fileName, type Folder, ignore, readerOf } from "./folder.ts";

const MANIFEST = "manifest.json";

/** The largest manifest that is read (bytes). */
const MANIFEST_LIMIT_BYTES = 16 * 1024 * 1024;

const manifestSchema = z.object({
  format: z.literal(1),
  name: fileName,
  createdAt: z.iso.datetime(),
  database: z.string(),
  postgres: z.string(),
  tables: z.array(
    z.object({
      schema: z.string(),
      table: z.string(),
      columns: z.array(z.object({ name: z.string(), type: z.string() })),
      file: fileName,
      fileBytes: z.int(),
      rows: z.int(),
      bytes: z.int(),
      /** The checksum of the file's contents, decompressed. */
      sha256: z.string(),
      /** The checksum of the rows, which does not depend on their order; see `contentsOf`. */
      contents: z.string(),
    }),
  ),
});
export type Manifest = z.output<typeof manifestSchema>;
export type BackedUpTable = Manifest["tables"][number];

/** Writes the manifest atomically. A folder without a manifest does not count as a backup. */
export async function writeManifest(folder: Folder, manifest: Manifest): Promise<void> {
  await using file = await folder.createFile(`${MANIFEST}.partial`);
  await file.writeFile(`${JSON.stringify(manifest, undefined, 2)}\n`);
  await file.sync();
  await folder.rename(`${MANIFEST}.partial`, MANIFEST);
  await folder.sync();
}

/** Returns the manifest of a backup; undefined if the backup is incomplete: no manifest, or a file whose size differs from the manifest. */
export async function readManifest(folder: Folder): Promise<Manifest | undefined> {
  const file = await folder.openFile(MANIFEST).catch(ignore("ENOENT", "ELOOP"));
  if (file === undefined) return undefined;
  let read: unknown;
  try {
    const status = await file.stat();
    if (!status.isFile() || status.size > MANIFEST_LIMIT_BYTES) return undefined;
    read = JSON.parse(await file.readFile("utf8"));
  } catch (error) {
    if (codeOf(error) !== undefined) throw error;
    return undefined;
  } finally {
    await file.close();
  }
  const { data } = manifestSchema.safeParse(read);
  for (const table of data?.tables ?? []) {
    const status = await folder.status(table.file);
    if (status === undefined || !status.isFile() || status.size !== table.fileBytes) return undefined;
  }
  return data;
}

export interface Found {
  readonly directory: string;
  readonly manifest: Manifest;
}

/** Returns the complete backups with a name, newest first. */
export async function listBackups(folder: Folder, name: string): Promise<Found[]> {
  const found: Found[] = [];
  for (const entry of await folder.entries()) {
    if (!entry.isFolder || !entry.name.startsWith(`${name}-`)) continue;
    await using inner = await folder.folder(entry.name);
    const manifest = await readManifest(inner);
    if (manifest?.name === name) found.push({ directory: entry.name, manifest });
  }
  return found.toSorted((left, right) => (left.manifest.createdAt < right.manifest.createdAt ? 1 : -1));
}

/** Removes a backup, starting with its manifest, so that a partly removed backup is never read as a complete one. */
export async function removeBackup(folder: Folder, directory: string): Promise<void> {
  const inner = await folder.folder(directory);
  try {
    await inner.removeFile(MANIFEST).catch(ignore("ENOENT"));
    await inner.sync();
  } finally {
    await inner.close();
  }
  await folder.removeTree(directory);
}

/** Passes bytes through, counts the bytes and their lines (one per row in COPY's text format), and computes their SHA-256. */
export class Meter extends Transform {
  bytes = 0;
  lines = 0;
  private readonly hash = createHash("sha256");

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.bytes += chunk.length;
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) this.lines += 1;
    this.hash.update(chunk);
    done(null, chunk);
  }

  digest(): string {
    return this.hash.digest("hex");
  }
}

/** Reads a backed-up table and compares its row count and checksum with the manifest. Throws an Error if they differ. */
export async function verifyFile(folder: Folder, table: BackedUpTable, signal: AbortSignal): Promise<void> {
  await using file = await folder.openFile(table.file);
  const meter = new Meter();
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  await pipeline(readerOf(file), createGunzip(), meter, nowhere, { signal });
  assertSame(table, { rows: meter.lines, sha256: meter.digest() });
}

/** Throws an Error that names the difference, if there is one. */
export function assertSame(table: BackedUpTable, seen: { rows?: number; sha256?: string; contents?: string }): void {
  const name = `${table.schema}.${table.table}`;
  if (seen.rows !== undefined && seen.rows !== table.rows) {
    throw new Error(`The backup of ${name} is damaged: expected ${table.rows} rows, found ${seen.rows}.`);
  }
  if (seen.sha256 !== undefined && seen.sha256 !== table.sha256) {
    throw new Error(`The backup of ${name} is damaged: its checksum differs from the manifest.`);
  }
  if (seen.contents !== undefined && seen.contents !== table.contents) {
    throw new Error(
      `The rows of ${name} differ from the backup: a trigger changed them, or another session wrote at the same time.`,
    );
  }
}
