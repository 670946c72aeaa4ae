import { chmodSync, mkdtempSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { freemem } from "node:os";

const MEMORY = "/dev/shm";

/** Twice the memory that the suite's clusters and files use at most (bytes). */
const ROOM = 8 * 2 ** 30;

/**
 * Moves the directory for temporary files into memory until this process ends, if there is room: Postgres and Git create very many small files.
 * Processes that start later inherit it.
 */
export function scratchInMemory(): void {
  if (!hasRoom(MEMORY)) return;
  removeLeftovers();
  const directory = mkdtempSync(`${MEMORY}/legwork-test-${process.pid}-`);
  // Postgres runs as another user if the tests run as root.
  chmodSync(directory, 0o1777);
  process.env.TMPDIR = directory;
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
}

/** Removes the files of runs that were killed. A Postgres server whose directory is deleted ends by itself within a minute. */
function removeLeftovers(): void {
  for (const name of readdirSync(MEMORY)) {
    const [, pid] = /^legwork-test-(\d+)-/.exec(name) ?? [];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(`${MEMORY}/${name}`, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function hasRoom(directory: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize > ROOM && freemem() > ROOM;
  } catch {
    return false; // Not Linux.
  }
}
