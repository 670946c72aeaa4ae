import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { WorkerFlags } from "../options.ts";
import type { Command, Report } from "./messages.ts";

const CHILD = fileURLToPath(new URL(`./child${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url));

/** How long a process may take to stop before it is killed (ms). A process in an endless loop never receives the message. */
const STOP_MS = 3_000;

/**
 * A process that runs jobs with the code as it was on `start`. It loads Legwork right away but tasks only on `start`, which makes a reload fast.
 */
export class WorkerProcess {
  readonly #child: ChildProcess;
  /** Resolves with its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;

  constructor(environment: NodeJS.ProcessEnv) {
    this.#child = fork(CHILD, [], { env: environment, serialization: "advanced" });
    this.ended = new Promise((resolve) => this.#child.once("exit", (code, signal) => resolve(code ?? signal ?? 0)));
    // Sending a message to a process that is ending fails. Ignore it: `ended` reports the end.
    this.#child.on("error", () => undefined);
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Loads the tasks and connects to the database. Resolves with its report; undefined if it ended before reporting. */
  async start(flags: WorkerFlags): Promise<Report | undefined> {
    const reported = new Promise<Report>((resolve) => this.#child.once("message", (report) => resolve(report as Report)));
    this.tell({ type: "start", flags });
    return await Promise.race([reported, this.ended.then(() => undefined)]);
  }

  tell(command: Command): void {
    if (this.#child.connected) this.#child.send(command, () => undefined);
  }

  /** Stops it, and kills it if it takes too long. Its unfinished jobs return to the queue. */
  async stop(): Promise<void> {
    this.tell({ type: "stop" });
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS);
    await this.ended;
    clearTimeout(timer);
  }

  /** Ends a process that has not been started. */
  discard(): void {
    this.#child.kill("SIGKILL");
  }
}
