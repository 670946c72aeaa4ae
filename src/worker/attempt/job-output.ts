import type { Pool } from "../../db/pool.ts";
import { toError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { AttemptOutput, OutputSink } from "./attempt-output.ts";
import { HEAD_LINES, TAIL_LINES } from "./log-tail.ts";

/** How long output is buffered (ms): short enough for a user who is watching the job, and long enough to send many lines in one statement. */
const FLUSH_AFTER_MS = 250;

/** The longest wait between retries while the database fails (ms). */
const MAX_RETRY_DELAY_MS = 10_000;

/** The number of lines sent in one statement. */
const BATCH = 1_000;

/** The maximum number of lines, and of characters, that are buffered. */
export const BUFFERED_LINES = 10_000;
const BUFFERED_CHARACTERS = 16_000_000;

/** SQLSTATE classes of errors that retrying cannot fix, because one of the lines in the statement cannot be stored. */
const HOPELESS = /^(21|22|23|54)/;

interface Line {
  readonly attempt: AttemptOutput;
  readonly json: string;
}

/**
 * Sends the progress and the log lines of all jobs that a worker runs to the database: one statement for all jobs, a quarter of a second after the
 * first new line, and none while there is no output. Failed statements are retried. If an attempt has very many lines, only the first and the last
 * ones are stored. When the buffer is full, the oldest lines are dropped, and a line reports how many. If the worker is killed, the output of the
 * last quarter of a second is lost.
 */
export class JobOutput implements OutputSink {
  readonly #pool: Pool;
  readonly #log: Logger;
  #lines: Line[] = [];
  #characters = 0;
  /** Keyed by job, because one statement may cover two attempts of the same job. */
  #progress = new Map<string, AttemptOutput>();
  /**
   * The attempts that have more lines than can be stored. `#tails` are those with lines to send, and `#trims` those whose stored lines must be
   * trimmed.
   */
  readonly #tails = new Set<AttemptOutput>();
  readonly #trims = new Set<AttemptOutput>();
  /** The number of dropped lines, by attempt. */
  #losses = new Map<AttemptOutput, number>();
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #retryDelay = 0;
  #stopped = false;

  constructor(options: { pool: Pool; log: Logger }) {
    this.#pool = options.pool;
    this.#log = options.log;
  }

  keep(attempt: AttemptOutput, json: string): void {
    if (this.#stopped) return;
    if (attempt.tail.count()) this.#push(attempt, json);
    else {
      attempt.tail.add(json);
      this.#tails.add(attempt);
    }
    this.#schedule();
  }

  end(attempt: AttemptOutput): void {
    attempt.tail.end();
    if (this.#tails.has(attempt)) this.#schedule();
  }

  report(attempt: AttemptOutput): void {
    if (this.#stopped) return;
    this.#progress.set(attempt.job.id, attempt);
    this.#schedule();
  }

  /** Sends the buffer once and accepts no more output. Resolves even if sending fails. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#sending;
    for (const { tail } of this.#tails) tail.end();
    await this.#send();
    if (this.#lines.length > 0)
      this.#log.error({ event: "output_lost", lines: this.#lines.length }, "Could not store the last log lines of some jobs.");
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#sending !== undefined || this.#stopped) return;
    const isWaiting = this.#lines.length === 0 && this.#progress.size === 0 && this.#trims.size === 0;
    const wait = isWaiting ? Math.min(...[...this.#tails].map(({ tail }) => tail.wait)) : 0;
    const delay = Math.max(FLUSH_AFTER_MS, this.#retryDelay, wait);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#sending = this.#send().finally(() => {
        this.#sending = undefined;
        if (this.#lines.length > 0 || this.#progress.size > 0 || this.#trims.size > 0 || this.#tails.size > 0) this.#schedule();
      });
    }, delay).unref();
  }

  /** Sends batches until nothing is left or one fails; never rejects. */
  async #send(): Promise<void> {
    this.#takeTails();
    while (this.#lines.length > 0 || this.#progress.size > 0 || this.#trims.size > 0) {
      const lines = this.#lines.splice(0, BATCH);
      for (const { json } of lines) this.#characters -= json.length;
      const progress = this.#progress;
      this.#progress = new Map();
      const losses = this.#losses;
      this.#losses = new Map();
      try {
        const marks = [...losses].map(([attempt, count]) => ({ attempt, json: attempt.describeLoss(count) }));
        await this.#record([...progress.values()], [...marks, ...lines]);
        if (this.#lines.length === 0) await this.#trim();
        this.#retryDelay = 0;
      } catch (thrown) {
        const error = toError(thrown);
        if (this.#retryDelay === 0)
          this.#log.warn({ event: "output_delayed", err: error }, "Cannot store the output of jobs; retrying.");
        this.#retryDelay = Math.min(Math.max(this.#retryDelay * 2, FLUSH_AFTER_MS), MAX_RETRY_DELAY_MS);
        this.#putBack(lines, progress);
        for (const [attempt, count] of losses) this.#lose(attempt, count);
        return;
      }
    }
  }

  /**
   * Stores progress and lines in one statement. If the database rejects their content, each half is stored separately, down to the single report or
   * line that is at fault. Only that report or line is lost. Throws all other errors.
   */
  async #record(reports: readonly AttemptOutput[], lines: readonly Line[]): Promise<void> {
    if (reports.length + lines.length === 0) return;
    try {
      await this.#pool.query("select legwork_private.record_output($1, $2)", [
        `[${reports.map((attempt) => attempt.describeProgress()).join(",")}]`,
        `[${lines.map(({ json }) => json).join(",")}]`,
      ]);
    } catch (thrown) {
      const error = toError(thrown) as Error & { code?: string };
      if (!HOPELESS.test(error.code ?? "")) throw error;
      if (reports.length > 0 && lines.length > 0) {
        await this.#record(reports, []);
        await this.#record([], lines);
      } else if (reports.length + lines.length > 1) {
        const [half, middle] = [Math.ceil(reports.length / 2), Math.ceil(lines.length / 2)];
        await this.#record(reports.slice(0, half), lines.slice(0, middle));
        await this.#record(reports.slice(half), lines.slice(middle));
      } else {
        const { job } = reports[0] ?? lines[0]?.attempt ?? {};
        for (const { attempt } of lines) this.#lose(attempt, 1);
        this.#log.error(
          { event: "output_rejected", err: error, jobId: job?.id },
          "The database rejected a job's output, so it is not stored.",
        );
      }
    }
  }

  /** Queues the last lines of attempts that have too many lines, if they are due to be sent. */
  #takeTails(): void {
    for (const attempt of this.#tails) {
      if (attempt.tail.wait > 0) continue;
      this.#tails.delete(attempt);
      this.#trims.add(attempt);
      for (const json of attempt.tail.take()) this.#push(attempt, json);
    }
  }

  /** Deletes the stored lines of these attempts between the first and the last ones. Running it again is harmless. */
  async #trim(): Promise<void> {
    if (this.#trims.size === 0) return;
    const trims = [...this.#trims];
    const what = trims.map(({ job, tail }) => ({ job_id: job.id, attempt: job.attempts, missing: tail.missing }));
    await this.#pool.query("select legwork_private.trim_logs($1, $2, $3)", [JSON.stringify(what), HEAD_LINES, TAIL_LINES]);
    for (const attempt of trims) this.#trims.delete(attempt);
  }

  #push(attempt: AttemptOutput, json: string): void {
    this.#lines.push({ attempt, json });
    this.#characters += json.length;
    if (this.#lines.length > BUFFERED_LINES || this.#characters > BUFFERED_CHARACTERS) this.#dropOldest();
  }

  #putBack(lines: Line[], progress: Map<string, AttemptOutput>): void {
    this.#lines = [...lines, ...this.#lines];
    for (const { json } of lines) this.#characters += json.length;
    this.#progress = new Map([...progress, ...this.#progress]);
  }

  /** Drops a tenth of the lines at a time, because moving the remaining lines costs the same no matter how many are dropped. */
  #dropOldest(): void {
    const dropped = this.#lines.splice(0, Math.ceil(this.#lines.length / 10));
    for (const { attempt, json } of dropped) {
      this.#characters -= json.length;
      this.#lose(attempt, 1);
    }
  }

  #lose(attempt: AttemptOutput, count: number): void {
    this.#losses.set(attempt, (this.#losses.get(attempt) ?? 0) + count);
  }
}
