import { Worker as Thread } from "node:worker_threads";
import { toError } from "../../errors.ts";
import { hideSecretsInText } from "../../hide-secrets.ts";
import { listenError } from "../../listen-error.ts";
import type { Logger } from "../../log.ts";
import type { SharedState } from "../heartbeat/shared-state.ts";
import type { WorkerStatus } from "./answers.ts";
import type { FromHealthThread, HealthThreadOptions, ToHealthThread } from "./health-thread.ts";

/** How often the worker's status is sent to the thread (ms). */
const TELL_INTERVAL_MS = 500;

/** How long to wait before the thread is restarted when it has ended unexpectedly (ms). */
const RESTART_AFTER_MS = 500;

/** The memory limits of the thread (MB): it serves a few requests per second. */
const LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 1 };

export interface HealthPortOptions {
  readonly log: Logger;
  readonly host: string;
  /** The port; 0 chooses a free one. */
  readonly port: number;
  readonly maxBlocked: number;
}

/** The parts of a running worker that the health port reads. */
export interface WatchedWorker {
  readonly state: SharedState;
  readonly slots: number;
  read(): Omit<WorkerStatus, "stage" | "slots">;
}

/**
 * The HTTP port on which a worker's process serves `/health`, `/ready` and `/metrics`, without authentication. It runs in its own thread and
 * responds as long as the process exists: before the database can be reached, while a task blocks the event loop, and while the worker is stopping.
 */
export class HealthPort {
  readonly #options: HealthPortOptions;
  readonly #timer: NodeJS.Timeout;
  #thread: Thread;
  #worker: WatchedWorker | undefined;
  #isStopping = false;
  #isClosed = false;
  /** The address that it listens on, such as http://127.0.0.1:9090. */
  url = "";

  private constructor(options: HealthPortOptions) {
    this.#options = options;
    this.#thread = this.#start();
    this.#timer = setInterval(() => this.#tell(), TELL_INTERVAL_MS).unref();
  }

  /** Opens the port. Throws LW513 if it is in use, and LW514 if the address does not belong to this machine. */
  static async open(options: HealthPortOptions): Promise<HealthPort> {
    const health = new HealthPort(options);
    try {
      await health.#listening();
    } catch (error) {
      await health.close();
      throw error;
    }
    options.log.info({ event: "health_ready", url: health.url }, `Health, readiness and metrics are available at ${health.url}`);
    return health;
  }

  /** Reports the status of this worker from now on. */
  watch(worker: WatchedWorker): void {
    this.#worker = worker;
    this.#tell();
  }

  /** Reports from now on that the worker is stopping. */
  stopping(): void {
    this.#isStopping = true;
    this.#tell();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#thread.terminate();
  }

  #start(): Thread {
    const { host, port, maxBlocked, log } = this.#options;
    const workerData: HealthThreadOptions = { host, port, maxBlocked };
    const file = import.meta.url.endsWith(".ts") ? "./health-thread.ts" : "./health-thread.js";
    const thread = new Thread(new URL(file, import.meta.url), {
      name: "legwork health",
      workerData,
      // The main thread's flags, such as --import, must not apply to this thread.
      execArgv: [],
      resourceLimits: LIMITS,
    });
    thread.unref();
    let reason: Error | undefined;
    thread.on("error", (error: unknown) => (reason = toError(error)));
    thread.on("exit", () => {
      if (this.#isClosed) return;
      log.error({ event: "health_thread_ended", err: reason }, "The health port has stopped unexpectedly; restarting it.");
      setTimeout(() => {
        if (this.#isClosed) return;
        this.#thread = this.#start();
        this.#tell();
      }, RESTART_AFTER_MS).unref();
    });
    return thread;
  }

  async #listening(): Promise<void> {
    const { host, port } = this.#options;
    const message = await new Promise<FromHealthThread>((resolve, reject) => {
      this.#thread.once("message", resolve);
      this.#thread.once("error", reject);
    });
    if (message.kind === "failed") {
      const error = Object.assign(new Error(message.message), { code: message.code });
      throw listenError(error, { host, port, settings: { host: "LEGWORK_HEALTH_HOST", port: "LEGWORK_HEALTH_PORT" } });
    }
    this.url = `http://${message.host.includes(":") ? `[${message.host}]` : message.host}:${message.port}`;
  }

  #tell(): void {
    const post = (message: ToHealthThread): void => this.#thread.postMessage(message);
    const worker = this.#worker;
    if (worker !== undefined) post({ kind: "memory", state: worker.state.buffer });
    const read = worker?.read() ?? { problem: undefined, silentBecause: undefined, running: 0, completed: 0, failed: 0 };
    const status: WorkerStatus = {
      ...read,
      // Anyone who can reach the port can read this.
      problem: hidden(read.problem),
      silentBecause: hidden(read.silentBecause),
      slots: worker?.slots ?? 0,
      stage: this.#isStopping ? "stopping" : worker === undefined ? "starting" : "running",
    };
    post({ kind: "status", status });
  }
}

function hidden(text: string | undefined): string | undefined {
  return text === undefined ? undefined : hideSecretsInText(text);
}
