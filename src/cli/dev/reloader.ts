import { relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { WorkerFlags } from "../options.ts";
import type { FilesRead } from "./messages.ts";
import { changedFile, directoriesToWatch, mayMatter } from "./read-files.ts";
import { Watcher } from "./watcher.ts";
import { WorkerProcess } from "./worker-process.ts";

/** The wait before a worker that ended by itself is replaced (ms); doubled each time, up to the longest. A changed file ends it. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

/** How long code may take to load before a further change gives it up (ms), such as an endless loop that the change removes. */
const PATIENCE_MS = 3_000;

interface ReloaderOptions {
  readonly flags: WorkerFlags;
  readonly environment: NodeJS.ProcessEnv;
  /** The tasks run with new code: the file that has changed, which is undefined at the start, and how long it took (ms). */
  readonly onLoaded: (loaded: { tasks: readonly string[]; changed: string | undefined; milliseconds: number }) => void;
  /** The tasks cannot be loaded. Older code keeps running. */
  readonly onFailed: (lines: readonly string[], hasOlderCode: boolean) => void;
  /** Anything else that a developer should know. */
  readonly onProblem: (message: string) => void;
}

/**
 * Keeps one worker process running the code on disk. When a file that it has read changes, the process takes no more jobs, and another one loads the
 * new code. If it can, it takes over, and the old process exits when its jobs have ended; if it cannot, the old one keeps running. So a job that is
 * enqueued after a save runs the saved code, and no job is lost or fails by a reload.
 */
export class Reloader {
  readonly #options: ReloaderOptions;
  readonly #watcher: Watcher;
  /** The process that takes jobs. */
  #current: WorkerProcess | undefined;
  /** The process that loads new code. It has taken no job. */
  #next: WorkerProcess | undefined;
  #nextSince = 0;
  /** The processes that end when their jobs have. */
  readonly #draining = new Set<WorkerProcess>();
  /** A process without tasks, for the next reload. */
  #spare: WorkerProcess | undefined;
  /** What the last process that tried to load the tasks has read. */
  #read: FilesRead = { files: new Map(), directories: [] };
  #deaths = 0;
  #isStopped = false;

  constructor(options: ReloaderOptions) {
    this.#options = options;
    this.#watcher = new Watcher({
      counts: (path) => mayMatter(this.#read, path),
      onStir: () => this.#current?.tell({ type: "hold", isHeld: true }),
      onSettled: () => void this.#compare(),
      onUnwatchable: ({ message }) =>
        options.onProblem(`Files are compared every second, because watching them failed: ${message}.`),
    });
  }

  /** Starts the first worker, and resolves when it takes jobs or its tasks cannot be loaded. */
  async start(): Promise<void> {
    await this.#load(undefined);
  }

  /** Ends every process soon. Unfinished jobs return to the queue. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#watcher.stop();
    this.#spare?.discard();
    const running = [this.#current, this.#next, ...this.#draining].filter((one) => one !== undefined);
    await Promise.all(running.map((one) => one.stop()));
  }

  /** Loads the code again if a file has changed. */
  async #compare(): Promise<void> {
    if (this.#isStopped) return;
    const next = this.#next;
    const wait = this.#nextSince + PATIENCE_MS - performance.now();
    if (next !== undefined && wait > 0) {
      // What it has read is compared once it has loaded.
      await delay(wait);
      if (this.#next !== next) return;
    }
    const changed = changedFile(this.#read);
    if (changed !== undefined) {
      this.#deaths = 0;
      await this.#load(relative(process.cwd(), changed));
      return;
    }
    this.#current?.tell({ type: "hold", isHeld: false });
  }

  async #load(changed: string | undefined): Promise<void> {
    const since = performance.now();
    void this.#next?.stop();
    const next = this.#takeSpare();
    this.#next = next;
    this.#nextSince = since;
    const report = await next.start(this.#options.flags);
    if (this.#next !== next || this.#isStopped) return;
    if (report !== undefined) {
      this.#read = report;
      this.#watcher.watch(directoriesToWatch(report));
      const newer = changedFile(report);
      if (newer !== undefined) return await this.#load(changed ?? relative(process.cwd(), newer));
    }
    this.#next = undefined;
    if (report?.type === "ready") {
      this.#takeOver(next);
      this.#options.onLoaded({ tasks: report.tasks, changed, milliseconds: performance.now() - since });
      return;
    }
    const lines = report?.lines ?? [`The tasks ended the process while they were loaded (${describeEnd(await next.ended)}).`];
    this.#options.onFailed(lines, this.#current !== undefined);
    this.#current?.tell({ type: "hold", isHeld: false });
  }

  #takeOver(next: WorkerProcess): void {
    const old = this.#current;
    this.#current = next;
    next.tell({ type: "go" });
    void this.#whenEnded(next);
    if (old === undefined) return;
    this.#draining.add(old);
    old.tell({ type: "drain" });
    void old.ended.then(() => this.#draining.delete(old));
  }

  /** Starts another worker in place of one that has ended by itself. Its jobs run again when its lease has ended. */
  async #whenEnded(ended: WorkerProcess): Promise<void> {
    const end = await ended.ended;
    if (this.#isStopped || this.#current !== ended) return;
    this.#current = undefined;
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#deaths++);
    this.#options.onProblem(
      `The worker has ended (${describeEnd(end)}). Its jobs return to the queue, and another worker is starting.`,
    );
    await delay(wait);
    if (this.#current === undefined && this.#next === undefined && !this.#isStopped) await this.#load(undefined);
  }

  #takeSpare(): WorkerProcess {
    const { environment } = this.#options;
    const taken = this.#spare?.isAlive === true ? this.#spare : new WorkerProcess(environment);
    this.#spare = new WorkerProcess(environment);
    return taken;
  }
}

function describeEnd(end: number | string): string {
  return typeof end === "number" ? `exit code ${end}` : end;
}
