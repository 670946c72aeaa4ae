import { Worker } from "node:worker_threads";
import type { Logger } from "../../log.ts";
import { stderrForm } from "../../log.ts";
import type { RunningJobs } from "../attempt/running-jobs.ts";
import type { Identity, Report, Request, ThreadOptions } from "./messages.ts";
import { fromMachineClock, toMachineClock } from "./shared-state.ts";

/** How often the event loop shows that it turns (ms). */
const TURN_MS = 50;

/** How long a thread that has ended by itself is left alone before there is another (ms). */
const RESTART_AFTER_MS = 500;

/** What the thread may take (MB): it has a connection and little else. */
const LIMITS = { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 1 };

/** An answered beat. Moments are of this thread's `performance.now()`. */
export interface Beat {
  readonly now: Date;
  readonly before: number;
  readonly after: number;
  readonly cancelled: readonly string[];
  readonly lost: readonly string[];
}

export interface HeartbeatOptions {
  readonly databaseUrl: string;
  readonly log: Logger;
  readonly running: RunningJobs;
  /** When the database last answered the main thread (`performance.now()`). */
  readonly lastReply: () => number;
  /** How long the event loop may be held up before the process is killed (ms); undefined for any time. */
  readonly maxBlocked?: number | undefined;
}

/**
 * The thread that says that this worker lives, seen from the main thread. A task that computes holds up the event loop, and with it everything else in
 * the process; it is busy and not dead. A process that was killed or stopped takes the thread with it and falls silent.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #turns: NodeJS.Timeout;
  readonly #calls = new Map<number, PromiseWithResolvers<number | undefined>>();
  #thread: Worker;
  #identity: Identity | undefined;
  #onBeat: (beat: Beat) => void = () => undefined;
  #lastCall = 0;
  #isStopped = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    const { running } = options;
    running.onGrowth = (buffer) => this.#ask({ kind: "slots", buffer });
    // Not refused to end a process that has nothing else to do.
    this.#turns = setInterval(() => this.#turn(), TURN_MS).unref();
    running.state.note("beatAt");
    this.#turn();
    this.#thread = this.#start();
  }

  /** Speaks for a worker from now on, until `stop`. */
  speakFor(identity: Identity, onBeat: (beat: Beat) => void): void {
    this.#identity = identity;
    this.#onBeat = onBeat;
    this.#options.running.state.note("beatAt");
    this.#ask({ kind: "start", identity });
  }

  /** How long ago the last beat began that was answered (ms). */
  get silentFor(): number {
    return this.#options.running.state.since("beatAt");
  }

  /** The end of the last silence, by the database's clock (ms since 1970). */
  get doubtUntil(): number | undefined {
    return this.#options.running.state.doubtUntil;
  }

  /** Tells the others now what this worker runs. Rejects when the database cannot be told. */
  async beat(): Promise<void> {
    await this.#call((call) => ({ kind: "beat", call }));
  }

  /**
   * Speaks no more for a worker, and gives back what it still holds. Resolves to how many jobs those were; rejects when the database cannot be told, which
   * may be tried again.
   */
  async stop(id: string): Promise<number> {
    if (this.#identity?.id === id) this.#identity = undefined;
    return (await this.#call((call) => ({ kind: "stop", call, id }))) ?? 0;
  }

  /** Ends the thread. */
  async end(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#turns);
    this.#options.running.onGrowth = undefined;
    await this.#thread.terminate();
  }

  #turn(): void {
    const { running, lastReply } = this.#options;
    running.state.note("turnedAt");
    running.state.note("repliedAt", toMachineClock(lastReply()));
  }

  #start(): Worker {
    const { databaseUrl, log, running, maxBlocked } = this.#options;
    const workerData: ThreadOptions = {
      databaseUrl,
      state: running.state.buffer,
      slots: running.pieces.map(({ buffer }) => buffer),
      stderr: stderrForm(log),
      maxBlocked,
    };
    const file = import.meta.url.endsWith(".ts") ? "./heartbeat-thread.ts" : "./heartbeat-thread.js";
    const thread = new Worker(new URL(file, import.meta.url), {
      name: "legwork heartbeat",
      workerData,
      // Neither --import of the main thread nor its other flags are for this one.
      execArgv: [],
      resourceLimits: LIMITS,
    });
    thread.unref();
    let reason: Error | undefined;
    thread.on("message", (report: Report) => this.#hear(report));
    thread.on("error", (error: Error) => (reason = error));
    thread.on("exit", () => {
      for (const { reject } of this.#calls.values()) reject(reason ?? new Error("The heartbeat thread has ended."));
      this.#calls.clear();
      if (this.#isStopped) return;
      log.error({ err: reason }, "The heartbeat thread has ended by itself and is started again.");
      setTimeout(() => {
        if (!this.#isStopped) this.#restart();
      }, RESTART_AFTER_MS).unref();
    });
    return thread;
  }

  #restart(): void {
    this.#thread = this.#start();
    if (this.#identity !== undefined) this.#ask({ kind: "start", identity: this.#identity });
  }

  #ask(request: Request): void {
    this.#thread.postMessage(request);
  }

  async #call(request: (call: number) => Request): Promise<number | undefined> {
    const call = (this.#lastCall += 1);
    const answer = Promise.withResolvers<number | undefined>();
    this.#calls.set(call, answer);
    this.#ask(request(call));
    return await answer.promise;
  }

  #hear(report: Report): void {
    switch (report.kind) {
      case "log":
        this.#options.log[report.level](report.fields, report.message);
        return;
      case "answer": {
        const answer = this.#calls.get(report.call);
        this.#calls.delete(report.call);
        if (report.error === undefined) answer?.resolve(report.jobs);
        else answer?.reject(new Error(report.error));
        return;
      }
      case "beat": {
        if (report.id !== this.#identity?.id) return;
        const { now, cancelled, lost } = report;
        this.#onBeat({
          now,
          before: fromMachineClock(report.before),
          after: fromMachineClock(report.after),
          cancelled,
          lost,
        });
      }
    }
  }
}
