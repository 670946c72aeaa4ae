import { z } from "zod";
import { nearestName } from "../nearest-name.ts";
import type { TaskContext } from "./define-task.ts";
import { type EnqueueMiddleware, invalidMiddleware } from "./enqueue-middleware.ts";
import type { SomeTaskValues } from "./task-values.ts";
import { eventNameProblem, type WorkerEventListeners } from "./worker-events.ts";

/** What middleware receives for an attempt: the context of the task, before the task is called. */
export interface AttemptContext extends Omit<TaskContext, "step" | "values"> {
  /** The job's payload, before it is checked against the schema. It includes the values that the task redacts. */
  readonly payload: unknown;
  /** The values that earlier middleware has added. */
  readonly values: SomeTaskValues;
  /**
   * Postgres settings for the connections that this attempt uses through `sql` and `step.transaction`, such as `app.tenant` for row-level security.
   * Their names contain a dot, as Postgres requires for custom settings. Any other name, and the names of Legwork's own settings, throw LW400.
   */
  readonly session: Record<string, string>;
}

/**
 * Runs the rest of the attempt: the next middleware, and finally the task. Adds `values` to the task's context. Resolves to the task's result, or
 * rejects with the error that fails the attempt. It can be called only once, and only before the middleware has returned.
 */
export type Next = (values?: SomeTaskValues) => Promise<unknown>;

export interface Middleware extends EnqueueMiddleware {
  /**
   * Runs around each attempt, within the task's timeout and in the same place as the task: for an isolated task, in its thread or process. An error
   * that it throws fails the attempt like an error of the task. Its return value replaces the result, unless it returns nothing. If it does not call
   * `next`, the task does not run; then it must return a result, or else the attempt fails.
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
 * Adds types to middleware and returns it. Put it in the list `middleware` in `legwork.config.ts` or of `createLegwork`. Middleware runs in the order
 * of this list: the first one is the outermost. Throws LW514 for a part that does not exist or has the wrong type.
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

/** Returns a list of middleware. Throws LW514 if it is anything else; `origin` is where the list comes from, for the error. */
export function readMiddleware(given: unknown, origin: string): readonly Middleware[] {
  if (given === undefined) return [];
  if (!Array.isArray(given)) throw invalidMiddleware(`${origin}: expected a list.`);
  for (const [index, one] of given.entries()) {
    const named: unknown = (one as { name?: unknown } | null)?.name;
    const where =
      origin === "defineMiddleware"
        ? origin
        : `${origin}: ${typeof named === "string" && named !== "" ? `'${named}'` : `number ${index + 1}`}`;
    if (typeof one !== "object" || one === null)
      throw invalidMiddleware(`${where}: expected the return value of defineMiddleware.`);
    const parsed = middlewareSchema.safeParse(one);
    if (parsed.success) continue;
    const { issues } = parsed.error;
    const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
    if (issue?.code === "unrecognized_keys") {
      const [key = ""] = issue.keys;
      const nearest = nearestName(key, PARTS);
      throw invalidMiddleware(
        `${where}: unknown property '${key}'.${nearest === undefined ? "" : ` Did you mean '${nearest}'?`}`,
      );
    }
    throw invalidMiddleware(
      `${where}: ${issue?.path.join(".") ?? ""}: ${(issue?.message ?? "invalid").replace(/(?<![.?])$/, ".")}`,
    );
  }
  return given as Middleware[];
}

/** Returns the middleware that runs around attempts; undefined if the list has no such middleware, so that attempts do not have to search it. */
export function attemptMiddleware(list: readonly Middleware[]): readonly AttemptMiddleware[] | undefined {
  const found = list.filter((one): one is AttemptMiddleware => one.attempt !== undefined);
  return found.length === 0 ? undefined : found;
}
