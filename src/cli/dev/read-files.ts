import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";
import type { FilesRead } from "./messages.ts";

/** Files larger than this (bytes) are compared by their size and modification time. */
const LARGEST_HASHED = 2_000_000;

/** Names of hidden files and of temporary files that editors create. */
const OF_EDITORS = /^\.|^#|^4913$|~$|\.sw[a-z]$|\.tmp$|^___jb_/;

/** A short text that identifies a file's content; "" if the file does not exist. Saving an unchanged file does not change it. */
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

/** A directory and all files and directories in it, except hidden ones, packages and temporary files of editors. */
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

/** The first file that is new or has changed since it was read; undefined if nothing has changed. */
export function changedFile({ files, directories }: FilesRead): string | undefined {
  for (const [path, hash] of files) if (hashOf(path) !== hash) return path;
  return directories.flatMap(treeOf).find((path) => !files.has(path));
}

/**
 * Whether a change to this path may affect the code: it was read, contains something that was read or looked for, or is among the tasks. Other files,
 * such as those that a task writes, do not interrupt the worker.
 */
export function mayMatter({ files, directories }: FilesRead, path: string): boolean {
  if (files.has(path) || directories.includes(path)) return true;
  if (directories.some((directory) => path.startsWith(directory + sep))) return !OF_EDITORS.test(basename(path));
  return [...files.keys(), ...directories].some((one) => one.startsWith(path + sep));
}

/** The directories to watch: those of all files, and for missing files their nearest existing parent directory. */
export function directoriesToWatch({ files, directories }: FilesRead): Set<string> {
  const found = new Set(directories.flatMap(treeOf).filter((path) => hashOf(path) === "directory"));
  for (const path of [...files.keys(), ...directories]) {
    let parent = dirname(path);
    while (hashOf(parent) !== "directory" && parent !== dirname(parent)) parent = dirname(parent);
    found.add(parent);
  }
  return found;
}
