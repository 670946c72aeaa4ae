import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";
import type { FilesRead } from "./messages.ts";

/** A file that is larger (bytes) is compared by its size and time. */
const LARGEST_HASHED = 2_000_000;

/** Names of files that editors write beside the real ones. */
const OF_EDITORS = /^\.|^#|^4913$|~$|\.sw[a-z]$|\.tmp$|^___jb_/;

/** What a file contains, as a short text; "" if it does not exist. A save that changes nothing changes it not. */
export function hashOf(path: string): string {
  try {
    const found = statSync(path);
    if (found.isDirectory()) return "directory";
    if (found.size > LARGEST_HASHED) return `${found.size} ${found.mtimeMs}`;
    return createHash("sha1").update(readFileSync(path)).digest("base64");
  } catch {
    return "";
  }
}

/** The files and directories below a directory, and itself, without hidden ones, packages and what editors leave behind. */
export function treeOf(directory: string): string[] {
  const found: string[] = [];
  const pending = [directory];
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    found.push(next);
    for (const entry of entriesOf(next)) {
      if (entry.name === "node_modules" || OF_EDITORS.test(entry.name)) continue;
      (entry.isDirectory() ? pending : found).push(join(next, entry.name));
    }
  }
  return found;
}

function entriesOf(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** The first file that has changed since it was read, or that is new; undefined if nothing has changed. */
export function changedFile({ files, directories }: FilesRead): string | undefined {
  for (const [path, hash] of files) if (hashOf(path) !== hash) return path;
  return directories.flatMap(treeOf).find((path) => !files.has(path));
}

/**
 * Whether a change of this path may change the code: it was read, contains something that was read or looked for, or is among the tasks. Other files,
 * such as those that a task writes, do not stop the worker for a moment.
 */
export function mayMatter({ files, directories }: FilesRead, path: string): boolean {
  if (files.has(path) || directories.includes(path)) return true;
  if (directories.some((directory) => path.startsWith(directory + sep))) return !OF_EDITORS.test(basename(path));
  return [...files.keys(), ...directories].some((one) => one.startsWith(path + sep));
}

/** The directories whose entries are to be watched: those of all files, and the nearest existing ones of missing files. */
export function directoriesToWatch({ files, directories }: FilesRead): Set<string> {
  const found = new Set(directories.flatMap(treeOf).filter((path) => hashOf(path) === "directory"));
  for (const path of [...files.keys(), ...directories]) {
    let parent = dirname(path);
    while (hashOf(parent) !== "directory" && parent !== dirname(parent)) parent = dirname(parent);
    found.add(parent);
  }
  return found;
}
