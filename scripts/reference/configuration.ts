import { readFile } from "node:fs/promises";
import { parseSync, Visitor } from "oxc-parser";
import { createProgram } from "../../src/cli/main.ts";
import { code, prose, table } from "./markdown.ts";

const SOURCE = new URL("../../src/config.ts", import.meta.url);

/** Settings that are lists: separated by commas in a variable, or given as a repeated flag. */
const kebab = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Describes every setting with its flag, variable, default and docstring, from the schema in `src/config.ts`. */
export async function configuration(): Promise<string> {
  const source = await readFile(SOURCE, "utf8");
  const { program, comments } = parseSync("config.ts", source);
  const variables = new Map<string, string>();
  const settings: { name: string; start: number; text: string }[] = [];
  new Visitor({
    VariableDeclarator: ({ id, init }) => {
      if (id.type !== "Identifier") return;
      if (id.name === "ENVIRONMENT")
        for (const [, name = "", variable = ""] of source.slice(init!.start, init!.end).matchAll(/(\w+): "(\w+)"/g))
          variables.set(name, variable);
      if (id.name === "configSchema") settings.push(...propertiesOf(source, init!));
    },
  }).visit(program);
  const flags = new Set(
    (await createProgram()).commands
      .filter((command) => ["up", "server", "worker"].includes(command.name()))
      .flatMap((command) => command.options.map(({ long }) => long)),
  );
  const doc = (start: number, name: string): string => {
    const comment = comments.findLast(({ end, type, value }) => end < start && type === "Block" && value.startsWith("*"));
    if (comment === undefined || source.slice(comment.end, start).trim() !== "") return DESCRIBED_BY_NAME[name] ?? "";
    return comment.value.replaceAll(/^\s*\*\s?/gm, "").trim();
  };
  return table(
    ["setting", "flag", "variable", "default", "meaning"],
    settings.map(({ name, start, text }) => {
      const flag = `--${kebab(name)}`;
      return [
        code(name),
        flags.has(flag) ? code(flag) : "",
        code(variables.get(name) ?? ""),
        defaultOf(text),
        prose(doc(start, name)),
      ];
    }),
  );
}

const DESCRIBED_BY_NAME: Readonly<Record<string, string>> = {
  logLevel: "The least severe messages that are logged, or `silent`.",
};

interface Node {
  readonly start: number;
  readonly end: number;
}

/** Returns the properties of the first argument of `z.strictObject`. */
function propertiesOf(source: string, init: Node): { name: string; start: number; text: string }[] {
  const found: { name: string; start: number; text: string }[] = [];
  const offset = init.start;
  const { program } = parseSync("schema.ts", `(${source.slice(init.start, init.end)})`);
  new Visitor({
    CallExpression: ({ callee, arguments: [given] }) => {
      if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier" || callee.property.name !== "strictObject")
        return;
      if (given?.type !== "ObjectExpression") return;
      for (const property of given.properties) {
        if (property.type !== "Property" || property.key.type !== "Identifier") continue;
        const start = property.start - 1 + offset;
        found.push({ name: property.key.name, start, text: source.slice(start, property.end - 1 + offset) });
      }
    },
  }).visit(program);
  return found;
}

/** Returns the value of `.default(…)`. Durations are in milliseconds there. */
function defaultOf(text: string): string {
  const value = /\.default\((.+?)\)/.exec(text)?.[1];
  if (value === undefined) return "";
  if (/^duration\b/.test(text.replace(/^\w+:\s*/, ""))) return code(`${Number(value.replaceAll("_", "")) / 1_000}s`);
  const plain = value
    .replaceAll("_", "")
    .replace(/^\[(.*)\]$/, "$1")
    .replaceAll('"', "");
  return plain === "" ? "" : code(plain);
}
