import { CommanderError } from "commander";
import { inWordsOf } from "../action.ts";
import { isBug, translateError } from "../db/translate-error.ts";
import { toError } from "../errors.ts";
import { COMMANDS } from "./command-wording.ts";
import { relativeTime } from "./output.ts";
import { visible } from "./visible.ts";

/** Prints on stderr why a command failed, a bug with its stack trace and anything else as one line and a hint. Returns the exit code. */
export function reportError(thrown: unknown): number {
  // commander has printed its message already.
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2;
  const error = translateError(thrown);
  if (isBug(error)) {
    const { stack, message } = toError(error.cause);
    console.error(`legwork: This is a bug in Legwork. (${error.code})`);
    console.error(visible(stack ?? message));
    return error.exitCode;
  }
  const hint = inWordsOf(COMMANDS, error);
  console.error(visible(`legwork: ${error.message} (${error.code})`));
  if (hint !== undefined) console.error(visible(`  ${hint}`));
  if (error.retryAt !== undefined) console.error(`  Try again ${relativeTime(error.retryAt)}.`);
  return error.exitCode;
}
