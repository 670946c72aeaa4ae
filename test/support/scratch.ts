import { chmodSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { freemem } from "node:os";

/** Memory that the suite's clusters and files may take at their largest, and as much again (bytes). */
const ROOM = 8 * 2 ** 30;

/**
 * Puts the directory for temporary files into memory until this process ends, where there is room: Postgres and Git make very many small files.
 * Processes that start later inherit it.
 */
export function scratchInMemory(): void {
  if (!hasRoom("/dev/shm")) return;
  const directory = mkdtempSync("/dev/shm/legwork-test-");
  // Postgres runs as another user where the tests run as root.
  chmodSync(directory, 0o1777);
  process.env.TMPDIR = directory;
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
}

function hasRoom(directory: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize > ROOM && freemem() > ROOM;
  } catch {
    return false; // Not Linux.
  }
}
