import { sep } from "node:path";
import { type LegworkError, toError } from "../../errors.ts";
import { excerptOf, placeOf } from "../../worker/error-place.ts";
import { visible } from "../visible.ts";

/**
 * Describes why tasks cannot be loaded: the location in the user's code, the excerpt that Node prints, and a hint. Paths are relative to the
 * directory, so that a terminal can open them. `files` are the files that were read, in order.
 */
export function describeFailure(error: LegworkError, directory: string, files: readonly string[]): string[] {
  const cause = innermost(error);
  const where = placeOf(cause, directory, files);
  // Without a location, use the outer error's message, which names the file.
  const { message } = where === undefined ? error : cause;
  return [
    `${where === undefined ? "" : `${where}  `}${message.replaceAll(`${directory}${sep}`, "")}`,
    ...(excerptOf(cause, files)?.lines ?? []).map((text) => `    ${text}`),
    ...(error.hint === undefined ? [] : [`hint: ${error.hint}`]),
  ].map(visible);
}

function innermost(error: Error): Error {
  return error.cause === undefined ? error : innermost(toError(error.cause));
}
