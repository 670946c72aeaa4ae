import { readFile } from "node:fs/promises";
import * as http from "node:http";
import { stripTypeScriptTypes } from "node:module";
import * as legworkOperations from "../../src/operations.ts";
import * as legwork from "../../src/index.ts";
import * as legworkTesting from "../../src/testing.ts";
import * as fastify from "fastify";
import * as zod from "zod";

const MODULES: Readonly<Record<string, object>> = {
  legwork,
  "legwork/operations": legworkOperations,
  "legwork/testing": legworkTesting,
  "node:http": http,
  fastify,
  zod,
};

export interface Documented {
  /** The position of the docstring, for the failure message. */
  where: string;
  /** The documented function or member. */
  name: string;
  /** Undefined if the docstring has no example. */
  example: string | undefined;
}

/** The docstrings of a source file's exports with these names: functions, classes, and the members of interfaces. */
export async function documentedIn(path: string, exported: readonly string[]): Promise<Documented[]> {
  const source = await readFile(new URL(`../../src/${path}`, import.meta.url), "utf8");
  const found: Documented[] = [];
  const docstrings = /^( *)\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n((?: *\/\/.*\n)*)(.*)$/gm;
  for (const { 1: indent = "", 2: text = "", 4: line = "", index } of source.matchAll(docstrings)) {
    const name =
      indent === ""
        ? /^export (?:async )?(?:function|const|class) (\w+)/.exec(line)?.[1]
        : /^ *(?:readonly )?(\w+)(?:<[^>]*>)?(?:\(|: (?:BoundEnqueue|\())/.exec(line)?.[1];
    if (name === undefined || !exported.includes(indent === "" ? name : interfaceAround(source, index))) continue;
    const [, code] = /@example\n([\s\S]*)$/.exec(text.replaceAll(/^ *\* ?/gm, "")) ?? [];
    const lineNumber = source.slice(0, index).split("\n").length;
    found.push({ where: `src/${path}:${lineNumber}`, name, example: code?.trimEnd() });
  }
  return found;
}

function interfaceAround(source: string, index: number): string {
  return [...source.slice(0, index).matchAll(/^(?:export )?interface (\w+)/gm)].at(-1)?.[1] ?? "";
}

/** Runs an example with these variables. Its imports resolve to this checkout, and its output is discarded. */
export async function runExample(example: string, variables: Readonly<Record<string, unknown>>): Promise<void> {
  const code = stripTypeScriptTypes(example, { mode: "transform" })
    .replaceAll(/^import \{([^}]*)\} from "([^"]+)";$/gm, (_match, names: string, module: string) =>
      names.trim() === "" ? "" : `const {${names.replaceAll(" as ", ": ")}} = modules[${JSON.stringify(module)}];`,
    )
    .replaceAll(/^export default /gm, "return ");
  const names = ["modules", "console", ...Object.keys(variables).filter((name) => !declares(code, name))];
  // oxlint-disable-next-line typescript/no-implied-eval -- the code comes from this project's docstrings
  const AsyncFunction = (async () => {}).constructor as new (...code: string[]) => (...values: unknown[]) => Promise<unknown>;
  const values: Record<string, unknown> = { ...variables, modules: MODULES, console: { log: () => {} } };
  await new AsyncFunction(...names, code)(...names.map((name) => values[name]));
}

function declares(code: string, name: string): boolean {
  return new RegExp(`\\bconst (?:${name}\\b|\\{[^}]*\\b${name}\\b[^}]*\\} =)`).test(code);
}
