import { writeFileSync, type WriteFileOptions } from "node:fs";
import { getSystemErrorMap } from "node:util";
import { LegworkError, toError } from "../errors.ts";

/** What an error of the operating system means, such as "no space left on device". */
export function systemMessage(thrown: unknown): string {
  const error: NodeJS.ErrnoException = toError(thrown);
  const [, meaning = error.message] = getSystemErrorMap().get(error.errno ?? 0) ?? [];
  return meaning;
}

/** Writes a file that the user has named. Throws LW400 if it cannot be written, as in a directory that does not exist. */
export function writeOutput(path: string, text: string, options?: WriteFileOptions): void {
  try {
    writeFileSync(path, text, options);
  } catch (error) {
    throw new LegworkError("LW400", `${path} cannot be written: ${systemMessage(error)}.`, {
      hint: "Name a file in an existing directory to which you may write, with --out.",
      cause: error,
    });
  }
}
