import type { Command, Option } from "commander";
import { createProgram } from "../../src/cli/main.ts";
import { code, fenced, prose, sentence, table } from "./markdown.ts";

/** Options that most commands have. They are described once, unless a command describes them differently. */
const COMMON = ["--database-url", "--data-dir", "--log-level", "--json", "--url", "--help"];

/** Describes every command with its options, like `--help`. */
export async function commandLine(): Promise<string> {
  const program = await createProgram();
  const commands = program.commands.filter((command) => command.name() !== "help").flatMap((command) => nested(command));
  const common = COMMON.flatMap((flag) => usual(commands, flag) ?? []);
  return ["## Options of most commands", options(common), ...commands.flatMap((command) => section(command, common))].join(
    "\n\n",
  );
}

/** Returns the most common form of an option. */
function usual(commands: readonly Command[], flag: string): Option | undefined {
  const all = commands.flatMap((command) => command.options.filter(({ long }) => long === flag));
  const byText = Map.groupBy(all, ({ description }) => description);
  return [...byText.values()].toSorted((one, other) => other.length - one.length)[0]?.[0];
}

const nested = (command: Command): Command[] => [
  command,
  ...command.commands.filter((each) => each.name() !== "help").flatMap(nested),
];

function section(command: Command, common: readonly Option[]): string[] {
  const path = pathOf(command);
  const usage = `legwork ${path} ${command.usage()}`.replace(" [command]", " COMMAND");
  const isCommon = (option: Option): boolean =>
    common.some(({ long, description }) => long === option.long && description === option.description);
  const own = command.options.filter((option) => !option.hidden && !isCommon(option));
  const taken = command.registeredArguments.filter(({ description }) => description !== "");
  const { examples, notes } = afterHelp(command);
  return [
    `${path.includes(" ") ? "###" : "##"} ${path}`,
    prose(sentence(command.description())),
    fenced("text", usage),
    ...(taken.length === 0
      ? []
      : [
          table(
            ["argument", "meaning"],
            taken.map((each) => [code(each.name()), prose(sentence(each.description))]),
          ),
        ]),
    ...(own.length === 0 ? [] : [options(own)]),
    ...(examples === "" ? [] : [fenced("sh", examples)]),
    ...(notes === "" ? [] : [prose(notes)]),
  ];
}

function pathOf(command: Command): string {
  const { parent } = command;
  return parent?.parent == null ? command.name() : `${pathOf(parent)} ${command.name()}`;
}

function options(all: readonly Option[]): string {
  return table(
    ["option", "meaning"],
    all
      .filter(({ hidden }) => !hidden)
      .map(({ flags, description, argChoices }) => {
        const choices = argChoices === undefined ? "" : ` One of ${argChoices.map(code).join(", ")}.`;
        return [code(flags), `${prose(sentence(description))}${choices}`];
      }),
  );
}

/** Returns the text below a command's options: its examples as shell commands, and the rest. */
function afterHelp(command: Command): { examples: string; notes: string } {
  let text = "";
  // The program was created only for this page, so its output need not be restored.
  command.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
  const lines = text
    .slice(command.helpInformation().length)
    .split("\n")
    .filter((line) => line.trim() !== "Examples:");
  const isExample = (line: string): boolean => /^ {2}\$ /.test(line);
  return {
    examples: lines
      .filter(isExample)
      .map((line) => line.slice(4).replace(/ {2,}(?=\S)/, "    # "))
      .join("\n"),
    notes: lines
      .filter((line) => !isExample(line))
      .join("\n")
      .trim(),
  };
}
