import { type Command, CommanderError } from "commander";
import { describe, expect, it } from "vitest";
import { createProgram } from "../../src/cli/main.ts";
import { usageError } from "../../src/cli/usage-error.ts";

it.each([
  [
    "error: unknown option '--stat'\n(Did you mean --state?)\n",
    "Unknown option '--stat'. (LW400)\nhint: Did you mean --state?\n",
  ],
  [
    "error: missing required argument 'task'\n",
    "Missing required argument 'task'. (LW400)\nhint: `legwork jobs --help` shows how to use it.\n",
  ],
  [
    "error: option '--limit <number>' argument 'x' is invalid. It must be a number.\n",
    "'x' is not a valid value for --limit. It must be a number. (LW400)\nhint: `legwork jobs --help` shows how to use it.\n",
  ],
  [
    "error: option '--state <state>' argument 'fialed' is invalid. Allowed choices are completed, failed.\n",
    "'fialed' is not a valid value for --state. Allowed choices are completed, failed. (LW400)\nhint: Did you mean 'failed'?\n",
  ],
  [
    "error: command-argument value 'bahs' is invalid for argument 'shell'. Allowed choices are bash, zsh.\n",
    "'bahs' is not a valid <shell>. Allowed choices are bash, zsh. (LW400)\nhint: Did you mean 'bash'?\n",
  ],
  [
    "error: option '--folder <path>' argument missing\n",
    "--folder requires a value: <path>. (LW400)\nhint: `legwork jobs --help` shows how to use it.\n",
  ],
  [
    "error: required option '--folder <path>' not specified\n",
    "--folder is required. (LW400)\nhint: `legwork jobs --help` shows how to use it.\n",
  ],
])("%j is reported as %j", (text, expected) => {
  expect(usageError(text, "jobs")).toBe(`legwork: ${expected}`);
});

/** Every command, with its path. */
function everyCommand(command: Command, path: string[] = []): { command: Command; path: string[] }[] {
  return [{ command, path }, ...command.commands.flatMap((subcommand) => everyCommand(subcommand, [...path, subcommand.name()]))];
}

/** Placeholders of values that may be any text. All others say what kind of value is expected. */
const FREE_TEXT =
  /^(name|key|text|url|address|directory|file|folder|path|path:value|zone|expression|json|job|step|group|from\[=into\]|name=duration)$/;

async function refusal(path: readonly string[], words: readonly string[]): Promise<string | undefined> {
  const program = await createProgram();
  for (const { command } of everyCommand(program)) command.configureOutput({ writeErr: () => undefined });
  try {
    await program.parseAsync([...path, ...words], { from: "user" });
  } catch (error) {
    return error instanceof CommanderError ? usageError(error.message) : `${(error as Error).message}\n`;
  }
  return undefined;
}

describe("the command line", () => {
  it("rejects a bad value of every option and argument that is not free text, before it connects, and says what it expects", async () => {
    const checked: string[] = [];
    for (const { command, path } of everyCommand(await createProgram())) {
      for (const option of command.options) {
        const placeholder = /[<[](.*)[>\]]$/.exec(option.flags)?.[1];
        if (placeholder === undefined || (FREE_TEXT.test(placeholder) && option.argChoices === undefined)) continue;
        const name = `${path.join(" ")} ${option.long}`;
        const refused = await refusal(path, [option.long ?? "", "nonsense?"]);
        expect(refused, name).toMatch(
          new RegExp(
            `^legwork: 'nonsense\\?' is not a valid value for ${option.long}\\. (Expected|Allowed choices are) .*\\(LW400\\)\nhint: `,
          ),
        );
        checked.push(name);
      }
    }
    expect(checked.length).toBeGreaterThan(100);
    for (const words of [
      ["job"],
      ["cancel"],
      ["retry"],
      ["discard"],
      ["rerun"],
      ["signal"],
      ["batch", "show"],
      ["workflow", "show"],
    ])
      expect(await refusal([], [...words, "nonsense?", ...(words[0] === "signal" ? ["go"] : [])]), words.join(" ")).toMatch(
        /^'nonsense\?' is not a (job|batch|workflow) id\./,
      );
    expect(await refusal([], ["token", "revoke", "x"])).toContain("Expected the id of a token");
  });

  it("rejects options that have no effect without another one, and lists that are too long", async () => {
    const mistakes: [words: string[], message: string][] = [
      [["alerts", "--target", "x"], "--target has no effect without --silence."],
      [["alerts", "--note", "x"], "--note has no effect without --ack."],
      [["alerts", "--ack", "1", "--silence", "1h"], "--ack and --silence cannot be combined."],
      [["add", "x", "--rate-per", "1m"], "--rate-per has no effect without --rate-limit."],
      [["jobs", "--limit", "9999"], "'9999' is not a valid value for --limit. Expected a whole number from 1 to 500."],
      [["stats", "--period", "0"], "'0' is not a valid value for --period. Expected a duration of at least 1 second"],
      [["resume"], "Specify one queue or one task, or use --all to end an emergency stop."],
      [["pause", "mail", "--task", "x"], "Specify one queue or one task."],
      [["discard"], "Select jobs by their ids, by options such as --task, or with --all."],
    ];
    for (const [words, message] of mistakes) expect(await refusal([], words), words.join(" ")).toContain(message);
  });

  it("writes defaults with their units", async () => {
    for (const { command, path } of everyCommand(await createProgram())) {
      for (const option of command.options) {
        if (!/duration/.test(option.flags) || option.defaultValue === undefined) continue;
        expect(option.defaultValueDescription ?? option.defaultValue, `${path.join(" ")} ${option.long}`).toMatch(/^\d+[a-z]+$/);
      }
    }
  });
});
