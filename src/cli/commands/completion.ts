import { Argument, Command } from "commander";

/** A possible next word and its description. */
interface Word {
  word: string;
  meaning: string;
}

interface Described {
  name: string;
  meaning: string;
  /** Its subcommands, the values of its arguments, and its options. */
  words: Word[];
  /** The values that an option can take. */
  values: { options: string[]; choices: string[] }[];
}

const SHELLS = { bash, zsh, fish } as const;

export function completionCommand(program: () => Promise<Command>): Command {
  return new Command("completion")
    .description("Print a shell completion script")
    .addArgument(new Argument("<shell>", "Shell to complete for").choices(Object.keys(SHELLS)))
    .addHelpText(
      "after",
      `
Examples:
  $ source <(legwork completion bash)                                        in ~/.bashrc
  $ legwork completion zsh > "\${fpath[1]}/_legwork"
  $ legwork completion fish > ~/.config/fish/completions/legwork.fish`,
    )
    .action(async (shell: keyof typeof SHELLS) => {
      console.log(SHELLS[shell](commandsOf(await program())));
    });
}

/** Every command of the program. The name of a subcommand includes its parent's, such as `workflow show`. */
function commandsOf(program: Command): Described[] {
  const describe = (command: Command, name: string): Described[] => {
    const visible = command.createHelp().visibleOptions(command);
    return [
      {
        name,
        meaning: command.description(),
        words: [
          ...command.commands.map((below) => ({ word: below.name(), meaning: below.description() })),
          ...command.registeredArguments.flatMap(({ argChoices = [], description: meaning }) =>
            argChoices.map((word) => ({ word, meaning })),
          ),
          ...visible.map((option) => ({ word: option.long ?? option.short ?? "", meaning: option.description })),
        ],
        values: visible
          .filter((option) => option.required || option.optional)
          .map((option) => ({
            options: [option.long, option.short].filter((flag) => flag !== undefined && flag !== null),
            choices: [...(option.argChoices ?? [])],
          })),
      },
      ...command.commands.flatMap((below) => describe(below, `${name} ${below.name()}`.trim())),
    ];
  };
  return describe(program, "");
}

function bash(commands: readonly Described[]): string {
  const cases = commands.map(({ name, words }) => `    "${name}") words="${words.map(({ word }) => word).join(" ")}" ;;`);
  const values = commands.flatMap(({ name, values: of }) =>
    of.map(
      ({ options, choices }) =>
        `    ${options.map((option) => `"${name} ${option}"`).join("|")}) choices="${choices.join(" ")}"; known=1 ;;`,
    ),
  );
  const names = commands.filter(({ name }) => name !== "").map(({ name }) => `"${name}"`);
  return `# bash completion for legwork
_legwork() {
  local current="\${COMP_WORDS[COMP_CWORD]}" command="" word words choices known="" index
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    case "\${command:+$command }$word" in
      ${names.join("|")}) command="\${command:+$command }$word" ;;
    esac
  done
  case "$command \${COMP_WORDS[COMP_CWORD - 1]}" in
${values.join("\n")}
  esac
  if [[ -n $known ]]; then
    COMPREPLY=($(compgen -W "$choices" -- "$current"))
    [[ -z $choices ]] && compopt -o default
    return
  fi
  case "$command" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _legwork legwork`;
}

function zsh(commands: readonly Described[]): string {
  const quote = (text: string): string => text.replaceAll(/['\\:[\]]/g, (sign) => (sign === "'" ? "'\\''" : `\\${sign}`));
  const cases = commands.map(({ name, words }) => {
    const lines = words.map(({ word, meaning }) => `      '${quote(word)}:${quote(meaning)}'`);
    return `    "${name}") choices=(\n${lines.join("\n")}\n    ) ;;`;
  });
  const values = commands.flatMap(({ name, values: of }) =>
    of.map(
      ({ options, choices }) =>
        `    ${options.map((option) => `"${name} ${option}"`).join("|")}) ${choices.length === 0 ? "_files" : `compadd -- ${choices.join(" ")}`}; return ;;`,
    ),
  );
  const names = commands.filter(({ name }) => name !== "").map(({ name }) => `"${name}"`);
  return `#compdef legwork
_legwork() {
  local command="" word
  local -a typed choices
  typed=("\${(@)words[2,CURRENT-1]}")
  for word in "\${typed[@]}"; do
    case "\${command:+$command }$word" in
      ${names.join("|")}) command="\${command:+$command }$word" ;;
    esac
  done
  case "$command \${typed[-1]}" in
${values.join("\n")}
  esac
  case "$command" in
${cases.join("\n")}
  esac
  _describe legwork choices
}
if [[ "$funcstack[1]" = "_legwork" ]]; then _legwork "$@"; else compdef _legwork legwork; fi`;
}

function fish(commands: readonly Described[]): string {
  const quote = (text: string): string => `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
  const lines = commands.flatMap(({ name, words, values }) => {
    const path = name.split(" ").filter((part) => part !== "");
    const seen = path.map((part) => `__fish_seen_subcommand_from ${part}`);
    const condition = path.length === 0 ? "__fish_use_subcommand" : seen.join("; and ");
    return words.map(({ word, meaning }) => {
      if (!word.startsWith("-")) return `complete -c legwork -f -n ${quote(condition)} -a ${word} -d ${quote(meaning)}`;
      const value = values.find(({ options }) => options.includes(word));
      const takes = value === undefined ? "" : value.choices.length === 0 ? " -r" : ` -x -a ${quote(value.choices.join(" "))}`;
      return `complete -c legwork -n ${quote(condition)} -l ${word.replace(/^-+/, "")}${takes} -d ${quote(meaning)}`;
    });
  });
  return ["# fish completion for legwork", ...lines].join("\n");
}
