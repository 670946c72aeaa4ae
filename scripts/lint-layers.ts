import { dirname, relative, resolve, sep } from "node:path";

/** As much of oxlint's plugins as is used here; its package exports no types of them. */
interface Node {
  readonly source?: Node | null;
  readonly value?: unknown;
}
interface Context {
  readonly filename: string;
  report(problem: { node: Node; message: string }): void;
}

// What each folder and file directly in `src` may import of ours, besides itself. What is not named here is an error, so that a new folder gets its
// place when it is made.
const FOUNDATION = [
  "action",
  "bounds",
  "config",
  "contract",
  "duration",
  "errors",
  "id",
  "json",
  "log",
  "loop",
  "snake-case",
  "stderr-destination",
  "thrown",
  "validate",
  "optional-packages",
  "version",
  "within",
  "wording",
];
const OPERATIONS = ["access", "health", "jobs", "queues", "schedules", "workflows"];
const BELOW_SERVICES = [...OPERATIONS, "db", ...FOUNDATION];
const SERVICES = ["embedded", "server", "worker"];

const MAY_IMPORT: Record<string, readonly string[]> = {
  action: [],
  duration: [],
  id: [],
  loop: [],
  "snake-case": [],
  "stderr-destination": ["wording"],
  thrown: ["wording"],
  validate: [],
  version: [],
  "optional-packages": ["errors", "version"],
  within: [],
  wording: [],
  errors: ["action", "duration", "thrown"],
  log: ["stderr-destination"],
  bounds: ["duration", "errors", "id"],
  json: ["errors"],
  config: ["duration", "errors", "log"],
  // The browser takes it in: nothing of Node's, nothing that reads or writes.
  contract: ["action", "bounds", "duration", "errors", "id", "json", "snake-case", "wording"],
  db: FOUNDATION,
  ...Object.fromEntries(OPERATIONS.map((folder) => [folder, BELOW_SERVICES])),
  // Server and worker know nothing of each other.
  ...Object.fromEntries(SERVICES.map((folder) => [folder, BELOW_SERVICES])),
  // The same operations as a tree, and as functions.
  api: BELOW_SERVICES,
  operations: BELOW_SERVICES,
  embed: ["api", ...SERVICES, ...BELOW_SERVICES],
  testing: [...SERVICES, ...BELOW_SERVICES],
  cli: [...SERVICES, ...BELOW_SERVICES],
  index: ["api", "embed", ...BELOW_SERVICES],
  dashboard: ["contract", "wording"],
};

const SOURCE = resolve(import.meta.dirname, "../src");

/** The folder or file directly in `src` that a path lies in, without its extension; undefined outside of `src`. */
function layerOf(path: string): string | undefined {
  const inside = relative(SOURCE, path);
  return inside.startsWith("..") ? undefined : inside.split(sep)[0]?.replace(/\.tsx?$/, "");
}

/** The rule `legwork/layers`: reports imports against the direction of the layers, of values and types, at the top and within functions. */
function createLayersRule(context: Context): Record<string, (node: Node) => void> {
  const from = layerOf(context.filename);
  if (from === undefined) return {};
  const allowed = MAY_IMPORT[from];
  const check = (node: Node): void => {
    const specifier = node.source?.value;
    if (typeof specifier !== "string" || !specifier.startsWith(".")) return;
    const to = layerOf(resolve(dirname(context.filename), specifier));
    if (to === from) return;
    if (allowed === undefined) {
      context.report({ node, message: `src/${from} has no layer yet: say in scripts/lint-layers.ts what it may import.` });
    } else if (to === undefined) {
      context.report({ node, message: `src/${from} may not import what lies outside of src.` });
    } else if (!allowed.includes(to)) {
      context.report({
        node,
        message: `src/${from} may not import src/${to}. Of our own code, it may import ${allowed.join(", ") || "nothing"}.`,
      });
    }
  };
  return {
    ImportDeclaration: check,
    ExportAllDeclaration: check,
    ExportNamedDeclaration: check,
    ImportExpression: check,
    TSImportType: check,
  };
}

export default { meta: { name: "legwork" }, rules: { layers: { create: createLayersRule } } };
