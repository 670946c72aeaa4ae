import { toError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { Statement } from "./fetch-statement.ts";
import { type Fault, type Form, sendBatch } from "./send-batch.ts";

/** As many jobs may wait because their own rows are refused, before no more are fetched. */
const REFUSED_LIMIT = 1_000;

/** How often it is said that the ends of jobs cannot be recorded (ms). */
const TELL_INTERVAL_MS = 60_000;

/** As many when nothing else was recorded since. */
const SUSPICIOUS_LIMIT = 5;

/** Sends a statement over one connection, or over any of a pool. */
export type Query = (statement: Statement) => Promise<unknown>;

/** What jobs came to, as statements. */
export interface Recording<T> {
  readonly jobId: (item: T) => string;
  /** The statement that records these; `error` is why they do not go in their whole form. */
  readonly build: (items: readonly T[], form: Form, error: Error | undefined) => Statement;
  /** These have been recorded, with that answer (undefined in their last form): what is known of them need not be kept. */
  readonly recorded: (items: readonly T[], answer: { readonly rowCount?: number | null } | undefined) => void;
}

export interface RecorderOptions {
  readonly onPool: Query;
  readonly log: Logger;
  /** Ends the waiting for a database that takes nothing. */
  readonly signal: AbortSignal;
  /** Called when the ends of jobs cannot be recorded, and once a minute while that lasts, with a job if only its row is refused; without arguments when all is well again. */
  readonly onProblem?: ((problem?: string, jobId?: string) => void) | undefined;
}

/**
 * Records what a worker's jobs came to. While the database takes it, each statement is one call on the connection that graphile-worker gives.
 * When it does not, the caller is told that all is well and gets its connection back, and the recorder goes on by itself: else
 * graphile-worker would take the batch for lost and end the worker. Meanwhile `fault` says why, and nothing should be fetched.
 */
export class Recorder {
  readonly #onPool: Query;
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  readonly #onProblem: RecorderOptions["onProblem"];
  #toldAt = Number.NEGATIVE_INFINITY;
  /** What batches that wait are waiting for. */
  readonly #waiting = new Map<object, { readonly fault: Fault; readonly accepted: number }>();
  readonly #handedOver = new Set<Promise<void>>();
  /** Statements that the database has taken. */
  #accepted = 0;

  constructor({ onPool, log, signal, onProblem }: RecorderOptions) {
    this.#onPool = onPool;
    this.#log = log;
    this.#signal = signal;
    this.#onProblem = onProblem;
  }

  /**
   * Why no more jobs should be fetched: what they come to could not be recorded. Undefined while all is well, and while a few jobs wait whose own rows
   * are refused.
   */
  get fault(): Error | undefined {
    const waiting = [...this.#waiting.values()];
    const [first] = waiting;
    if (first === undefined) return undefined;
    const ofSystem = waiting.find(({ fault }) => fault.isOfSystem);
    if (ofSystem !== undefined) return ofSystem.fault.error;
    const jobs = waiting.reduce((sum, { fault }) => sum + fault.jobs, 0);
    // Several refused one by one, and nothing taken since the first of them: it is not their rows.
    const limit = first.accepted === this.#accepted ? SUSPICIOUS_LIMIT : REFUSED_LIMIT;
    return jobs > limit ? first.fault.error : undefined;
  }

  /** Resolves once all that was handed over has been recorded, or given up after the signal. */
  async settled(): Promise<void> {
    while (this.#handedOver.size > 0) await Promise.all(this.#handedOver);
  }

  /** Resolves when the items are recorded, or when they have been handed over; to the answer of the last statement, which nothing reads. */
  async record<T>(recording: Recording<T>, items: readonly T[], query: Query): Promise<unknown> {
    const { build, recorded, jobId } = recording;
    const key = {};
    let send = query;
    let answer: unknown = { rows: [], rowCount: items.length };
    const handOver = Promise.withResolvers<void>();
    const work = async (): Promise<void> => {
      try {
        await sendBatch({
          items,
          jobId,
          accepted: () => this.#accepted,
          log: this.#log,
          signal: this.#signal,
          send: async (some, form, error) => {
            answer = await send(build(some, form, error));
            this.#accepted += 1;
            recorded(some, form === "failed" ? undefined : (answer as { rowCount?: number }));
          },
          onFault: (fault) => {
            send = this.#onPool;
            this.#wait(key, fault, items[0] === undefined ? undefined : jobId(items[0]));
            handOver.resolve();
          },
        });
      } catch (error) {
        this.#log.warn(
          { err: toError(error), jobIds: items.map(jobId) },
          "The end of these jobs was not recorded; they will run again.",
        );
      }
      this.#handedOver.delete(done);
      if (this.#waiting.delete(key) && this.#waiting.size === 0 && !this.#signal.aborted) {
        this.#toldAt = Number.NEGATIVE_INFINITY;
        this.#onProblem?.();
        this.#log.info({ event: "recording_resumed" }, "The database records the ends of jobs again.");
      }
    };
    const done = work();
    this.#handedOver.add(done);
    await Promise.race([done, handOver.promise]);
    return answer;
  }

  #wait(key: object, fault: Fault, jobId: string | undefined): void {
    const accepted = this.#waiting.get(key)?.accepted ?? this.#accepted;
    this.#waiting.set(key, { fault, accepted });
    if (performance.now() - this.#toldAt < TELL_INTERVAL_MS) return;
    this.#toldAt = performance.now();
    const message = `The database does not record the ends of jobs, which is tried again: ${fault.error.message}.`;
    this.#log.error({ event: "recording_failed", err: fault.error, jobs: fault.jobs, jobId }, message);
    this.#onProblem?.(message, fault.isOfSystem ? undefined : jobId);
  }
}

/**
 * As many completing statements become one. They have some ten jobs each; a thousand results of the largest size are what Postgres takes in
 * one value.
 */
const STATEMENTS_AT_ONCE = 1000;

interface WaitingCompletion {
  readonly statement: Statement;
  readonly ids: readonly string[];
  readonly query: Query;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Sends one completing statement at a time; those that come meanwhile become one. graphile-worker sends a batch every millisecond,
 * however long the last one takes, and a statement that ends thirty jobs costs the database almost what one for three hundred does. An
 * idle worker waits for nothing.
 */
export class Completions {
  readonly #record: (statement: Statement, ids: readonly string[], query: Query) => Promise<unknown>;
  #waiting: WaitingCompletion[] = [];
  #isSending = false;

  constructor(record: (statement: Statement, ids: readonly string[], query: Query) => Promise<unknown>) {
    this.#record = record;
  }

  async send(statement: Statement, ids: readonly string[], query: Query): Promise<unknown> {
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ statement, ids, query, resolve, reject });
      if (!this.#isSending) void this.#sendAll();
    });
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    for (let batch = this.#waiting; batch[0] !== undefined; batch = this.#waiting) {
      this.#waiting = batch.splice(STATEMENTS_AT_ONCE);
      const [first] = batch;
      try {
        const result = await this.#record(
          first.statement,
          batch.flatMap(({ ids }) => ids),
          first.query,
        );
        for (const { resolve } of batch) resolve(result);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isSending = false;
  }
}

/** The statement that completes one job, or some, as the one that completes these. */
export function forMany(statement: Statement, ids: readonly string[]): Statement {
  const [only] = ids;
  if (ids.length === 1 && statement.name.startsWith("complete_job/")) return { ...statement, values: [only] };
  return {
    name: statement.name.replace("complete_job/", "complete_jobs/"),
    text: statement.text.replace(/where id = \$1::bigint\s*$/, "where id = any($1::bigint[])"),
    values: [ids, ...statement.values.slice(1)],
  };
}
