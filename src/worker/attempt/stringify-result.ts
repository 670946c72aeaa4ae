import { Discard, toError } from "../../errors.ts";

/**
 * Converts a task's result to JSON; undefined without a result. Throws a Discard with JavaScript's own message for values that JSON cannot represent
 * (a bigint, a circular reference), because another attempt would repeat the work and return the same value.
 */
export function stringifyResult(result: unknown): string | undefined {
  try {
    return JSON.stringify(result);
  } catch (error) {
    throw new Discard(toError(error).message, { cause: error });
  }
}
