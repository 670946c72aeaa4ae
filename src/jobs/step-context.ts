import type { Duration } from "../duration.ts";
import type { PoolClient } from "../db/pool.ts";
import type { SqlTag } from "../db/sql.ts";

/** A value as it comes back from JSON: a Date as a text, what is undefined left out. */
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
 * The parts of a task that its later attempts do not do again. Each is known by its name, which is used once in an attempt; in which
 * order they come does not matter. A StepError says that a name was used twice, and fails the job at once.
 *
 * An attempt does not end before its steps have, also those that it has not awaited.
 */
export interface StepContext {
  /**
   * Does `work` unless an earlier attempt has, and resolves to what it returned, as JSON holds it (`Stored`): the same value, whether it was done
   * now or earlier. What it throws is thrown, and nothing is kept.
   *
   * It is done at least once: a worker that dies between the end of `work` and its recording leaves a step that is done again. A
   * result over 256 KB, or one that is no JSON, fails the job at once with a StepError.
   */
  run<T>(name: string, work: () => Promise<T> | T): Promise<Stored<T>>;
  /**
   * As `run`, in one transaction with what `work` does in the database: either both are there or none, so that it is done exactly once.
   */
  transaction<T>(name: string, work: (sql: SqlTag, client: PoolClient) => Promise<T>): Promise<Stored<T>>;
  /**
   * Waits for a signal that somebody sends to this job: `legwork.send_signal`, `sendSignal`, `legwork signal`. Resolves to its payload, null when it has none. One that was sent
   * before is there at once.
   *
   * While it is not there, the job holds no worker and no slot of a limit: this throws, the attempt ends without counting, and the job starts again
   * from the top when the signal comes or the timeout is over. So what stands before it must be steps too, or must bear to be done again. Let what it throws
   * pass; an attempt that catches it has ended all the same.
   *
   * @param options.timeout How long, from when it first waited; for ever by default. Then it throws a SignalTimeout.
   */
  waitFor<T = unknown>(signal: string, options?: { timeout?: Duration }): Promise<T>;
  /** Goes on after that time, counted from when it first came here, as `waitFor` does with a signal. */
  sleep(name: string, duration: Duration): Promise<void>;
}
