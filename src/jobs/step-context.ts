import type { Duration } from "../duration.ts";
import type { EnqueueOptions } from "./enqueue.ts";
import type { PoolClient } from "../db/pool.ts";
import type { SqlTag } from "../db/sql.ts";

/** A value after a round trip through JSON: a Date is text, and undefined fields are missing. */
export type Stored<T> = unknown extends T
  ? T
  : T extends string | number | boolean | null | undefined
    ? T
    : T extends { toJSON(): infer J }
      ? Stored<J>
      : T extends (...parameters: never[]) => unknown
        ? undefined
        : T extends object
          ? { [K in keyof T]: Stored<T[K]> }
          : never;

/**
 * Options of a job that a step invokes. A job key is not possible, because another request with that key could replace the job, and the step would
 * wait for the replacement.
 */
export type InvokeOptions = Pick<EnqueueOptions, "priority" | "runAt" | "serialKey" | "maxAttempts" | "expiresAt">;

/**
 * The durable steps of a task, which later attempts do not repeat. Each step is identified by its name, which must be used only once in an attempt;
 * the order of steps does not matter. Using a name twice throws a StepError and fails the job immediately.
 *
 * An attempt does not end before its steps have ended, even those that it has not awaited.
 */
export interface OwnSteps {
  /**
   * Runs `work` unless an earlier attempt has completed it, and returns its result as JSON stores it (`Stored`): the same value in either
   * case. An error from `work` is rethrown, and nothing is stored.
   *
   * `work` runs at least once: if a worker dies after `work` has ended and before its result is recorded, the step runs again. A
   * result over 256 KB, or one that is not valid JSON, throws a StepError and fails the job immediately.
   */
  run<T>(name: string, work: () => Promise<T> | T): Promise<Stored<T>>;
  /**
   * Like `run`, but records the result in the transaction in which `work` changes the database: either both are committed or neither is, so the
   * changes are made exactly once.
   */
  transaction<T>(name: string, work: (sql: SqlTag, client: PoolClient) => Promise<T>): Promise<Stored<T>>;
  /**
   * Waits for a signal to this job, sent with `legwork.send_signal`, `sendSignal` or `legwork signal`. Returns the signal's payload; null if it has
   * none. A signal that was sent before the wait is received immediately.
   *
   * While the job waits, it occupies no worker and no slot of a limit: this call throws, the attempt ends without being counted, and the job starts
   * again from the top when the signal arrives or the timeout expires. So any code before the wait must be in steps or be idempotent. Do not swallow
   * the error that this throws; an attempt that catches it has ended anyway.
   *
   * @param options.timeout How long to wait, counted from when the job first waited; unlimited by default. When it expires, this throws a
   * SignalTimeout.
   */
  waitFor<T = unknown>(signal: string, options?: { timeout?: Duration }): Promise<T>;
  /**
   * Waits for several steps at the same time. Pass the promises of the steps, as an array or an object; the results have the same form. Like
   * `Promise.all`, but the job is suspended only once, and starts again when all steps have ended or one has failed; with `Promise.all`, it starts
   * again after each step. Throws the error of the step that failed; the others continue.
   */
  all<T extends readonly unknown[] | []>(steps: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }>;
  all<T extends Readonly<Record<string, unknown>>>(steps: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }>;
  /** Waits for a duration, counted from the first time that the job reaches this step. Like `waitFor`, this occupies no worker. */
  sleep(name: string, duration: Duration): Promise<void>;
}
