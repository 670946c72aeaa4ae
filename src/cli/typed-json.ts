import { LegworkError, toError } from "../errors.ts";
import { parseExactly } from "../json.ts";

/** JSON that was typed, with every digit of its numbers. Throws LW400, with that name and example, for what is not JSON. */
export function parseTyped(what: string, text: string, example = '{"userId": "42"}'): unknown {
  try {
    return parseExactly(text);
  } catch (error) {
    const isDeep = error instanceof RangeError;
    throw new LegworkError(
      "LW400",
      `The ${what} ${isDeep ? "is nested too deeply." : `is not JSON: ${toError(error).message}.`}`,
      {
        hint: isDeep ? "Give a flatter value." : `Put it in single quotes, for example '${example}'.`,
      },
    );
  }
}
