import { type FSWatcher, statSync, watch } from "node:fs";
import { join } from "node:path";

/** How long after the last change the files are compared (ms). Editors may write a file in several steps, or save several files at once. */
const SETTLED_MS = 60;

/** How long a series of changes can delay the comparison (ms). */
const LONGEST_SERIES_MS = 1_000;

/** How often files are compared when the system cannot report changes (ms). */
const POLL_MS = 1_000;

interface Listener {
  /** Whether a change to this file in a watched directory is relevant. */
  readonly counts: (path: string) => boolean;
  /** Called when a relevant file was saved, changed or not. */
  readonly onStir: () => void;
  /** Called when no file has changed for a moment. */
  readonly onSettled: () => void;
  /** Called when the system cannot watch more directories. Files are then compared every second instead. */
  readonly onUnwatchable: (error: Error) => void;
}

/** Watches directories without their subdirectories, which may contain packages with thousands of files. */
export class Watcher {
  readonly #listener: Listener;
  readonly #watched = new Map<string, { watcher: FSWatcher; inode: bigint }>();
  #timer: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  #seriesSince: number | undefined;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  /** Watches these directories and no others. A directory that was deleted and created again is watched again. */
  watch(directories: ReadonlySet<string>): void {
    for (const [path, { watcher, inode }] of this.#watched) {
      if (directories.has(path) && inodeOf(path) === inode) continue;
      watcher.close();
      this.#watched.delete(path);
    }
    for (const path of directories) {
      const inode = inodeOf(path);
      if (inode === undefined || this.#watched.has(path)) continue;
      try {
        const watcher = watch(path, (_event, name) => {
          // When the directory itself is deleted, `name` is the name of the directory.
          if (name === null || this.#listener.counts(join(path, name)) || inodeOf(path) === undefined) this.#stir();
        }).on("error", () => this.#stir());
        this.#watched.set(path, { watcher, inode });
      } catch (error) {
        if (this.#poll === undefined) this.#listener.onUnwatchable(error as Error);
        this.#poll ??= setInterval(() => this.#listener.onSettled(), POLL_MS);
      }
    }
  }

  stop(): void {
    this.watch(new Set());
    clearTimeout(this.#timer);
    clearInterval(this.#poll);
  }

  #stir(): void {
    const now = performance.now();
    this.#seriesSince ??= now;
    this.#listener.onStir();
    clearTimeout(this.#timer);
    const rest = this.#seriesSince + LONGEST_SERIES_MS - now;
    this.#timer = setTimeout(
      () => {
        this.#seriesSince = undefined;
        this.#listener.onSettled();
      },
      Math.max(0, Math.min(SETTLED_MS, rest)),
    );
  }
}

function inodeOf(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}
