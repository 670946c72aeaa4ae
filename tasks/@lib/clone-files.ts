import { lstat, opendir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** The most files of a repository that are looked at. */
const FILE_LIMIT = 20_000;

/** The largest file that is read (bytes). A file is parsed in one go, and the worker does nothing else meanwhile. */
export const READ_LIMIT_BYTES = 256 * 1024;

/** Directories that hold other people's work. */
const SKIPPED = new Set([".git", "node_modules", "vendor", "third_party", "bower_components", "Pods"]);

/**
 * The regular files of a clone by their paths below it, the nearer to the top the earlier. Links are neither listed nor
 * followed; what lies beyond the limit is left out.
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

/** The text of a file that `listFiles` has listed; undefined for one that is too large or cannot be read. */
export async function readText(directory: string, path: string): Promise<string | undefined> {
  try {
    const { size } = await lstat(join(directory, path));
    return size > READ_LIMIT_BYTES ? undefined : await readFile(join(directory, path), "utf8");
  } catch {
    // Names that are not UTF-8 are listed, but cannot be opened by what they are listed as.
    return undefined;
  }
}
