import { LegworkError } from "../../errors.ts";
import type { AttemptContext, AttemptMiddleware, Next } from "../../jobs/middleware.ts";
import type { SomeTaskValues } from "../../jobs/task-values.ts";

/**
 * Runs a task within middleware, of which the first one is the outermost. `add` receives the values that middleware adds. An attempt ends only when
 * the task has ended, even if middleware does not wait for the task. Otherwise the task could overlap with the next attempt.
 */
export async function throughAttempt(
  list: readonly AttemptMiddleware[],
  context: AttemptContext,
  add: (values: SomeTaskValues) => void,
  task: () => Promise<unknown>,
): Promise<unknown> {
  const call = async (index: number): Promise<unknown> => {
    const middleware = list[index];
    if (middleware === undefined) return await task();
    const { name } = middleware;
    let rest: Promise<unknown> | undefined;
    let hasEnded = false;
    const next: Next = async (values) => {
      if (rest !== undefined) throw misuse(`The middleware '${name}' called next twice.`);
      if (hasEnded) throw misuse(`The middleware '${name}' called next after it had returned.`);
      if (values !== undefined) add(values);
      rest = call(index + 1);
      return await rest;
    };
    let returned: unknown;
    try {
      returned = await middleware.attempt(context, next);
    } catch (error) {
      hasEnded = true;
      await Promise.allSettled([rest]);
      throw error;
    }
    hasEnded = true;
    // A middleware that returns nothing does not replace the result, and does not hide an error of the task either.
    if (rest !== undefined && returned === undefined) return await rest;
    await Promise.allSettled([rest]);
    if (returned === undefined) {
      throw misuse(`The middleware '${name}' neither called next nor returned a result, so the task did not run.`);
    }
    return returned;
  };
  return await call(0);
}

function misuse(message: string): LegworkError {
  return new LegworkError("LW514", message, { hint: "Call next once and wait for it: `return await next()`." });
}

/** Creates the object in which middleware sets Postgres settings for an attempt's connections. Throws LW400 when another name or value is set. */
export function sessionSettings(): Record<string, string> {
  return new Proxy<Record<string, string>>(
    {},
    {
      set(target, name, value: unknown) {
        if (typeof name !== "string" || !/^[a-z_][\w$]*(\.[a-z_][\w$]*)+$/i.test(name) || /^legwork\./i.test(name)) {
          throw new LegworkError("LW400", `The session cannot have the setting '${String(name)}'.`, {
            hint: "Use a name of your own with a dot, such as app.tenant.",
          });
        }
        if (typeof value !== "string" || value.includes("\0")) {
          throw new LegworkError("LW400", `The value of the setting '${name}' is not text that Postgres can store.`, {
            hint: "Convert it to text; for null, use an empty string.",
          });
        }
        target[name] = value;
        return true;
      },
    },
  );
}
