import { relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { WorkerFlags } from "../options.ts";
import type { FilesRead } from "./messages.ts";
import { changedFile, directoriesToWatch, mayMatter } from "./read-files.ts";
import { Watcher } from "./watcher.ts";
import { WorkerProcess } from "./worker-process.ts";

/** The delay before a worker that ended unexpectedly is replaced (ms), doubled each time up to a maximum. A changed file ends the delay. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

/** How long code may take to load (ms) before another change stops the loading, for example of an endless loop that the change removes. */
const PATIENCE_MS = 3_000;

interface ReloaderOptions {
  readonly flags: WorkerFlags;
  readonly environment: NodeJS.ProcessEnv;
  /** Called when new code runs, with the changed file (undefined at the start) and how long the reload took (ms). */
  readonly onLoaded: (loaded: { tasks: readonly string[]; changed: string | undefined; milliseconds: number }) => void;
  /** Called when the tasks cannot be loaded. Older code, if any, keeps running. */
  readonly onFailed: (lines: readonly string[], hasOlderCode: boolean) => void;
  /** Called with any other problem that the developer should know about. */
  readonly onProblem: (message: string) => void;
}

/**
 * Keeps one worker process running the code on disk. When a file that the process has read changes, it takes no more jobs, and another process loads
 * the new code. If that succeeds, the new process takes over and the old one exits when its jobs have ended. If it fails, the old process continues.
 * A job that is enqueued after a save therefore runs the saved code, and a reload never loses a job or makes one fail.
 */
export class Reloader {
  readonly #options: ReloaderOptions;
  readonly #watcher: Watcher;
  /** The process that takes jobs. */
  #current: WorkerProcess | undefined;
  /** The process that loads new code. It has taken no job. */
  #next: WorkerProcess | undefined;
  #nextSince = 0;
  /** The old processes, which end when their last job has ended. */
  readonly #draining = new Set<WorkerProcess>();
  /** A process that has not loaded tasks yet, for the next reload. */
  #spare: WorkerProcess | undefined;
  /** The files that the last process that tried to load the tasks has read. */
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
      // Once it has loaded, `#load` compares the files that it has read.
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
    const lines = report?.lines ?? [`The process ended while it was loading the tasks (${describeEnd(await next.ended)}).`];
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

  /** Replaces a worker that has ended unexpectedly. Its jobs run again when its lease has expired. */
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
