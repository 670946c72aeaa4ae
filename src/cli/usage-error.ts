/** One of commander's messages about wrong usage in the form of Legwork's own: `legwork: Unknown option '--stat'. (LW400)`, with a suggestion as the hint. */
export function usageError(text: string): string {
  const [, given = text.trim(), suggestion] = /^error: (.*?)(?:\n\((Did you mean .*)\))?\s*$/s.exec(text) ?? [];
  const message = given
    .replace(/^option '(.*?)(?: [<[].*?)?' argument '(.*)' is invalid\./s, "'$2' is not a valid value for $1.")
    .replace(/^option '(.*?) <(.*)>' argument missing$/, "$1 requires a value: <$2>")
    .replace(/^required option '(.*?)(?: [<[].*)?' not specified$/, "$1 is required")
    .replace(/^command-argument value '(.*)' is invalid for argument '(.*?)'\./s, "'$1' is not a valid <$2>.")
    .replace(/^\w/, (letter) => letter.toUpperCase())
    .replace(/[^.?!]$/, "$&.");
  return `legwork: ${message} (LW400)\n${suggestion === undefined ? "" : `  ${suggestion}\n`}`;
}
