import { readFileSync } from "node:fs";
import { type LoadHookSync, registerHooks, type ResolveHookSync, stripTypeScriptTypes } from "node:module";
import { fileURLToPath } from "node:url";
import { compileFunction } from "node:vm";

let registered = false;

/**
 * How the user's own modules are found and read: task files, `legwork.config.ts` and what they import. Called before the first of them is loaded.
 *
 * - `"legwork"`, and each of its entry points, means this very package, wherever the file is, so that a worker and its tasks never meet in two versions. A file without a
 *   node_modules of its own can use our zod.
 * - `import` and `export` work whatever the project's package.json says. `npm init -y` writes `"type": "commonjs"`, with which Node refuses them
 *   in a `.ts` or `.js` file.
 * - A relative import may leave out the extension, or say `.js` where the file is `.ts`, as TypeScript projects do.
 *
 * Files in node_modules are left to Node, except for the first point.
 */
export function importLegworkFromHere(): void {
  if (registered) return;
  registered = true;
  registerHooks({ resolve, load });
}

/** The entry points of this package, by what imports them. */
const ENTRY_POINTS: ReadonlyMap<string, string> = new Map(
  Object.entries({ legwork: "index", "legwork/operations": "operations", "legwork/testing": "testing" }).map(
    ([specifier, file]) => [
      specifier,
      new URL(`../${file}${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url).href,
    ],
  ),
);

const resolve: ResolveHookSync = (specifier, context, nextResolve) => {
  // Not by nextResolve, which takes no URL when the caller is a CommonJS file.
  const entryPoint = ENTRY_POINTS.get(specifier);
  if (entryPoint !== undefined) return { url: entryPoint, shortCircuit: true };
  try {
    return nextResolve(specifier, context);
  } catch (error) {
    if (specifier === "zod") return { url: import.meta.resolve("zod"), shortCircuit: true };
    if (!isUsersOwn(context.parentURL)) throw error;
    for (const other of otherSpellings(specifier)) {
      try {
        return nextResolve(other, context);
      } catch {
        // The first error names what the user wrote.
      }
    }
    throw error;
  }
};

const load: LoadHookSync = (url, context, nextLoad) => {
  const { format } = context;
  // A format that Node has not settled on (null) is one it detects itself, with a warning that the project should settle it.
  const isUndecided = format === null || format === undefined || format === "commonjs" || format === "commonjs-typescript";
  const [, extension = ""] = /\.([cm]?[jt]s)$/.exec(url) ?? [];
  if (!isUndecided || extension === "" || !isUsersOwn(url)) return nextLoad(url, context);
  const isTypeScript = extension.endsWith("ts");
  if (!usesModuleSyntax(readFileSync(fileURLToPath(url), "utf8"), isTypeScript)) return nextLoad(url, context);
  return nextLoad(url, { ...context, format: isTypeScript ? "module-typescript" : "module" });
};

function isUsersOwn(url: string | undefined): boolean {
  return url !== undefined && url.startsWith("file:") && !url.includes("/node_modules/");
}

/** What else a relative import may mean: `./a.js` the file `./a.ts`, `./a` the file `./a.ts`, `./a.js` or `./a/index.ts`. */
function otherSpellings(specifier: string): string[] {
  if (!/^\.\.?(\/|$)/.test(specifier)) return [];
  if (/\.[cm]?js$/.test(specifier)) return [specifier.replace(/js$/, "ts")];
  return [".ts", ".js", "/index.ts", "/index.js"].map((ending) => specifier + ending);
}

/**
 * Whether a file can only be a module: it has a word that a module would have, and does not compile as CommonJS. Node goes by the same test
 * where package.json says nothing.
 */
function usesModuleSyntax(source: string, isTypeScript: boolean): boolean {
  if (!/\b(?:import|export|await)\b/.test(source)) return false;
  try {
    compileFunction(isTypeScript ? withoutTypes(source) : source);
    return false;
  } catch {
    return true;
  }
}

/** Node removes types silently as it loads a file. Asked to by a program, it warns once that this function may change. */
function withoutTypes(source: string): string {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = () => {};
  try {
    return stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = emitWarning;
  }
}
