import { expect, it } from "vitest";
import { usageError } from "../../src/cli/usage-error.ts";

it.each([
  ["error: unknown option '--stat'\n(Did you mean --state?)\n", "Unknown option '--stat'. (LW400)\n  Did you mean --state?\n"],
  ["error: missing required argument 'task'\n", "Missing required argument 'task'. (LW400)\n"],
  [
    "error: option '--limit <number>' argument 'x' is invalid. It must be a number.\n",
    "'x' is not a valid value for --limit. It must be a number. (LW400)\n",
  ],
  [
    "error: command-argument value 'x' is invalid for argument 'shell'. Allowed choices are bash.\n",
    "'x' is not a valid <shell>. Allowed choices are bash. (LW400)\n",
  ],
  ["error: option '--folder <path>' argument missing\n", "--folder requires a value: <path>. (LW400)\n"],
  ["error: required option '--folder <path>' not specified\n", "--folder is required. (LW400)\n"],
])("%j is reported as %j", (text, expected) => {
  expect(usageError(text)).toBe(`legwork: ${expected}`);
});
