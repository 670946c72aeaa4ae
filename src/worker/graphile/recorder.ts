import { toError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { Statement } from "./fetch-statement.ts";
import { jobFields } from "../worker-log.ts";
import { type Fault, type Form, sendBatch } from "./send-batch.ts";

/** How many jobs whose own rows are rejected may wait before fetching stops. */
const REFUSED_LIMIT = 1_000;

/** How often a recording problem is logged (ms). */
const TELL_INTERVAL_MS = 60_000;

/** The same limit if nothing else has been recorded since the first rejection. */
const SUSPICIOUS_LIMIT = 5;

/** Sends a statement over one connection, or over any connection of a pool. */
export type Query = (statement: Statement) => Promise<unknown>;

/** Converts outcomes of jobs to statements. */
export interface Recording<T> {
  readonly jobId: (item: T) => string;
  /** Builds the statement that records items; `error` is the reason if they are not sent in the form `whole`. */
  readonly build: (items: readonly T[], form: Form, error: Error | undefined) => Statement;
  /** Called when items have been recorded and no longer need to be kept. `answer` is the statement's result (undefined in the form `failed`). */
  readonly recorded: (items: readonly T[], answer: { readonly rowCount?: number | null } | undefined) => void;
}

export interface RecorderOptions {
  readonly onPool: Query;
  readonly log: Logger;
  /** Ends the wait for a failing database. */
  readonly signal: AbortSignal;
  /**
   * Called when outcomes cannot be recorded, and once a minute until they can be; with a job id if only that job's row is rejected. Called without
   * arguments when the problem is resolved.
   */
  readonly onProblem?: ((problem?: string, jobId?: string) => void) | undefined;
}

/**
 * Records the outcomes of a worker's jobs. As long as the database accepts them, each statement is sent once, on graphile-worker's connection. If the
 * database rejects a statement, the caller's promise resolves and its connection is released, and the recorder retries on its own. Otherwise,
 * graphile-worker would give up the batch and stop the worker. Meanwhile, `fault` has the reason, and nothing should be fetched.
 */
export class Recorder {
  readonly #onPool: Query;
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  readonly #onProblem: RecorderOptions["onProblem"];
  #toldAt = Number.NEGATIVE_INFINITY;
  /** The faults of the batches that are waiting. */
  readonly #waiting = new Map<object, { readonly fault: Fault; readonly accepted: number }>();
  readonly #handedOver = new Set<Promise<void>>();
  /** The number of statements that the database has accepted. */
  #accepted = 0;

  constructor({ onPool, log, signal, onProblem }: RecorderOptions) {
    this.#onPool = onPool;
    this.#log = log;
    this.#signal = signal;
    this.#onProblem = onProblem;
  }

  /**
   * Why no more jobs should be fetched: their outcomes could not be recorded. Undefined if there is no problem, or if the only outcomes that wait
   * belong to a few jobs whose own rows are rejected.
   */
  get fault(): Error | undefined {
    const waiting = [...this.#waiting.values()];
    const [first] = waiting;
    if (first === undefined) return undefined;
    const ofSystem = waiting.find(({ fault }) => fault.isOfSystem);
    if (ofSystem !== undefined) return ofSystem.fault.error;
    const jobs = waiting.reduce((sum, { fault }) => sum + fault.jobs, 0);
    // If several rows were rejected one by one, and nothing has been accepted since the first of them, the rows are not the cause.
    const limit = first.accepted === this.#accepted ? SUSPICIOUS_LIMIT : REFUSED_LIMIT;
    return jobs > limit ? first.fault.error : undefined;
  }

  /** Resolves when all batches have been recorded, or have been abandoned because the signal aborted. */
  async settled(): Promise<void> {
    while (this.#handedOver.size > 0) await Promise.all(this.#handedOver);
  }

  /**
   * Resolves when the items have been recorded, or when the recorder has taken them over. Returns the result of the last statement, which is not
   * used.
   */
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
          { event: "outcomes_lost", err: toError(error), ...jobFields(items.map(jobId)) },
          "The outcomes of these jobs were not recorded; the jobs will run again.",
        );
      }
      this.#handedOver.delete(done);
      if (this.#waiting.delete(key) && this.#waiting.size === 0 && !this.#signal.aborted) {
        this.#toldAt = Number.NEGATIVE_INFINITY;
        this.#onProblem?.();
        this.#log.info({ event: "recording_resumed" }, "Outcomes of jobs are being recorded again.");
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
    const message = `Cannot record the outcomes of jobs; retrying: ${fault.error.message}.`;
    this.#log.error({ event: "recording_failed", err: fault.error, jobs: fault.jobs, jobId }, message);
    this.#onProblem?.(message, fault.isOfSystem ? undefined : jobId);
  }
}

/**
 * The maximum number of completion statements that are merged into one. They have about ten jobs each, and Postgres accepts at most about a thousand
 * results of the largest size in one value.
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
 * Sends one completion statement at a time, and merges those that arrive in the meantime. graphile-worker sends a batch every millisecond, no matter
 * how long the previous one takes, and a statement that completes thirty jobs costs the database almost as much as one that completes three hundred.
 * If no statement is in progress, the next one is sent immediately.
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

/** Changes a statement that completes one or more jobs so that it completes the given jobs. */
export function forMany(statement: Statement, ids: readonly string[]): Statement {
  const [only] = ids;
  if (ids.length === 1 && statement.name.startsWith("complete_job/")) return { ...statement, values: [only] };
  return {
    name: statement.name.replace("complete_job/", "complete_jobs/"),
    text: statement.text.replace(/where id = \$1::bigint\s*$/, "where id = any($1::bigint[])"),
    values: [ids, ...statement.values.slice(1)],
  };
}
