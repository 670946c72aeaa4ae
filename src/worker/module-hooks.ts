import { readFileSync } from "node:fs";
// Import the default export, because Node 20 lacks some of the named ones, and a program that imports this file must load there so that it can report
// the unsupported version.
import module, { type LoadHookSync, type ResolveHookSync } from "node:module";
import { fileURLToPath } from "node:url";
import { compileFunction } from "node:vm";
import { assertNode } from "../node-version.ts";

const IS_NODE_22 = process.versions.node.startsWith("22.");

let registered = false;

/** Receives the paths of the user's own modules. */
export interface ModuleListener {
  /** A module is about to be read. */
  readonly loading: (path: string) => void;
  /** A relative import names a file that does not exist. */
  readonly missing: (path: string) => void;
}

let listener: ModuleListener | undefined;

/** Calls the listener for each of the user's modules that is loaded in this thread from now on. */
export function listenToModules(to: ModuleListener): void {
  listener = to;
}

/** Used to recognize Legwork's own modules, because in a checkout they are not in node_modules. */
const OWN_MODULES = new URL("../", import.meta.url).href;

/**
 * Sets how the user's own modules are resolved and loaded: task files, `legwork.config.ts` and their imports. Must be called before the first of
 * these modules is loaded.
 *
 * - `"legwork"`, and each of its entry points, always means this package, wherever the file is, so that a worker and its tasks never use two
 *   versions. Files without a node_modules folder can use Legwork's zod.
 * - `import` and `export` work regardless of the project's package.json. `npm init -y` writes `"type": "commonjs"`, which makes Node reject them in
 *   a `.ts` or `.js` file.
 * - A relative import may omit the extension, or have `.js` for a `.ts` file, as is common in TypeScript projects.
 *
 * Files in node_modules are loaded by Node as usual, except for the first point.
 */
export function importLegworkFromHere(): void {
  if (registered) return;
  assertNode("Loading task files");
  registered = true;
  module.registerHooks({ resolve, load });
}

/** The entry points of this package, by import specifier. */
const ENTRY_POINTS: ReadonlyMap<string, string> = new Map(
  Object.entries({ legwork: "index", "legwork/operations": "operations", "legwork/testing": "testing" }).map(
    ([specifier, file]) => [
      specifier,
      new URL(`../${file}${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url).href,
    ],
  ),
);

const resolve: ResolveHookSync = (specifier, context, nextResolve) => {
  // nextResolve is not used here, because it does not accept URLs from CommonJS files.
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
        // Ignored: the first error has the import as the user wrote it.
      }
    }
    if (/^\.\.?\//.test(specifier)) {
      for (const spelling of [specifier, ...otherSpellings(specifier)])
        listener?.missing(fileURLToPath(new URL(spelling, context.parentURL)));
    }
    throw error;
  }
};

const load: LoadHookSync = (url, context, nextLoad) => {
  const { format } = context;
  if (listener !== undefined && isUsersOwn(url) && !url.startsWith(OWN_MODULES)) listener.loading(fileURLToPath(url));
  // If the format is undecided (null), Node detects it and warns that the project should specify it.
  const isUndecided = format === null || format === undefined || format === "commonjs" || format === "commonjs-typescript";
  const [, extension = ""] = /\.([cm]?[jt]s)$/.exec(url) ?? [];
  if (!isUndecided || extension === "" || !isUsersOwn(url)) return nextLoad(url, context);
  const isTypeScript = extension.endsWith("ts");
  const source = readFileSync(fileURLToPath(url), "utf8");
  if (usesModuleSyntax(source, isTypeScript)) {
    return nextLoad(url, { ...context, format: isTypeScript ? "module-typescript" : "module" });
  }
  // Node 22 cannot require an ES module, such as this package, from a TypeScript file that was imported as CommonJS. If no source is returned, Node
  // uses the loader of `require`, which can do this.
  if (IS_NODE_22 && isTypeScript && context.conditions.includes("import")) {
    return { format: "commonjs", source: undefined, shortCircuit: true };
  }
  return nextLoad(url, context);
};

function isUsersOwn(url: string | undefined): boolean {
  return url !== undefined && url.startsWith("file:") && !url.includes("/node_modules/");
}

/** Returns alternatives for a relative import: `./a.ts` for `./a.js`; `./a.ts`, `./a.js` and `./a/index.ts` for `./a`. */
function otherSpellings(specifier: string): string[] {
  if (!/^\.\.?(\/|$)/.test(specifier)) return [];
  if (/\.[cm]?js$/.test(specifier)) return [specifier.replace(/js$/, "ts")];
  return [".ts", ".js", "/index.ts", "/index.js"].map((ending) => specifier + ending);
}

/**
 * Whether a file can only be an ES module: it contains a keyword that modules use, and does not compile as CommonJS. Node uses the same test if
 * package.json does not specify a type.
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

/**
 * Removes types. Node does this silently when it loads a file, but warns that this function is experimental. For a syntax error, also in JavaScript,
 * throws an error with its location.
 */
export function withoutTypes(source: string, sourceUrl?: string): string {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = () => {};
  try {
    return module.stripTypeScriptTypes(source, sourceUrl === undefined ? {} : { sourceUrl });
  } finally {
    process.emitWarning = emitWarning;
  }
}
