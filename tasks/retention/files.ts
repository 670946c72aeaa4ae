import { matchesGlob } from "node:path";
import { defineTask, type TaskContext } from "legwork";
import { z } from "zod";
import { age, cutoffOf } from "../@lib/age.ts";
import { codeOf, Folder, folderPath, ignore } from "../@lib/folder.ts";

/** How many levels of subfolders are searched. */
const MOST_DEPTH = 64;

export default defineTask({
  description: "Deletes files that have not changed for some time, in folders that the worker's configuration allows.",
  queue: "cleanup",
  payload: z.strictObject({
    folder: folderPath.describe("The folder: one of LEGWORK_ALLOWED_FOLDERS, or a subfolder."),
    olderThan: age.describe("Files that have not changed for this long are deleted: a Postgres interval such as 30 days."),
    matching: z
      .string()
      .min(1)
      .max(500)
      .optional()
      .describe("Only files whose path in the folder matches this glob: *.log, **/*.tmp. Default: all files."),
    recursive: z.boolean().default(false).describe("Whether to search subfolders."),
    removeEmptyFolders: z.boolean().default(false).describe("Whether to remove subfolders that are empty afterward."),
    maxFiles: z.int().min(1).optional().describe("Stops after this many files and leaves the rest for the next run."),
  }),
  result: z.strictObject({
    deleted: z.int().describe("How many files were deleted."),
    bytes: z.int().describe("The total size of the deleted files."),
    kept: z.int().describe("How many files were kept because they are too recent or do not match."),
    failed: z.int().describe("How many files could not be deleted. The log has the reasons."),
    folders: z.int().describe("How many empty folders were removed."),
  }),
  /** Links, pipes and devices are neither followed nor deleted. */
  async run(payload, { sql, log, signal }) {
    const { milliseconds: before } = await cutoffOf(sql, "olderThan", payload.olderThan);
    const found = { deleted: 0, bytes: 0, kept: 0, failed: 0, folders: 0 };
    await using folder = await Folder.open("folder", payload.folder);
    await clean(folder, "", { ...payload, before, found, log, signal }, 0);
    return found;
  },
});

interface Work {
  before: number;
  matching?: string;
  recursive: boolean;
  removeEmptyFolders: boolean;
  maxFiles?: number;
  found: { deleted: number; bytes: number; kept: number; failed: number; folders: number };
  log: TaskContext["log"];
  signal: AbortSignal;
}

async function clean(folder: Folder, path: string, work: Work, depth: number): Promise<void> {
  const { found, log } = work;
  for await (const entry of folder.eachEntry()) {
    work.signal.throwIfAborted();
    if (found.deleted >= (work.maxFiles ?? Infinity)) return;
    const below = path === "" ? entry.name : `${path}/${entry.name}`;
    if (entry.isFile) {
      try {
        await removeIfOld(folder, entry.name, below, work);
      } catch (error) {
        found.failed += 1;
        log.warn({ event: "file_not_deleted", file: below, code: codeOf(error) }, `${below} was not deleted: ${String(error)}`);
      }
    } else if (entry.isFolder && work.recursive && depth < MOST_DEPTH) {
      // Skipped if it has been replaced by a link or removed since it was listed.
      const inner = await folder.folder(entry.name).catch(ignore("ENOENT", "ELOOP", "ENOTDIR", "EACCES"));
      if (inner === undefined) continue;
      const { deleted, folders } = found;
      const isOld = ((await folder.status(entry.name))?.mtimeMs ?? Infinity) < work.before;
      try {
        await clean(inner, below, work, depth + 1);
      } finally {
        await inner.close();
      }
      // A folder that another process has just created is also empty, but must stay.
      if (!work.removeEmptyFolders || !(isOld || found.deleted > deleted || found.folders > folders)) continue;
      const removed = await folder
        .removeFolder(entry.name)
        .then(() => true, ignore("ENOTEMPTY", "EEXIST", "ENOENT", "EACCES", "EPERM"));
      if (removed === true) found.folders += 1;
    }
  }
}

async function removeIfOld(folder: Folder, name: string, path: string, { before, matching, found }: Work): Promise<void> {
  const status = await folder.status(name);
  if (status === undefined || !status.isFile()) return;
  if (status.mtimeMs >= before || (matching !== undefined && !matchesGlob(path, matching))) {
    found.kept += 1;
    return;
  }
  await folder.removeFile(name);
  found.deleted += 1;
  found.bytes += status.size;
}
