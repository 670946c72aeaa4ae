import { LegworkError, toError } from "../errors.ts";
import { parseExactly } from "../json.ts";

const PROBLEMS = {
  payload: "The payload is not valid JSON",
  steps: "The steps are not valid JSON",
  jobs: "The jobs are not valid JSON",
  callback: "The callback is not valid JSON",
} as const;

/** Parses JSON from the command line and keeps every digit of its numbers. Throws LW400, with an example, for invalid JSON. */
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
