import { Worker } from "node:worker_threads";
import { type Outages, outagesOf } from "../../db/outages.ts";
import type { Logger } from "../../log.ts";
import { stderrForm } from "../../log.ts";
import type { RunningJobs } from "../attempt/running-jobs.ts";
import type { WorkerState } from "../intake.ts";
import type { Identity, Report, Request, ThreadOptions } from "./messages.ts";
import { fromMachineClock, toMachineClock } from "./shared-state.ts";

/** How often the event loop records that it is turning (ms). */
const TURN_MS = 50;

/** After this long without a heartbeat (ms), other workers may be about to take this worker's jobs. They first suspect it one second later. */
export const DOUBT_AFTER_MS = 4_000;

/** How long to wait before the heartbeat thread is restarted when it has ended unexpectedly (ms). */
const RESTART_AFTER_MS = 500;

/** The memory limits of the thread (MB). It needs little more than one connection. */
const LIMITS = { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 1 };

/** A successful heartbeat. Times come from this thread's `performance.now()`. */
export interface Beat {
  readonly now: Date;
  readonly before: number;
  readonly after: number;
  readonly cancelled: readonly string[];
  readonly lost: readonly string[];
  readonly state: WorkerState;
}

export interface HeartbeatOptions {
  readonly databaseUrl: string;
  readonly log: Logger;
  readonly running: RunningJobs;
  /** Returns when the database last responded to the main thread (`performance.now()`). */
  readonly lastReply: () => number;
  /** How long the event loop may be blocked before the process is killed (ms); undefined for no limit. */
  readonly maxBlocked?: number | undefined;
}

/**
 * The main thread's interface to the heartbeat thread. A CPU-bound task blocks the event loop, and with it everything else in the main thread, but
 * the worker is busy, not dead, so the thread keeps sending heartbeats. If the process is killed or suspended, the thread is too, and the heartbeats
 * stop.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #turns: NodeJS.Timeout;
  readonly #calls = new Map<number, PromiseWithResolvers<readonly string[] | undefined>>();
  #thread: Worker;
  #identity: Identity | undefined;
  #onBeat: (beat: Beat) => void = () => undefined;
  readonly #outages: Outages;
  #lastCall = 0;
  /** Why the last heartbeat failed; undefined if it succeeded. */
  failure: string | undefined;
  #isStopped = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    const { running } = options;
    this.#outages = outagesOf(options.databaseUrl, options.log);
    running.onGrowth = (buffer) => this.#ask({ kind: "slots", buffer });
    // The timer must not keep the process alive.
    this.#turns = setInterval(() => this.#turn(), TURN_MS).unref();
    running.state.note("beatAt");
    this.#turn();
    this.#thread = this.#start();
  }

  /** Sends heartbeats for a worker from now on, until `stop` is called. */
  speakFor(identity: Identity, onBeat: (beat: Beat) => void): void {
    this.#identity = identity;
    this.#onBeat = onBeat;
    this.#options.running.state.note("beatAt");
    this.#ask({ kind: "start", identity });
  }

  /** How long ago the last successful heartbeat began (ms). */
  get silentFor(): number {
    return this.#options.running.state.since("beatAt");
  }

  /** The end of the last gap between heartbeats, by the database's clock (ms since 1970). */
  get doubtUntil(): number | undefined {
    return this.#options.running.state.doubtUntil;
  }

  /** Records a heartbeat that the main thread has sent, as part of another statement, while the worker runs no job. */
  hear(id: string, beat: Pick<Beat, "now" | "before" | "after" | "state">): void {
    if (id !== this.#identity?.id) return;
    const { state } = this.#options.running;
    if (state.since("beatAt") >= DOUBT_AFTER_MS) state.noteSilence(beat.now.getTime());
    const began = toMachineClock(beat.before);
    state.note("beatAt", began);
    state.note("polledAt", began);
    this.failure = undefined;
    this.#onBeat({ ...beat, cancelled: [], lost: [] });
  }

  /** Sends a heartbeat now, with the jobs that this worker is running. Rejects if the database cannot be reached. */
  async beat(): Promise<void> {
    await this.#call((call) => ({ kind: "beat", call }));
  }

  /**
   * Stops the heartbeats for a worker and returns the jobs that it still holds to the queue. Returns their ids; rejects if the database cannot be
   * reached, and may then be called again.
   */
  async stop(id: string): Promise<readonly string[]> {
    if (this.#identity?.id === id) this.#identity = undefined;
    return (await this.#call((call) => ({ kind: "stop", call, id }))) ?? [];
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
      // The main thread's flags, such as --import, must not apply to this thread.
      execArgv: [],
      resourceLimits: LIMITS,
    });
    thread.unref();
    let reason: Error | undefined;
    thread.on("message", (report: Report) => this.#receive(report));
    thread.on("error", (error: Error) => (reason = error));
    thread.on("exit", () => {
      for (const { reject } of this.#calls.values()) reject(reason ?? new Error("The heartbeat thread has ended."));
      this.#calls.clear();
      if (this.#isStopped) return;
      log.error(
        { event: "heartbeat_thread_ended", err: reason },
        "The heartbeat thread has stopped unexpectedly; restarting it.",
      );
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

  async #call(request: (call: number) => Request): Promise<readonly string[] | undefined> {
    const call = (this.#lastCall += 1);
    const answer = Promise.withResolvers<readonly string[] | undefined>();
    this.#calls.set(call, answer);
    this.#ask(request(call));
    return await answer.promise;
  }

  #receive(report: Report): void {
    switch (report.kind) {
      case "log":
        if (report.fields["event"] === "heartbeat_failed") this.failure = String(report.fields["reason"]);
        this.#options.log[report.level](report.fields, report.message);
        return;
      case "answer": {
        const answer = this.#calls.get(report.call);
        this.#calls.delete(report.call);
        if (report.error === undefined) answer?.resolve(report.jobs);
        else answer?.reject(new Error(report.error));
        return;
      }
      case "connection":
        if (report.is === "lost") {
          this.#outages.closed("heartbeat");
          this.#outages.lost("legwork heartbeat", report.reason, report.code);
        } else this.#outages[report.is]("heartbeat");
        return;
      case "beat": {
        if (report.id !== this.#identity?.id) return;
        const { now, cancelled, lost, state } = report;
        this.failure = undefined;
        this.#onBeat({
          now,
          before: fromMachineClock(report.before),
          after: fromMachineClock(report.after),
          cancelled,
          lost,
          state,
        });
      }
    }
  }
}
