import pino from "pino";
import type { Logger } from "../../log.ts";
import type { AttemptOutput, OutputSink } from "../attempt/attempt-output.ts";
import type { FromChild } from "./messages.ts";

/** How often the progress of a job is sent (ms), however often its task reports it. */
const PROGRESS_INTERVAL_MS = 100;

/** A log whose lines are written by the worker, in its own log. */
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

/** Sends what the job of a child says to its worker, which keeps it with the job. */
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

  report(attempt: AttemptOutput): void {
    this.#reported = attempt;
    // At once if it can be: a task that computes lets no timer run.
    const wait = this.#sentAt + PROGRESS_INTERVAL_MS - performance.now();
    if (wait <= 0) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), wait);
  }

  /** Sends what was reported last, unless it has been sent. */
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
