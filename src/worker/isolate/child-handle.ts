import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MessageChannel } from "node:worker_threads";
import { fileURLToPath } from "node:url";
import { Tinypool } from "tinypool";
import { toError } from "../../errors.ts";
import { durationInWords } from "../../wording.ts";
import { exitError, IsolateCrashed, threadError, uncaught } from "./crash.ts";
import type { ChildOptions, ChildOutcome, FromChild, IsolateKind, TaskSource, ToChild } from "./messages.ts";

import { describeThrown, reviveThrown } from "./thrown.ts";

/** How long a child may take to start and to load a task (ms). */
const START_LIMIT_MS = 60_000;

/** How long an idle child may take to end on its own (ms). */
const END_LIMIT_MS = 1_000;

/** How long to wait for a killed child to end (ms). */
const KILL_LIMIT_MS = 5_000;

/**
 * The size of the young generation of a thread's heap (MB). When a heap reaches its limit, V8 grants it another 16 MB to end the thread, and kills
 * the whole process if that is not enough. The surviving objects of a larger young generation would not fit into the 16 MB.
 */
const YOUNG_GENERATION_MB = 8;

let ownCompileCache: string | undefined;

/**
 * Returns a private directory of this process, because code in a directory that other users can write to must not be run. It is removed when the
 * process exits.
 */
function compileCache(): string {
  if (process.env.NODE_COMPILE_CACHE) return process.env.NODE_COMPILE_CACHE;
  if (ownCompileCache === undefined) {
    const directory = mkdtempSync(join(tmpdir(), "legwork-compiled-"));
    process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
    ownCompileCache = directory;
  }
  return ownCompileCache;
}

type Line = Extract<FromChild, { type: "line" }>;

/** Receives the output that is stored with a job. */
export type Hears = (message: Extract<FromChild, { type: "kept" | "progress" }>) => void;

interface RunningJob {
  readonly run: number;
  readonly hears: Hears;
  readonly resolve: (outcome: ChildOutcome) => void;
  readonly reject: (error: Error) => void;
}

/** The worker's side of one thread or process, which runs one job at a time. Once the child has ended, it cannot be used again. */
export class ChildHandle {
  readonly kind: IsolateKind;
  /** The number of jobs that the child has run. */
  jobs = 0;
  /** When the child became idle. */
  idleSince = performance.now();
  isFull = false;
  readonly #loaded = new Set<string>();
  /** A pool with one worker: Tinypool starts, connects and terminates threads and processes in the same way. */
  readonly #tinypool: Tinypool;
  readonly #ready = Promise.withResolvers<void>();
  readonly #died = Promise.withResolvers<Error>();
  /** The error with which the child ended. */
  #death: Error | undefined;
  #isEnding = false;
  #fatal: Error | undefined;
  #postMessage: (message: ToChild) => void = () => undefined;
  #onLoaded: ((thrown: Error | undefined) => void) | undefined;
  #job: RunningJob | undefined;
  readonly #write: (line: Line) => void;

  /** `write` receives the child's lines for the process log, including those between two jobs. */
  constructor(options: Omit<ChildOptions, "port" | "parentPid" | "compileCache">, write: (line: Line) => void) {
    this.#write = write;
    this.kind = options.kind;
    const isThread = options.kind === "thread";
    this.#tinypool = new Tinypool({
      filename: fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "child.ts" : "child.js", import.meta.url)),
      runtime: isThread ? "worker_threads" : "child_process",
      minThreads: 1,
      maxThreads: 1,
      // A thread that waits in Atomics cannot receive an abort message.
      useAtomics: false,
      serialization: "advanced",
      ...(isThread
        ? { resourceLimits: { maxOldGenerationSizeMb: options.memory, maxYoungGenerationSizeMb: YOUNG_GENERATION_MB } }
        : {
            env: { ...process.env } as Record<string, string>,
            execArgv: process.execArgv.filter((flag) => !flag.startsWith("--inspect")),
          }),
    });
    this.#tinypool.on("error", (error) => this.#die(error));
    const [worker] = this.#tinypool.threads;
    worker?.once("exit", (code: number | null, signal: NodeJS.Signals | null = null) => {
      const error = this.#isEnding ? undefined : exitError(this.kind, options.memory, code, signal);
      // Messages that were sent before the end must be handled first: a thread's error is reported when it exits, and a process's messages arrive
      // until its channel closes.
      if (isThread || error === undefined) setImmediate(() => this.#die(error));
      else {
        const late = setTimeout(() => this.#die(error), END_LIMIT_MS);
        worker.once("disconnect", () => setImmediate(() => (clearTimeout(late), this.#die(error))));
      }
    });
    const told: ChildOptions = { ...options, parentPid: process.pid, compileCache: compileCache() };
    const served = isThread ? this.#serveByPort(told) : this.#serveByChannel(told);
    served.then(
      () => this.#terminate(),
      (error: unknown) => {
        // For a process, the reason comes with its exit event.
        if (isThread) this.#die(threadError(options.memory, toError(error)));
        else setTimeout(() => void (this.isDead || this.kill(toError(error))), END_LIMIT_MS).unref();
      },
    );
  }

  get isDead(): boolean {
    return this.#death !== undefined;
  }

  #serveByPort(options: ChildOptions): Promise<void> {
    const { port1, port2 } = new MessageChannel();
    port1.on("message", (message: FromChild) => this.#receive(message));
    this.#postMessage = (message) => port1.postMessage(message);
    void this.#died.promise.then(() => port1.close());
    return this.#tinypool.run({ ...options, port: port2 }, { transferList: [port2] });
  }

  #serveByChannel(options: ChildOptions): Promise<void> {
    const channel = {
      onMessage: (post: (message: ToChild) => void) => void (this.#postMessage = post),
      postMessage: (message: FromChild) => this.#receive(message),
    };
    return this.#tinypool.run(options, { channel });
  }

  /** Resolves when the child can run the task; throws the error that prevented it. */
  async load(task: TaskSource): Promise<void> {
    if (this.#loaded.has(task.name)) return;
    const { promise, resolve } = Promise.withResolvers<Error | undefined>();
    this.#onLoaded = resolve;
    const late = setTimeout(
      () => this.kill(new IsolateCrashed(`The task's ${this.kind} did not start within ${durationInWords(START_LIMIT_MS)}.`)),
      START_LIMIT_MS,
    );
    try {
      await Promise.race([this.#ready.promise, this.#died.promise]);
      if (!this.isDead) this.#postMessage({ type: "load", task });
      const error = await Promise.race([promise, this.#died.promise]);
      if (error !== undefined) throw error;
      this.#loaded.add(task.name);
    } finally {
      clearTimeout(late);
    }
  }

  /** Runs a job. Throws an IsolateCrashed if the child ends before the job, or the error that the child was killed with. */
  async run(message: Extract<ToChild, { type: "run" }>, hears: Hears): Promise<ChildOutcome> {
    this.jobs += 1;
    try {
      // Promise.race with the child's end is not used here, because that promise would keep the results of all jobs in memory.
      return await new Promise<ChildOutcome>((resolve, reject) => {
        if (this.#death !== undefined) return reject(this.#death);
        this.#job = { run: message.run, hears, resolve, reject };
        this.#postMessage(message);
      });
    } finally {
      this.#job = undefined;
    }
  }

  abort(run: number, reason: unknown): void {
    if (!this.isDead) this.#postMessage({ type: "abort", run, reason: describeThrown(reason) });
  }

  /** Terminates the child immediately; its running job fails with the error. Resolves when the child has ended. */
  async kill(error: Error = new IsolateCrashed(`The task's ${this.kind} was terminated.`)): Promise<void> {
    this.#isEnding = true;
    this.#fatal ??= error;
    this.#terminate();
    // A thread in a system call does not end before the call returns.
    const late = setTimeout(() => this.#die(error), KILL_LIMIT_MS);
    await this.#died.promise;
    clearTimeout(late);
  }

  /** Lets the child close its connections and end. Resolves when it has ended. */
  async end(): Promise<void> {
    if (this.isDead) return;
    this.#isEnding = true;
    this.#postMessage({ type: "end" });
    const late = setTimeout(() => this.#terminate(), END_LIMIT_MS);
    await this.#died.promise;
    clearTimeout(late);
  }

  #receive(message: FromChild): void {
    try {
      this.#hear(message);
    } catch {
      // A task may send anything over the channel of its process.
    }
  }

  #hear(message: FromChild): void {
    switch (message.type) {
      case "ready":
        this.#ready.resolve();
        break;
      case "loaded":
        this.#onLoaded?.(message.thrown === undefined ? undefined : reviveThrown(message.thrown));
        break;
      case "line":
        this.#write(message);
        break;
      case "kept":
      case "progress":
        if (message.run === this.#job?.run) this.#job.hears(message);
        break;
      case "done":
      case "failed":
        this.isFull ||= message.isFull;
        if (message.run === this.#job?.run) this.#job.resolve(message);
        break;
      case "fatal":
        this.#fatal ??= uncaught(this.kind, reviveThrown(message.thrown));
        break;
    }
  }

  #terminate(): void {
    const [worker] = this.#tinypool.threads;
    // Tinypool first sends the process a request to end, which a process in an endless loop does not handle.
    if (worker !== undefined && this.kind === "process") killProcess(worker.threadId);
    this.#tinypool.destroy().then(
      () => this.#die(undefined),
      () => undefined,
    );
  }

  #die(error: Error | undefined): void {
    if (this.#death !== undefined) return;
    this.#death = this.#fatal ?? error ?? new IsolateCrashed(`The task's ${this.kind} has ended.`);
    this.#died.resolve(this.#death);
    this.#job?.reject(this.#death);
  }
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // The process has already ended.
  }
}
