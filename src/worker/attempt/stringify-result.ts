import { Discard, toError } from "../../errors.ts";

/**
 * What a task has returned, as JSON; undefined for nothing. Throws a Discard with JSON's own words for what JSON does not have (a bigint, a circle):
 * another attempt would do its work again and return the same.
 */
export function stringifyResult(result: unknown): string | undefined {
  try {
    return JSON.stringify(result);
  } catch (error) {
    throw new Discard(toError(error).message, { cause: error });
  }
}
