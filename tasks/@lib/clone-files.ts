import { lstat, opendir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** The maximum number of files of a repository that are listed. */
const FILE_LIMIT = 20_000;

/** The maximum size of a file that is read (bytes). Parsing a file blocks the worker until it is finished. */
export const READ_LIMIT_BYTES = 256 * 1024;

/** Directories that usually contain third-party code. */
const SKIPPED = new Set([".git", "node_modules", "vendor", "third_party", "bower_components", "Pods"]);

/**
 * Returns the paths of a clone's regular files, relative to the clone, those closest to the root first. Links are neither listed nor followed. Files
 * beyond the limit are left out.
 */
export async function listFiles(directory: string, signal: AbortSignal): Promise<string[]> {
  const files: string[] = [];
  const directories = [""];
  for (const current of directories) {
    signal.throwIfAborted();
    const below: string[] = [];
    for await (const entry of await opendir(join(directory, current))) {
      const path = current === "" ? entry.name : `${current}/${entry.name}`;
      if (entry.isFile()) files.push(path);
      else if (entry.isDirectory() && !SKIPPED.has(entry.name)) below.push(path);
      if (files.length >= FILE_LIMIT) return files.toSorted(byDepth);
    }
    directories.push(...below.toSorted());
  }
  return files.toSorted(byDepth);
}

function byDepth(left: string, right: string): number {
  return left.split("/").length - right.split("/").length || (left < right ? -1 : 1);
}

/** Returns the text of a file that `listFiles` has listed; undefined if the file is too large or cannot be read. */
export async function readText(directory: string, path: string): Promise<string | undefined> {
  try {
    const { size } = await lstat(join(directory, path));
    return size > READ_LIMIT_BYTES ? undefined : await readFile(join(directory, path), "utf8");
  } catch {
    // A file whose name is not UTF-8 cannot be opened by its listed name.
    return undefined;
  }
}
