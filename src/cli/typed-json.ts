import { LegworkError, toError } from "../errors.ts";
import { parseExactly } from "../json.ts";

const PROBLEMS = {
  payload: "The payload is not JSON",
  steps: "The steps are not JSON",
  jobs: "The jobs cannot be read as JSON",
  callback: "The callback cannot be read as JSON",
} as const;

/** JSON that was typed, with every digit of its numbers. Throws LW400, with what it is and an example, for what is not JSON. */
export function parseTyped(what: keyof typeof PROBLEMS, text: string, example = '{"userId": "42"}'): unknown {
  try {
    return parseExactly(text);
  } catch (error) {
    if (error instanceof RangeError) return JSON.parse(text);
    throw new LegworkError("LW400", `${PROBLEMS[what]}: ${toError(error).message}.`, {
      hint: `Put it in single quotes, for example '${example}'.`,
    });
  }
}
