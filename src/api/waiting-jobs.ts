import type { z } from "zod";
import type { Pool, Queryable } from "../db/pool.ts";
import { fromDatabaseError } from "../db/translate-error.ts";
import { jobOf, type NamedTask, type Task } from "../jobs/define-task.ts";
import { enqueue, type EnqueueOptions } from "../jobs/enqueue.ts";
import { throughEnqueue } from "../jobs/enqueue-middleware.ts";
import { awaitResult, parseTimeout, type ResultOptions } from "../jobs/job-result.ts";
import type { ResultWaits } from "../jobs/result-waits.ts";
import type { Middleware } from "../jobs/middleware.ts";
import type { Stored } from "../jobs/step-context.ts";
import type { PayloadOf, ResultOf, TaskName, WithPayload } from "../jobs/task-registry.ts";
import { type Jobs, jobsOn } from "./jobs.ts";

/**
 * How many jobs `enqueueAndWait` enqueues at a time. The rest of the pool's connections stay free, so thousands of calls do not time out waiting for
 * one.
 */
const ENQUEUED_AT_A_TIME = 3;

/** `legwork.jobs` outside a transaction: also waits for the results of jobs. */
export interface WaitingJobs extends Jobs {
  /**
   * Waits for a job to end, and resolves to its result as recorded in the history: null if it has none, and without redacted values. Returns at once
   * if the job has ended. A job that is retried automatically has not ended.
   *
   * Throws `JobNotCompleted` (LW424) when the job fails, is cancelled or expires, with its state and its last error; `ResultTimeout` (LW504) after
   * `timeout`, 30 seconds by default, while the job continues; LW404 for an unknown job, another tenant's, or one whose transaction has not committed;
   * LW403 for a login that may not read jobs.
   *
   * Thousands of waits share one connection and do not occupy any other.
   *
   * @example
   * const id = await legwork.jobs.enqueue("notify/welcome", { userId: 3 });
   * const result = await legwork.jobs.result(id, { timeout: "1m" });
   */
  result<T = unknown>(id: string, options?: ResultOptions): Promise<T>;
  /**
   * Enqueues a job and waits for its result: `enqueue` followed by `result`, with the options of both. `timeout` counts from when the job was
   * enqueued. With a key that merges the request with an earlier one, this waits for that job. Throws the errors of both; after LW403, nothing was
   * enqueued.
   *
   * @example
   * const result = await legwork.jobs.enqueueAndWait("notify/welcome", { userId: 3 }, { timeout: "10s" });
   */
  readonly enqueueAndWait: EnqueueAndWait;
}

/** The type of `enqueueAndWait`: with a definition or a task registry, payload and result are typed. */
export interface EnqueueAndWait {
  <P extends z.ZodType, R extends z.ZodType>(
    task: NamedTask<P, R>,
    ...rest: WithPayload<z.input<P>, [options?: EnqueueOptions & ResultOptions]>
  ): Promise<Stored<z.output<R>>>;
  <Name extends TaskName>(
    task: Name,
    ...rest: WithPayload<PayloadOf<Name>, [options?: EnqueueOptions & ResultOptions]>
  ): Promise<ResultOf<Name>>;
}

/** Returns the operations on jobs for a pool. All waits for results share one connection. */
export function waitingJobsOn(pool: Pool, waits: ResultWaits, middleware: readonly Middleware[] = []): WaitingJobs {
  const inTurn = limitTo(ENQUEUED_AT_A_TIME);
  let mayRead: Promise<unknown> | undefined;
  const enqueueAndWait: EnqueueAndWait = async (
    target: string | Task,
    given?: unknown,
    { timeout, signal, ...options }: EnqueueOptions & ResultOptions = {},
  ): Promise<unknown> => {
    const job = jobOf(target, given);
    if (timeout !== undefined) parseTimeout(timeout);
    signal?.throwIfAborted();
    // Checked first: otherwise the job would be enqueued although the caller gets an error.
    await (mayRead ??= assertMayRead(pool).catch((error: unknown) => {
      mayRead = undefined;
      throw error;
    }));
    const { task, payload, ...rest } = await throughEnqueue(middleware, { ...options, ...job });
    const id = await inTurn(() => enqueue(pool, task, payload, rest));
    return await awaitResult(waits, id, {
      ...(timeout === undefined ? {} : { timeout }),
      ...(signal === undefined ? {} : { signal }),
    });
  };
  return {
    ...jobsOn(pool, middleware),
    result: async <T>(id: string, options?: ResultOptions) => (await awaitResult(waits, id, options)) as T,
    enqueueAndWait,
  };
}

async function assertMayRead(client: Queryable): Promise<void> {
  try {
    await client.query("select from legwork_private.results_of('{}')");
  } catch (error) {
    throw fromDatabaseError(error);
  }
}

/** Returns a function that runs work, at most `most` calls at a time, in the order of the calls. */
function limitTo(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = most;
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => void waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
