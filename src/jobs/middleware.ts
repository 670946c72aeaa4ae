import { z } from "zod";
import { nearestName } from "../nearest-name.ts";
import type { TaskContext } from "./define-task.ts";
import { type EnqueueMiddleware, invalidMiddleware } from "./enqueue-middleware.ts";
import type { SomeTaskValues } from "./task-values.ts";
import { eventNameProblem, type WorkerEventListeners } from "./worker-events.ts";

/** What middleware receives of an attempt: the context of its task, before the task is called. */
export interface AttemptContext extends Omit<TaskContext, "step" | "values"> {
  /** The job's payload, not yet checked, and with the values that the task redacts. */
  readonly payload: unknown;
  /** What middleware before this one has added. */
  readonly values: SomeTaskValues;
  /**
   * Settings that database connections have while this attempt uses them through `sql` and `step.transaction`, such as `app.tenant` for row security.
   * Their names have a dot, as Postgres requires of custom settings. Setting another name, or one of Legwork's, throws LW400.
   */
  readonly session: Record<string, string>;
}

/**
 * Runs the rest of the attempt: the next middleware, and finally the task. Adds `values` to the task's context. Resolves to the task's result, or
 * rejects with the error that fails the attempt. It can be called once, and only before the middleware has returned.
 */
export type Next = (values?: SomeTaskValues) => Promise<unknown>;

export interface Middleware extends EnqueueMiddleware {
  /**
   * Runs around each attempt, within the task's timeout and where the task runs: for an isolated task, in its thread or process. An error that it
   * throws fails the attempt like an error of the task. What it returns replaces the result, unless it returns nothing. If it does not call `next`,
   * the task does not run; then it must return a result, or else the attempt fails.
   */
  readonly attempt?: (context: AttemptContext, next: Next) => Promise<unknown>;
  /** Listeners for the events of the worker. */
  readonly on?: WorkerEventListeners;
}

/** Middleware that runs around attempts. */
export type AttemptMiddleware = Middleware & Required<Pick<Middleware, "attempt">>;

const PARTS = ["name", "attempt", "enqueue", "on"];

const middlewareFunction = z.custom<() => unknown>((value) => typeof value === "function", "expected a function");

const middlewareSchema = z.strictObject({
  name: z.string({ error: "expected text" }).min(1, { error: "expected text" }).max(128),
  attempt: middlewareFunction.optional(),
  enqueue: middlewareFunction.optional(),
  on: z
    .record(z.string(), middlewareFunction)
    .optional()
    .superRefine((listeners, context) => {
      for (const event of Object.keys(listeners ?? {})) {
        const problem = eventNameProblem(event);
        if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
      }
    }),
});

/**
 * Gives middleware its types and returns it. It belongs in the list `middleware` of `legwork.config.ts` or of `createLegwork`, whose order is that in
 * which middleware runs: the first one is the outermost. Throws LW514 for a part that does not exist or has the wrong type.
 *
 * @example
 * import { defineConfig, defineMiddleware } from "legwork";
 *
 * const tenant = defineMiddleware({
 *   name: "tenant",
 *   attempt: async ({ job, session }, next) => {
 *     session["app.tenant"] = job.tenant ?? "";
 *     return await next();
 *   },
 * });
 * export default defineConfig({ middleware: [tenant] });
 */
export function defineMiddleware(middleware: Middleware): Middleware {
  return readMiddleware([middleware], "defineMiddleware")[0]!;
}

/** Returns a list of middleware. Throws LW514 if it is anything else; `origin` says where it is from. */
export function readMiddleware(given: unknown, origin: string): readonly Middleware[] {
  if (given === undefined) return [];
  if (!Array.isArray(given)) throw invalidMiddleware(`${origin}: expected a list.`);
  for (const [index, one] of given.entries()) {
    const named: unknown = (one as { name?: unknown } | null)?.name;
    const where =
      origin === "defineMiddleware"
        ? origin
        : `${origin}: ${typeof named === "string" && named !== "" ? `'${named}'` : `number ${index + 1}`}`;
    if (typeof one !== "object" || one === null) throw invalidMiddleware(`${where}: expected what defineMiddleware returns.`);
    const parsed = middlewareSchema.safeParse(one);
    if (parsed.success) continue;
    const { issues } = parsed.error;
    const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
    if (issue?.code === "unrecognized_keys") {
      const [key = ""] = issue.keys;
      const nearest = nearestName(key, PARTS);
      throw invalidMiddleware(`${where}: there is no '${key}'.${nearest === undefined ? "" : ` Did you mean '${nearest}'?`}`);
    }
    throw invalidMiddleware(
      `${where}: ${issue?.path.join(".") ?? ""}: ${(issue?.message ?? "invalid").replace(/(?<![.?])$/, ".")}`,
    );
  }
  return given as Middleware[];
}

/** Returns those that run around attempts; undefined without such middleware, which saves attempts a search. */
export function attemptMiddleware(list: readonly Middleware[]): readonly AttemptMiddleware[] | undefined {
  const found = list.filter((one): one is AttemptMiddleware => one.attempt !== undefined);
  return found.length === 0 ? undefined : found;
}
