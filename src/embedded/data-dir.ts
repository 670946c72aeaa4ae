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

/** The file that makes a directory ours. It also remembers the port of the last start. */
const MARKER = "legwork.json";
const MARKER_FORMAT = 1;

const HINT_OTHER_DIRECTORY = "Set LEGWORK_DATA_DIR (or --data-dir) to a new or empty directory that you may write to.";

interface Marker {
  readonly dataDirFormat: number;
  readonly postgresPort?: number;
}

/**
 * Makes sure that a directory is, or may become, a data directory of ours, and returns its real path. A missing one is
 * created, an empty one is marked. Anything else that is not ours is left exactly as it is.
 * Throws LW512 for a file, for a directory that holds something else and for a path that cannot be written.
 */
export function openDataDir(path: string): string {
  const wanted = resolve(path);
  const entries = listDirectory(wanted);
  // A crash before the first rename leaves the marker's temporary file; that directory is still ours.
  const foreign = entries.includes("PG_VERSION") ? "PG_VERSION" : entries.find((entry) => !entry.startsWith(MARKER));
  if (!entries.includes(MARKER) && foreign !== undefined) {
    throw unusable(`${wanted} is not a Legwork data directory: it holds '${foreign}' and no ${MARKER}.`);
  }
  try {
    makeDirectory(wanted);
    accessSync(wanted, constants.R_OK | constants.W_OK | constants.X_OK);
    if (!entries.includes(MARKER)) writeMarker(wanted, { dataDirFormat: MARKER_FORMAT });
  } catch (error) {
    throw unusable(`${wanted} cannot be written: ${toError(error).message}.`, error);
  }
  readMarker(wanted);
  return realpathSync(wanted);
}

/** The port of the last start, if there was one. */
export function rememberedPort(dataDir: string): number | undefined {
  return readMarker(dataDir).postgresPort;
}

export function rememberPort(dataDir: string, postgresPort: number): void {
  if (rememberedPort(dataDir) !== postgresPort) writeMarker(dataDir, { dataDirFormat: MARKER_FORMAT, postgresPort });
}

/**
 * Takes the data directory for this process and returns what gives it back. The lock is `owner.json`: it names a
 * process by its id and its start, so it ends with that process and a recycled id does not count.
 * Throws LW409 naming the process that has it.
 */
export function lockDataDir(dataDir: string): () => void {
  const path = join(dataDir, "owner.json");
  // The inode tells a copy of a data directory, which is nobody's yet, from the original.
  const { ino } = statSync(dataDir);
  const mine = JSON.stringify({ pid: process.pid, started: processStart(process.pid), inode: ino });
  const draft = `${path}.${randomUUID()}.new`;
  writeFileSync(draft, mine, { flag: "wx" });
  try {
    for (;;) {
      // A link appears whole or not at all, so nobody ever reads half a lock.
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
      // Two processes may both find the same stale lock. Only one can move it away; who moved the other's fresh lock
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

/** Replaces a file in one step: after a crash it has the old content or the new, on disk, never half of it. */
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
    if (hasCode(error, "ENOTDIR")) throw unusable(`${path} is a file, or lies below one, not a directory.`, error);
    throw unusable(`${path} cannot be read: ${toError(error).message}.`, error);
  }
}

/** Node's own recursive mkdir never returns where a file system has a parent but lets nothing be made in it (/proc). */
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
    // Told below, with what was expected.
  }
  if (marker?.dataDirFormat === MARKER_FORMAT) return { ...marker, dataDirFormat: MARKER_FORMAT };
  throw unusable(
    `${join(dataDir, MARKER)} is not the marker of a Legwork data directory that this version can use: ` +
      `"dataDirFormat" is ${JSON.stringify(marker?.dataDirFormat) ?? "missing"}, ${MARKER_FORMAT} was expected.`,
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
    // Not written by us, or torn by a crash of the machine: nobody's.
    return undefined;
  }
}

/** False when `act` failed with the one expected code. */
function succeeds(expected: string, act: () => void): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (hasCode(error, expected)) return false;
    throw error;
  }
}
