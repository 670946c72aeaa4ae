import pino from "pino";
import type { Logger } from "../../log.ts";
import type { AttemptOutput, OutputSink } from "../attempt/attempt-output.ts";
import type { FromChild } from "./messages.ts";

/** The shortest interval between progress messages (ms), no matter how often the task reports progress. */
const PROGRESS_INTERVAL_MS = 100;

/** Creates a log whose lines the worker writes to its own log. */
export function forwardingLog(
  level: string,
  send: (line: { level: string; fields: Record<string, unknown>; text: string }) => void,
): Logger {
  return pino(
    { level, base: null, timestamp: false, formatters: { level: (label) => ({ level: label }) } },
    {
      write: (line: string) => {
        const { level, msg, ...fields } = JSON.parse(line) as { level: string; msg?: string; [field: string]: unknown };
        send({ level, fields, text: msg ?? "" });
      },
    },
  );
}

/** Sends the output of a child's job to the worker, which stores it with the job. */
export class ForwardedOutput implements OutputSink {
  readonly #run: number;
  readonly #send: (message: FromChild) => void;
  #reported: AttemptOutput | undefined;
  #sentAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(run: number, send: (message: FromChild) => void) {
    this.#run = run;
    this.#send = send;
  }

  keep(_attempt: AttemptOutput, json: string): void {
    this.#send({ type: "kept", run: this.#run, json });
  }

  /** Nothing to do: the worker does this when the attempt has ended there. */
  end(): void {}

  report(attempt: AttemptOutput): void {
    this.#reported = attempt;
    // Send immediately if possible, because timers do not run while a CPU-bound task blocks the event loop.
    const wait = this.#sentAt + PROGRESS_INTERVAL_MS - performance.now();
    if (wait <= 0) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), wait);
  }

  /** Sends the last reported progress, unless it has already been sent. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#reported === undefined) return;
    const { percent, message } = JSON.parse(this.#reported.describeProgress()) as {
      percent: number | null;
      message: string | null;
    };
    this.#reported = undefined;
    this.#sentAt = performance.now();
    this.#send({ type: "progress", run: this.#run, percent, message });
  }
}
