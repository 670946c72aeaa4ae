import { randomUUID } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { LegworkError, toError } from "../errors.ts";
import { hasCode, processStart, readIfThere } from "./process.ts";

/** The file that marks a Legwork data directory. It also stores the port of the last start. */
const MARKER = "legwork.json";
const MARKER_FORMAT = 1;

const HINT_OTHER_DIRECTORY = "Set LEGWORK_DATA_DIR (or --data-dir) to a new or empty directory that you may write to.";

interface Marker {
  readonly dataDirFormat: number;
  readonly postgresPort?: number;
}

/**
 * Checks that a directory is, or may become, a Legwork data directory, and returns its real path. A missing one is
 * created, an empty one is marked. Any other directory stays exactly as it is.
 * Throws LW512 for a file, for a directory with other content, and for a path that is not writable.
 */
export function openDataDir(path: string): string {
  const wanted = resolve(path);
  const entries = listDirectory(wanted);
  // A crash before the first rename leaves the marker's temporary file; the directory is still a Legwork data directory.
  const foreign = entries.includes("PG_VERSION") ? "PG_VERSION" : entries.find((entry) => !entry.startsWith(MARKER));
  if (!entries.includes(MARKER) && foreign !== undefined) {
    throw unusable(`${wanted} is not a Legwork data directory: it contains '${foreign}' but no ${MARKER}.`);
  }
  try {
    makeDirectory(wanted);
    accessSync(wanted, constants.R_OK | constants.W_OK | constants.X_OK);
    if (!entries.includes(MARKER)) {
      writeMarker(wanted, { dataDirFormat: MARKER_FORMAT });
      // The directory contains secrets, and is usually inside a project.
      writeFileAtomically(join(wanted, ".gitignore"), "*\n");
    }
  } catch (error) {
    throw unusable(`${wanted} is not writable: ${toError(error).message}.`, error);
  }
  readMarker(wanted);
  return realpathSync(wanted);
}

/** Returns the port of the last start, if there was one. */
export function rememberedPort(dataDir: string): number | undefined {
  return readMarker(dataDir).postgresPort;
}

export function rememberPort(dataDir: string, postgresPort: number): void {
  if (rememberedPort(dataDir) !== postgresPort) writeMarker(dataDir, { dataDirFormat: MARKER_FORMAT, postgresPort });
}

/**
 * Locks the data directory for this process and returns a function that unlocks it. The lock is `owner.json`: it names a
 * process by its id and start time, so it ends with that process, and a reused id does not count.
 * Throws LW409 naming the process that holds the lock.
 */
export function lockDataDir(dataDir: string): () => void {
  const path = join(dataDir, "owner.json");
  // The inode distinguishes a copied data directory, which is not locked yet, from the original.
  const { ino } = statSync(dataDir);
  const mine = JSON.stringify({ pid: process.pid, started: processStart(process.pid), inode: ino });
  const draft = `${path}.${randomUUID()}.new`;
  writeFileSync(draft, mine, { flag: "wx" });
  try {
    for (;;) {
      // A hard link is created atomically, so no process ever reads a partial lock file.
      if (succeeds("EEXIST", () => linkSync(draft, path))) {
        return () => {
          if (readIfThere(path) === mine) rmSync(path);
        };
      }
      const held = readIfThere(path);
      if (held === undefined) continue;
      const pid = livingOwner(held, ino);
      if (pid !== undefined) {
        throw new LegworkError("LW409", `The data directory ${dataDir} is in use by process ${pid}.`, {
          hint: "Stop that process first, or set LEGWORK_DATA_DIR to another directory.",
        });
      }
      // Two processes may both find the same stale lock. Only one can move it away; a process that moved the other's fresh lock
      // instead puts it back.
      const aside = `${path}.${randomUUID()}.stale`;
      if (!succeeds("ENOENT", () => renameSync(path, aside))) continue;
      if (readFileSync(aside, "utf8") !== held) succeeds("EEXIST", () => linkSync(aside, path));
      rmSync(aside);
    }
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Replaces a file atomically: after a crash it has the old or the new content on disk, never a mix. */
export function writeFileAtomically(path: string, content: string, mode = 0o644): void {
  const draft = `${path}.${randomUUID()}.new`;
  writeFileSync(draft, content, { flag: "wx", mode, flush: true });
  renameSync(draft, path);
}

export function unusable(message: string, cause?: unknown, hint = HINT_OTHER_DIRECTORY): LegworkError {
  return new LegworkError("LW512", message, { hint, cause });
}

function listDirectory(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    if (hasCode(error, "ENOTDIR")) throw unusable(`${path} is a file, or is inside a file, and not a directory.`, error);
    throw unusable(`${path} cannot be read: ${toError(error).message}.`, error);
  }
}

/** Creates a directory and its parents. Node's own recursive mkdir never returns if the parent exists but nothing can be created in it (/proc). */
function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  makeDirectory(dirname(path));
  succeeds("EEXIST", () => mkdirSync(path));
}

function readMarker(dataDir: string): Marker {
  let marker: Partial<Marker> | null = null;
  try {
    marker = JSON.parse(readFileSync(join(dataDir, MARKER), "utf8")) as Partial<Marker> | null;
  } catch {
    // Reported below, with the expected value.
  }
  if (marker?.dataDirFormat === MARKER_FORMAT) return { ...marker, dataDirFormat: MARKER_FORMAT };
  throw unusable(
    `${join(dataDir, MARKER)} is not the marker of a Legwork data directory that this version can use: ` +
      `"dataDirFormat" is ${JSON.stringify(marker?.dataDirFormat) ?? "missing"}, expected ${MARKER_FORMAT}.`,
  );
}

function writeMarker(dataDir: string, marker: Marker): void {
  writeFileAtomically(join(dataDir, MARKER), `${JSON.stringify(marker)}\n`);
}

function livingOwner(lock: string, ino: number): number | undefined {
  try {
    const { pid, started, inode } = JSON.parse(lock) as { pid?: unknown; started?: unknown; inode?: unknown };
    if (typeof pid !== "number" || typeof started !== "string" || inode !== ino) return undefined;
    return processStart(pid) === started ? pid : undefined;
  } catch {
    // Not written by Legwork, or damaged by a crash of the host: it has no owner.
    return undefined;
  }
}

/** Returns false if `act` failed with the expected code. */
function succeeds(expected: string, act: () => void): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (hasCode(error, expected)) return false;
    throw error;
  }
}
