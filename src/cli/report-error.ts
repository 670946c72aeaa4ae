import { CommanderError } from "commander";
import { inWordsOf } from "../action.ts";
import { isBug, translateError } from "../db/translate-error.ts";
import { type LegworkError, toError } from "../errors.ts";
import { COMMANDS } from "./command-wording.ts";
import { relativeTime } from "./output.ts";
import { visible } from "./visible.ts";

/** The hint in one line. It says in how long to try again, and replaces SQL's hint, which refers to the time in the error's detail. */
function hintOf(error: LegworkError): string {
  const hint = inWordsOf(COMMANDS, error) ?? "";
  if (error.retryAt === undefined) return hint;
  return `${hint.replace(/ ?Try again at that time\.$/, "")} Try again ${relativeTime(error.retryAt)}.`.trim();
}

/** Prints on stderr why a command failed: a bug with its stack trace, anything else as one line and a hint. Returns the exit code. */
export function reportError(thrown: unknown): number {
  // commander has already printed its message.
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2;
  const error = translateError(thrown);
  if (isBug(error)) {
    const { stack, message } = toError(error.cause);
    console.error(`legwork: This is a bug in Legwork. (${error.code})`);
    console.error(visible(stack ?? message));
    return error.exitCode;
  }
  console.error(visible(`legwork: ${error.message} (${error.code})`));
  const hint = hintOf(error);
  if (hint !== "") console.error(visible(`hint: ${hint}`));
  return error.exitCode;
}
