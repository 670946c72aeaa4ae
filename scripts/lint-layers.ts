import { dirname, relative, resolve, sep } from "node:path";

/** The part of oxlint's plugin API that this file uses. Its package exports no types for plugins. */
interface Node {
  readonly source?: Node | null;
  readonly value?: unknown;
}
interface Context {
  readonly filename: string;
  report(problem: { node: Node; message: string }): void;
}

// The layers that each folder and file directly in `src` may import, in addition to itself. A missing name is an error, so that every new folder is
// assigned its layers when it is created.
const FOUNDATION = [
  "action",
  "bounds",
  "config",
  "contract",
  "duration",
  "errors",
  "hide-secrets",
  "id",
  "job-links",
  "json",
  "listen-error",
  "log",
  "loop",
  "nearest-name",
  "snake-case",
  "stderr-destination",
  "thrown",
  "validate",
  "node-version",
  "optional-packages",
  "version",
  "within",
  "wording",
];
const OPERATIONS = ["access", "health", "import", "jobs", "queues", "schedules", "workflows"];
const BELOW_SERVICES = [...OPERATIONS, "db", ...FOUNDATION];
const SERVICES = ["embedded", "server", "worker"];

const MAY_IMPORT: Record<string, readonly string[]> = {
  action: [],
  duration: [],
  id: [],
  loop: [],
  "nearest-name": [],
  "job-links": [],
  "snake-case": [],
  "stderr-destination": ["wording"],
  thrown: ["wording"],
  validate: [],
  version: [],
  "node-version": ["errors"],
  "optional-packages": ["errors", "version"],
  within: [],
  wording: [],
  errors: ["action", "duration", "thrown"],
  "hide-secrets": ["json"],
  log: ["hide-secrets", "stderr-destination"],
  bounds: ["duration", "errors", "id"],
  "listen-error": ["errors"],
  json: ["errors"],
  config: ["duration", "errors", "job-links", "log"],
  // The browser loads this layer, so it must not use Node's modules or do any I/O.
  contract: ["action", "bounds", "duration", "errors", "id", "json", "snake-case", "wording"],
  db: FOUNDATION,
  ...Object.fromEntries(OPERATIONS.map((folder) => [folder, BELOW_SERVICES])),
  // The server and the worker do not depend on each other.
  ...Object.fromEntries(SERVICES.map((folder) => [folder, BELOW_SERVICES])),
  // Both contain all operations, one as a tree and the other as functions.
  api: BELOW_SERVICES,
  operations: BELOW_SERVICES,
  "define-config": ["config", "jobs"],
  embed: ["api", ...SERVICES, ...BELOW_SERVICES],
  testing: [...SERVICES, ...BELOW_SERVICES],
  cli: [...SERVICES, ...BELOW_SERVICES],
  index: ["api", "define-config", "embed", ...BELOW_SERVICES],
  dashboard: ["contract", "wording"],
};

const SOURCE = resolve(import.meta.dirname, "../src");

/** Returns the folder or file directly in `src` that contains a path, without its extension. Undefined outside `src`. */
function layerOf(path: string): string | undefined {
  const inside = relative(SOURCE, path);
  return inside.startsWith("..") ? undefined : inside.split(sep)[0]?.replace(/\.tsx?$/, "");
}

/** The rule `legwork/layers`: reports imports against the direction of the layers, of values and types, at the top level and within functions. */
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
      context.report({
        node,
        message: `src/${from} has no layer yet. Add the layers that it may import to scripts/lint-layers.ts.`,
      });
    } else if (to === undefined) {
      context.report({ node, message: `src/${from} may not import files outside src.` });
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
