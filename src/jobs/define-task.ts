import { z } from "zod";
import { toQueryable, type TransactionClient } from "../db/transaction-client.ts";
import type { Sql } from "../db/sql.ts";
import { LegworkError } from "../errors.ts";
import { toJson } from "../json.ts";
import type { Logger } from "../log.ts";
import type { Duration } from "../duration.ts";
import { enqueue, type EnqueueOptions } from "./enqueue.ts";
import { parsePayload } from "./payload.ts";
import type { StepContext } from "./step-context.ts";
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

/** The row of `legwork.jobs` as it is while the job runs. Ids are strings: they may be larger than a number holds. */
export interface RunningJob {
  readonly id: string;
  readonly task: string;
  readonly queue: string;
  readonly priority: number;
  /** Counted from 1, this attempt included. */
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly runAt: Date;
  readonly createdAt: Date;
  readonly jobKey: string | null;
  readonly tenant: string | null;
  /** Shared by everything that came from one cause; the job's own id when it came from nowhere. */
  readonly correlationId: string;
  readonly parentId: string | null;
}

/** How far a job is. */
export interface Progress {
  /** How much is done, 0 to 100. */
  percent?: number;
  /** What it is doing; 4,000 characters at most. */
  message?: string;
}

/** The workflow that a job is a step of. */
export interface WorkflowContext {
  readonly id: string;
  /** The step's name, behind those of the sub-workflows it belongs to: `import/users`. */
  readonly step: string;
  /** Whether the job undoes the step. */
  readonly compensates: boolean;
  /**
   * What the steps that have completed so far returned, by their names. Asked for once an attempt, in one query. Every step that this one depends on has
   * ended; one that failed without harm, or returned nothing, has null or is missing.
   */
  readonly results: () => Promise<Readonly<Record<string, unknown>>>;
}

/** What a task is given beside its payload. */
export interface TaskContext {
  readonly job: RunningJob;
  /** Statements on the worker's pool. Whatever they enqueue carries this job's correlation id. */
  readonly sql: Sql;
  /**
   * The worker's log with the job's id, task and correlation id on every line. Lines of level info and above are also kept with
   * the job (`legwork.logs`), whatever level the process logs at: 1,000 lines an attempt.
   */
  readonly log: Logger;
  /**
   * Says how far the job is: a percentage, a message, or both; what is not given stays as it was. Shown within a second and kept with
   * the job. It costs nothing to call it often. Throws LW400 for a percentage that is not between 0 and 100.
   */
  readonly progress: {
    (percent: number, message?: string): void;
    (progress: Progress): void;
  };
  /**
   * Aborts when the task's timeout is over, when its job is cancelled, when this worker may have been taken for dead, and when it
   * stops and its time for finishing is over; its reason says which. A task that runs long should watch it.
   */
  readonly signal: AbortSignal;
  /**
   * Enqueues a job that carries this job's correlation id and tenant and names it as its parent. It is on its way at once,
   * whatever becomes of this job; to enqueue within a transaction, pass its client. A task that states its name may stand in place of it.
   */
  readonly enqueue: EnqueueInTask;
  /** Parts of the task that later attempts do not do again, and waiting for signals and times without holding a worker. */
  readonly step: StepContext;
  /** The workflow that the job is a step of; undefined for any other job. */
  readonly workflow: WorkflowContext | undefined;
  /** The batch whose callback the job is; undefined for any other job. */
  readonly batchId: string | undefined;
}

/**
 * The registry checks names here and not payloads: the compiler would need the types of all tasks to find that of one, which is a circle. With a task in place
 * of the name, it checks the payload too.
 */
interface EnqueueInTask {
  <P extends z.ZodType, R extends z.ZodType>(
    task: NamedTask<P, R>,
    ...rest: WithPayload<z.input<P>, [options?: EnqueueOptions, client?: TransactionClient]>
  ): Promise<string>;
  (task: TaskName, payload?: unknown, options?: EnqueueOptions, client?: TransactionClient): Promise<string>;
}

export interface TaskDefinition<P extends z.ZodType, R extends z.ZodType> {
  /**
   * The task's name, with which it can be enqueued without naming it again: `welcome.enqueue(client, payload)`. It must be the path of its file below the tasks
   * directory, without the extension; a worker refuses to load it otherwise (LW515).
   */
  name?: string;
  /** What the task does, in a sentence; shown wherever the task is. */
  description?: string;
  /** The payload's shape. A payload that does not fit fails its job at once, naming the field, and is never retried. */
  payload?: P;
  /** The result's shape. A result that does not fit fails the attempt. */
  result?: R;
  /** The queue the task belongs to; `default` by default. */
  queue?: string;
  /** When a failed attempt is followed by another. Its queue's by default, else graphile-worker's own. */
  retry?: RetryPolicy;
  /**
   * How long an attempt may take. Then its signal aborts, and after `grace` more the attempt counts as failed with a TimeoutError
   * whether the task has ended or not; what it returns later is thrown away. No limit by default.
   */
  timeout?: Duration;
  /** How long a task may go on after its timeout, to clean up; 5 seconds by default. An isolated task is ended then, also one that was cancelled. */
  grace?: Duration;
  /**
   * Where it runs: in the worker itself by default, in a `thread` or in a `process` of its own from a pool that is there for such tasks. There its
   * timeout really ends it, whatever it does, and it never holds up other jobs. A thread bounds its JavaScript heap; a process bounds all
   * of its memory, and what crashes it ends one attempt and not the worker. docs/guides/isolation.md has the differences.
   */
  isolate?: "thread" | "process";
  /** At most so many of its jobs at a time, over all workers. Several limits, by several keys, may be given. */
  concurrency?: ConcurrencyLimit<z.output<P>> | readonly ConcurrencyLimit<z.output<P>>[];
  /** At most so many starts in any span of time. */
  rateLimit?: RateLimit<z.output<P>> | readonly RateLimit<z.output<P>>[];
  /**
   * Paths in payload and result that nobody may read, such as `email`, `user.phone` or `cards.*.number`. Their values are
   * `[redacted]` in the history, in every view and in what the task logs, reports and throws; the task itself gets them.
   */
  redact?: readonly string[];
  run(payload: z.output<P>, context: TaskContext): Promise<z.input<R>> | z.input<R>;
}

const DEFINITION = Symbol.for("legwork.task");

/**
 * A defined task. It is a function, because that is what graphile-worker loads from a task file; only a Legwork worker
 * can call it, with the context a task needs.
 */
export interface Task<P extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> {
  (payload: unknown, helpers: unknown): Promise<never>;
  readonly [DEFINITION]: TaskDefinition<P, R>;
}

/** A task that states its name. */
export interface NamedTask<P extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> extends Task<P, R> {
  /**
   * Enqueues a job on the caller's connection, so within its transaction if it has one open, and resolves to the job's id. The payload is checked against the
   * definition, as its worker will read it, and then as `enqueue` does.
   *
   * Throws LW422 naming the field that does not fit, and what `enqueue` throws.
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

/** What the payload of a task may be: `TaskPayload<typeof welcome>`. `unknown` for what is not made with `defineTask`. */
export type TaskPayload<T> = T extends Task<infer P, infer _Result> ? z.input<P> : unknown;

// oxlint-disable-next-line typescript/no-explicit-any -- a list of tasks mixes payloads and results of every type
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
    .refine((name) => name !== "." && name !== "..", "a name of dots alone cannot be addressed in a URL")
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
 * Describes a task: the default export of a file in `tasks/`, whose path below that directory is the task's name.
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
    throw new LegworkError("LW515", `defineTask: ${where ? `${where}: ` : ""}${issue?.message ?? "not valid"}.`, {
      hint: "A task has name, description, payload, result, queue, retry, timeout, grace, isolate, concurrency, rateLimit, redact and run(payload, context).",
    });
  }
  const task = (): Promise<never> =>
    Promise.reject(
      new LegworkError("LW515", "This task was made with defineTask and needs a Legwork worker.", {
        hint: "Start it with `legwork worker` in place of graphile-worker.",
      }),
    );
  const { name } = definition;
  if (name === undefined) return Object.assign(task, { [DEFINITION]: definition });
  return Object.assign(task, {
    [DEFINITION]: definition,
    enqueue: async (client: TransactionClient, payload?: unknown, options?: EnqueueOptions) =>
      await enqueue(toQueryable(client), name, assertFits(definition, name, payload), options),
  });
}

/**
 * A job of a task, which is given by its name or, when it states its name, by itself. Then the payload is checked against the definition; it stays as it was given.
 * Throws LW422 naming the field that does not fit, LW515 for a task without a name.
 */
export function jobOf(task: string | Task, payload: unknown): { task: string; payload: unknown } {
  if (typeof task === "string") return { task, payload };
  const definition = definitionOf(task);
  if (definition?.name === undefined) {
    throw new LegworkError("LW515", "A task without a name cannot be enqueued by itself.", {
      hint: 'Add its name to the definition, defineTask({ name: "notify/welcome", … }), or enqueue it by its name.',
    });
  }
  return { task: definition.name, payload: assertFits(definition, definition.name, payload) };
}

/** The payload, when it fits as the task will read it: after it has been JSON. */
function assertFits({ payload: schema }: TaskDefinition<z.ZodType, z.ZodType>, name: string, payload: unknown): unknown {
  if (schema !== undefined) parsePayload(schema, JSON.parse(toJson("payload", payload ?? {})), name);
  return payload;
}

/** The definition behind a task, or undefined for a plain graphile-worker task function. */
export function definitionOf(task: unknown): TaskDefinition<z.ZodType, z.ZodType> | undefined {
  return typeof task === "function" ? (task as Partial<AnyTask>)[DEFINITION] : undefined;
}
