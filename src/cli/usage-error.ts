import { nearestName } from "./nearest-name.ts";

/**
 * Rewrites one of commander's messages about incorrect usage in Legwork's own format, `legwork: Unknown option '--stat'. (LW400)`, with a hint that
 * makes a suggestion or refers to the help. `command` is the command as typed, such as `workflow show`.
 */
export function usageError(text: string, command = ""): string {
  const [, given = text.trim(), suggestion] = /^error: (.*?)(?:\n\((Did you mean .*)\))?\s*$/s.exec(text) ?? [];
  const message = given
    .replace(/^option '(.*?)(?: [<[].*?)?' argument '(.*)' is invalid\./s, "'$2' is not a valid value for $1.")
    .replace(/^option '(.*?) <(.*)>' argument missing$/, "$1 requires a value: <$2>")
    .replace(/^required option '(.*?)(?: [<[].*)?' not specified$/, "$1 is required")
    .replace(/^command-argument value '(.*)' is invalid for argument '(.*?)'\./s, "'$1' is not a valid <$2>.")
    .replace(/^\w/, (letter) => letter.toUpperCase())
    .replace(/[^.?!]$/, "$&.");
  const help = message.startsWith("Unknown command")
    ? "`legwork help` lists the commands."
    : `\`legwork ${`${command} --help`.trim()}\` shows how to use it.`;
  return `legwork: ${message} (LW400)\nhint: ${suggestion ?? suggestionIn(message) ?? help}\n`;
}

/** `Did you mean 'failed'?` for a value that is similar to one of the allowed choices. */
function suggestionIn(message: string): string | undefined {
  const [, value, choices] = /^'(.*)' is not a valid .*\. Allowed choices are (.*)\.$/s.exec(message) ?? [];
  if (value === undefined || choices === undefined) return undefined;
  const nearest = nearestName(value, choices.split(", "));
  return nearest === undefined ? undefined : `Did you mean '${nearest}'?`;
}
