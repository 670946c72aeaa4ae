import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { WorkerFlags } from "../options.ts";
import type { Command, Report } from "./messages.ts";

const CHILD = fileURLToPath(new URL(`./child${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url));

/** How long a process that has been told to stop may take (ms). One that loads an endless loop never receives it. */
const STOP_MS = 3_000;

/**
 * A process that runs jobs with the code as it was when it started. It has loaded Legwork, and waits for `start` to load tasks: so a reload is fast.
 */
export class WorkerProcess {
  readonly #child: ChildProcess;
  /** Resolves with its exit code, or the signal that has ended it. */
  readonly ended: Promise<number | string>;

  constructor(environment: NodeJS.ProcessEnv) {
    this.#child = fork(CHILD, [], { env: environment, serialization: "advanced" });
    this.ended = new Promise((resolve) => this.#child.once("exit", (code, signal) => resolve(code ?? signal ?? 0)));
    // A message to a process that is just ending fails; `ended` tells.
    this.#child.on("error", () => undefined);
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Loads the tasks and connects to the database. Resolves when it can take jobs, or cannot; with undefined if it ended before that. */
  async start(flags: WorkerFlags): Promise<Report | undefined> {
    const reported = new Promise<Report>((resolve) => this.#child.once("message", (report) => resolve(report as Report)));
    this.tell({ type: "start", flags });
    return await Promise.race([reported, this.ended.then(() => undefined)]);
  }

  tell(command: Command): void {
    if (this.#child.connected) this.#child.send(command, () => undefined);
  }

  /** Ends it soon. Its unfinished jobs return to the queue. */
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
