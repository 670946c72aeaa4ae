import { z } from "zod";
import { toQueryable, type TransactionClient } from "../db/transaction-client.ts";
import type { Sql } from "../db/sql.ts";
import { LegworkError } from "../errors.ts";
import { toJson } from "../json.ts";
import type { Logger } from "../log.ts";
import type { Duration } from "../duration.ts";
import { enqueue, type EnqueueOptions } from "./enqueue.ts";
import { parsePayload } from "./payload.ts";
import { installedMiddleware, throughEnqueue } from "./enqueue-middleware.ts";
import type { RunningJob } from "./running-job.ts";
import type { InvokeOptions, OwnSteps, Stored } from "./step-context.ts";
import type { TaskValues } from "./task-values.ts";
import {
  type ConcurrencyLimit,
  concurrencySchema,
  positiveDurationSchema,
  type RateLimit,
  rateLimitSchema,
  type RetryPolicy,
  retrySchema,
} from "./task-policy.ts";
import type { TaskName, WithPayload } from "./task-registry.ts";

/** The progress of a job. */
export interface Progress {
  /** The percentage that is done, from 0 to 100. */
  percent?: number;
  /** What the job is doing; at most 4,000 characters. */
  message?: string;
}

/** The workflow that a job belongs to. */
export interface WorkflowContext {
  readonly id: string;
  /** The name of the workflow step, preceded by the names of the sub-workflows that contain it: `import/users`. */
  readonly step: string;
  /** Whether the job is the step's compensation. */
  readonly compensates: boolean;
  /**
   * Returns the results of the workflow steps that have completed so far, by name. They are read once per attempt, in one query. All steps that this
   * one depends on have ended. The result of a step that was allowed to fail, or that returned nothing, is null or missing.
   */
  readonly results: () => Promise<Readonly<Record<string, unknown>>>;
}

/** What a task receives in addition to its payload. */
export interface TaskContext {
  readonly job: RunningJob;
  /** Runs statements on the worker's pool. Jobs that they enqueue carry this job's correlation id. */
  readonly sql: Sql;
  /**
   * The worker's log, with the job's id, task and correlation id on every line. Lines of level info and above are also stored with the job
   * (`legwork.logs`), regardless of the process's log level: the first 200 and the last 800 lines of each attempt.
   */
  readonly log: Logger;
  /**
   * Reports the job's progress: a percentage, a message, or both; an omitted part keeps its value. The progress is visible within a second and is
   * stored with the job. Frequent calls cost nothing. Throws LW400 for a percentage that is not between 0 and 100.
   */
  readonly progress: {
    (percent: number, message?: string): void;
    (progress: Progress): void;
  };
  /**
   * Aborts when the task's timeout expires, when its job is cancelled, when this worker may have been declared dead, and when the worker is stopping
   * and the job has not finished in time. The signal's reason says which of these happened. Long-running tasks should check the signal.
   */
  readonly signal: AbortSignal;
  /**
   * Enqueues a job with this job's correlation id and tenant, and this job as its parent. The job is enqueued immediately, even if this attempt fails
   * later; to enqueue within a transaction, pass its client. Identify the task by its name, or by its definition if that contains the name.
   */
  readonly enqueue: EnqueueInTask;
  /** Durable steps, which later attempts do not repeat, and waits for signals and times that do not occupy a worker. */
  readonly step: StepContext;
  /** The workflow that the job belongs to; undefined for all other jobs. */
  readonly workflow: WorkflowContext | undefined;
  /** The id of the batch, if the job is a batch's callback; undefined for all other jobs. */
  readonly batchId: string | undefined;
  /** The values that the worker's middleware has added; see docs/guides/hooks.md. Empty without middleware. */
  readonly values: TaskValues;
}

/**
 * If the task is given by name, the registry checks only the name and not the payload: to determine the type of one task, the compiler would need the
 * types of all tasks, which would be circular. If it is given as a definition, the payload is checked too.
 */
interface EnqueueInTask {
  <P extends z.ZodType, R extends z.ZodType>(
    task: NamedTask<P, R>,
    ...rest: WithPayload<z.input<P>, [options?: EnqueueOptions, client?: TransactionClient]>
  ): Promise<string>;
  (task: TaskName, payload?: unknown, options?: EnqueueOptions, client?: TransactionClient): Promise<string>;
}

/** The durable steps of a task, including jobs that it invokes. */
export interface StepContext extends OwnSteps {
  /**
   * Enqueues a job and returns its result as stored in the history, without redacted values; null if it has no result. Exactly one job is enqueued,
   * even if workers crash. It gets this job's tenant and correlation id, and this job as its parent. Until the invoked job has ended, this job waits
   * as in `waitFor`: it occupies no worker and no slot, and starts again from the top when the invoked job has ended, regardless of its state.
   *
   * Throws a StepError (LW424), whose cause is a `JobNotCompleted`, when the invoked job fails, is cancelled or expires: in this attempt and in later
   * ones. Unless the task catches the error, this job fails immediately. If this job is then retried manually, the step enqueues another job, unless
   * the failed one was itself retried. When this job is cancelled, the jobs that it waits for are cancelled too.
   */
  invoke<P extends z.ZodType, R extends z.ZodType>(
    name: string,
    task: NamedTask<P, R>,
    ...rest: WithPayload<z.input<P>, [options?: InvokeOptions]>
  ): Promise<Stored<z.output<R>>>;
  invoke<T = unknown>(name: string, task: TaskName, payload?: unknown, options?: InvokeOptions): Promise<T>;
}

export interface TaskDefinition<P extends z.ZodType, R extends z.ZodType> {
  /**
   * The task's name, which lets you enqueue it without repeating the name: `welcome.enqueue(client, payload)`. It must be the path of its file below
   * the tasks directory, without the extension; otherwise workers refuse to load it (LW515).
   */
  name?: string;
  /** What the task does, in one sentence; shown next to the task in every interface. */
  description?: string;
  /** The payload's schema. A payload that does not match fails its job immediately with an error that names the field; the job is never retried. */
  payload?: P;
  /** The result's schema. A result that does not match fails the attempt. */
  result?: R;
  /** The queue that the task belongs to; `default` by default. */
  queue?: string;
  /** When a failed attempt is retried. The default is the queue's policy, or graphile-worker's if the queue has none. */
  retry?: RetryPolicy;
  /**
   * How long an attempt may take. After this time, its signal aborts, and after `grace` the attempt fails with a TimeoutError, whether or not the
   * task has ended; a result that it returns later is ignored. No limit by default.
   */
  timeout?: Duration;
  /**
   * How long a task may continue after its timeout or its cancellation, to clean up; 5 seconds by default. After that, an isolated task is
   * terminated.
   */
  grace?: Duration;
  /**
   * Where the task runs: in the worker itself by default, or in a `thread` or a `process` from a separate pool for such tasks. There, the timeout
   * terminates the task whatever it is doing, and the task never blocks other jobs. A thread limits the task's JavaScript heap; a process limits all
   * of its memory, and a crash ends one attempt and not the worker. See docs/guides/isolation.md for the differences.
   */
  isolate?: "thread" | "process";
  /** How many of its jobs may run at a time, across all workers. There may be several limits with different keys. */
  concurrency?: ConcurrencyLimit<z.output<P>> | readonly ConcurrencyLimit<z.output<P>>[];
  /** How many of its jobs may start within any period of a given length. */
  rateLimit?: RateLimit<z.output<P>> | readonly RateLimit<z.output<P>>[];
  /**
   * Paths in payload and result that must stay secret, such as `email`, `user.phone` or `cards.*.number`. Their values are replaced by `[redacted]`
   * in the history, in every view, and in the task's log lines, progress and errors. The task itself receives the original values.
   */
  redact?: readonly string[];
  run(payload: z.output<P>, context: TaskContext): Promise<z.input<R>> | z.input<R>;
}

const DEFINITION = Symbol.for("legwork.task");

/**
 * A defined task. It is a function, because graphile-worker loads functions from task files; only a Legwork worker
 * can call it, because it needs a context.
 */
export interface Task<P extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> {
  (payload: unknown, helpers: unknown): Promise<never>;
  readonly [DEFINITION]: TaskDefinition<P, R>;
}

/** A task whose definition contains its name. */
export interface NamedTask<P extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> extends Task<P, R> {
  /**
   * Enqueues a job on the caller's connection, within its open transaction if there is one, and returns the job's id. The payload is checked against
   * the definition in the form in which a worker will read it, and then in the same way as in `enqueue`.
   *
   * Throws LW422, naming the field, for a payload that does not match, and the errors of `enqueue`.
   *
   * @example
   * import { defineTask } from "legwork";
   * import { z } from "zod";
   *
   * const welcome = defineTask({
   *   name: "notify/welcome",
   *   payload: z.object({ userId: z.number() }),
   *   run: async ({ userId }, { log }) => log.info({ userId }, "Welcome!"),
   * });
   * await welcome.enqueue(client, { userId: 3 }, { priority: -1 });
   */
  enqueue(client: TransactionClient, ...rest: WithPayload<z.input<P>, [options?: EnqueueOptions]>): Promise<string>;
}

/** The type of a task's payload: `TaskPayload<typeof welcome>`. `unknown` for a value that was not created by `defineTask`. */
export type TaskPayload<T> = T extends Task<infer P, infer _Result> ? z.input<P> : unknown;

/**
 * The type of a task's result as it is stored: `TaskResult<typeof welcome>`. `unknown` for a task without a result schema, and for a value that was
 * not created by `defineTask`.
 */
export type TaskResult<T> = T extends Task<infer _Payload, infer R> ? Stored<z.output<R>> : unknown;

// oxlint-disable-next-line typescript/no-explicit-any -- a list of tasks mixes payload and result types
type AnyTask = Task<any, any>;

const definitionSchema = z.strictObject({
  name: z.string().min(1).max(128).optional(),
  description: z.string().optional(),
  payload: z.instanceof(z.ZodType, { error: "expected a zod schema" }).optional(),
  result: z.instanceof(z.ZodType, { error: "expected a zod schema" }).optional(),
  queue: z
    .string()
    .min(1)
    .max(128)
    .refine((name) => name !== "." && name !== "..", "a queue cannot be called . or .., because URLs cannot address it")
    .optional(),
  retry: retrySchema.optional(),
  timeout: positiveDurationSchema.optional(),
  grace: positiveDurationSchema.optional(),
  isolate: z
    .enum(["thread", "process"], { error: (issue) => `expected "thread" or "process", not ${JSON.stringify(issue.input)}` })
    .optional(),
  concurrency: concurrencySchema.optional(),
  rateLimit: rateLimitSchema.optional(),
  redact: z
    .array(z.string().regex(/^[^.]+(\.[^.]+)*$/, { error: "expected a path such as email, user.phone or cards.*.number" }))
    .optional(),
  run: z.custom<() => unknown>((value) => typeof value === "function", "expected a function"),
});

/**
 * Defines a task: the default export of a file in `tasks/`, whose path below that directory is the task's name.
 * Throws LW515 for an option that does not exist or has the wrong type.
 *
 * @example
 * import { defineTask } from "legwork";
 * import { z } from "zod";
 *
 * export default defineTask({
 *   description: "Welcomes a user by email.",
 *   payload: z.object({ userId: z.number() }),
 *   retry: { attempts: 5, backoff: "exponential", delay: "10s" },
 *   timeout: "30s",
 *   run: async ({ userId }, { sql, log }) => {
 *     const [user] = await sql`select email from users where id = ${userId}`;
 *     log.info({ to: user.email }, "Welcome!");
 *   },
 * });
 */
export function defineTask<
  P extends z.ZodType = z.ZodUnknown,
  R extends z.ZodType = z.ZodUnknown,
  Name extends string | undefined = undefined,
>(definition: TaskDefinition<P, R> & { name?: Name }): Name extends string ? NamedTask<P, R> : Task<P, R>;
export function defineTask(definition: TaskDefinition<z.ZodType, z.ZodType>): Task {
  const parsed = definitionSchema.safeParse(definition);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue?.path.join(".");
    throw new LegworkError("LW515", `defineTask: ${where ? `${where}: ` : ""}${issue?.message ?? "invalid"}.`, {
      hint: "A task has name, description, payload, result, queue, retry, timeout, grace, isolate, concurrency, rateLimit, redact and run(payload, context).",
    });
  }
  const task = (): Promise<never> =>
    Promise.reject(
      new LegworkError("LW515", "This task was created with defineTask and needs a Legwork worker.", {
        hint: "Start `legwork worker` instead of graphile-worker.",
      }),
    );
  const { name } = definition;
  if (name === undefined) return Object.assign(task, { [DEFINITION]: definition });
  return Object.assign(task, {
    [DEFINITION]: definition,
    enqueue: async (client: TransactionClient, given?: unknown, options?: EnqueueOptions) => {
      const fits = assertFits(definition, name, given);
      const {
        task: target,
        payload,
        ...rest
      } = await throughEnqueue(installedMiddleware(), { ...options, task: name, payload: fits });
      return await enqueue(toQueryable(client), target, payload, rest);
    },
  });
}

/**
 * Returns the task name and payload of a new job. The task is given by name, or as a definition that contains its name. With a definition, the
 * payload is checked against it and returned unchanged. Throws LW422, naming the field, for a payload that does not match; LW515 for a task without a
 * name.
 */
export function jobOf(task: string | Task, payload: unknown): { task: string; payload: unknown } {
  if (typeof task === "string") return { task, payload };
  const definition = definitionOf(task);
  if (definition?.name === undefined) {
    throw new LegworkError(
      "LW515",
      "This task cannot be enqueued as a definition, because the definition does not contain its name.",
      {
        hint: 'Add the name to the definition, defineTask({ name: "notify/welcome", … }), or enqueue the task by name.',
      },
    );
  }
  return { task: definition.name, payload: assertFits(definition, definition.name, payload) };
}

/** Returns the payload if it matches as the task will read it, that is, after a round trip through JSON. */
function assertFits({ payload: schema }: TaskDefinition<z.ZodType, z.ZodType>, name: string, payload: unknown): unknown {
  if (schema !== undefined) parsePayload(schema, JSON.parse(toJson("payload", payload ?? {})), name);
  return payload;
}

/** Returns the definition of a task; undefined for a plain graphile-worker task function. */
export function definitionOf(task: unknown): TaskDefinition<z.ZodType, z.ZodType> | undefined {
  return typeof task === "function" ? (task as Partial<AnyTask>)[DEFINITION] : undefined;
}
