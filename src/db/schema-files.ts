import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { MINIMUM_VERSION, VERSION } from "../version.ts";
import { splitSql } from "./split-sql.ts";

/** A file of `sql/migrations/`: tables, types, indexes and data. Never changed after a release. */
export interface Migration {
  /** The number at the beginning of its file name. */
  readonly id: number;
  /** The file name without its extension, such as `0001_baseline`. */
  readonly name: string;
  readonly sql: string;
  /** SQL that runs after the definitions, with graphile-worker's tables locked (`0001_baseline.after.sql`); empty if there is no such file. */
  readonly after: string;
  /** SHA-256 of `sql` and `after`. */
  readonly checksum: string;
}

/** A function, view, trigger or policy of `sql/definitions/`, with its comments and grants; or the comments at the beginning of a file. */
export interface Definition {
  /**
   * The object that it creates, named as in the catalog: `function legwork.redact(jsonb, text[])`, `view legwork.jobs`, `trigger _legwork_admit on
   * graphile_worker._private_jobs`.
   */
  readonly object: string;
  readonly kind: "function" | "view" | "trigger" | "policy" | "comments";
  readonly statements: readonly string[];
  /** SHA-256 of the statements. */
  readonly hash: string;
  /** Its file, relative to `sql/definitions/`. */
  readonly file: string;
}

/** The SQL files of a version of Legwork. */
export interface SchemaFiles {
  readonly version: string;
  /** The oldest version that may use the schema. */
  readonly minimumVersion: string;
  readonly migrations: readonly Migration[];
  /** In the order in which they can be created. */
  readonly definitions: readonly Definition[];
  /** SHA-256 of all definitions. */
  readonly definitionsHash: string;
}

let read: SchemaFiles | undefined;

/** Returns the SQL files of this version. They are read once. */
export function schemaFiles(): SchemaFiles {
  read ??= readSchemaFiles(sqlDirectory());
  return read;
}

/** Returns the directory `sql`: next to `src/` in a checkout, next to `dist/` in the published package. */
function sqlDirectory(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, "sql", "definitions", "manifest.txt"))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error("The sql directory of Legwork is missing.");
    directory = parent;
  }
  return join(directory, "sql");
}

export function readSchemaFiles(directory: string, version = VERSION, minimumVersion = MINIMUM_VERSION): SchemaFiles {
  const definitions = readDefinitions(join(directory, "definitions"));
  return {
    version,
    minimumVersion,
    migrations: readMigrations(join(directory, "migrations")),
    definitions,
    definitionsHash: hash(definitions.map((definition) => `${definition.object} ${definition.hash}`).join("\n")),
  };
}

function readMigrations(directory: string): Migration[] {
  return readdirSync(directory)
    .filter((file) => /^\d{4}_\w+\.sql$/.test(file))
    .toSorted()
    .map((file) => {
      const name = file.slice(0, -".sql".length);
      const later = join(directory, `${name}.after.sql`);
      const sql = readFileSync(join(directory, file), "utf8");
      const after = existsSync(later) ? readFileSync(later, "utf8") : "";
      return { id: Number(file.slice(0, 4)), name, sql, after, checksum: hash(`${sql}\n${after}`) };
    });
}

/** Reads the definitions of the files that `manifest.txt` lists, in its order. */
function readDefinitions(directory: string): Definition[] {
  const files = readFileSync(join(directory, "manifest.txt"), "utf8")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  const definitions = files.flatMap((file) => parseDefinitions(file, readFileSync(join(directory, file), "utf8")));
  const seen = new Map<string, string>();
  for (const { object, file } of definitions) {
    const other = seen.get(object);
    if (other !== undefined) throw new Error(`The ${object} is defined twice: in ${other} and in ${file}.`);
    seen.set(object, file);
  }
  return definitions;
}

/** Statements that create an object. */
const MADE: readonly [kind: Definition["kind"], statement: RegExp][] = [
  ["function", /^create (?:or replace )?(?:function|aggregate) ([\w.]+)\s*\(/i],
  ["view", /^create (?:or replace )?view ([\w.]+)/i],
  ["trigger", /^create (?:or replace )?(?:constraint )?trigger (\w+)\s[\s\S]*?\son ([\w.]+)/i],
  ["policy", /^create policy (\w+) on ([\w.]+)/i],
];

/**
 * Parses definitions: each statement that creates an object starts a new definition; the statements that follow it (comments, grants) belong to that
 * definition.
 */
function parseDefinitions(file: string, sql: string): Definition[] {
  const groups: { object: string; kind: Definition["kind"]; statements: string[] }[] = [];
  for (const statement of splitSql(sql)) {
    const made = madeBy(statement);
    if (made !== undefined) groups.push({ ...made, statements: [] });
    else if (groups.length === 0) groups.push({ object: `comments ${file}`, kind: "comments", statements: [] });
    groups.at(-1)?.statements.push(statement);
  }
  return groups.map(({ object, kind, statements }) => ({ object, kind, statements, hash: hash(statements.join(";\n")), file }));
}

function madeBy(statement: string): Pick<Definition, "object" | "kind"> | undefined {
  for (const [kind, pattern] of MADE) {
    const match = pattern.exec(statement);
    const [matched = "", name = "", table] = match ?? [];
    if (match === null) continue;
    if (kind === "function") return { kind, object: `function ${name}(${argumentTypes(statement.slice(matched.length))})` };
    return { kind, object: table === undefined ? `${kind} ${name}` : `${kind} ${name} on ${table}` };
  }
  return undefined;
}

/** The catalog's names of types that the files write with a shorter name. */
const LONG_NAMES: Readonly<Record<string, string>> = {
  bool: "boolean",
  float8: "double precision",
  int: "integer",
  int4: "integer",
  int8: "bigint",
  timestamptz: "timestamp with time zone",
};

/** Returns the types of a function's input parameters as the catalog lists them. `text` begins after the opening parenthesis. */
function argumentTypes(text: string): string {
  const parameters: string[] = [];
  let depth = 0;
  let from = 0;
  // Strings may contain parentheses and commas.
  for (const { 0: token, index } of text.matchAll(/'(?:[^']|'')*'|--[^\n]*|[(),[\]]/g)) {
    if (token === "(" || token === "[") depth += 1;
    else if (token === "]") depth -= 1;
    else if (token === "," && depth === 0) {
      parameters.push(text.slice(from, index));
      from = index + 1;
    } else if (token === ")") {
      if (depth === 0) {
        parameters.push(text.slice(from, index));
        break;
      }
      depth -= 1;
    }
  }
  return parameters
    .map((parameter) =>
      parameter
        .replaceAll(/--[^\n]*/g, "")
        .replace(/\s(?:default|:?=)\s[\s\S]*$/i, "")
        .trim()
        .replaceAll(/\s+/g, " "),
    )
    .filter((parameter) => parameter !== "" && !/^out\b/i.test(parameter))
    .map((parameter) => {
      const words = parameter.replace(/^(?:in|inout|variadic) /i, "").split(" ");
      // All parameters except those of aggregates have a name.
      const type = (words.length === 1 ? words : words.slice(1)).join(" ");
      const [, base = type, array = ""] = /^(.*?)((?:\[\])*)$/.exec(type) ?? [];
      return `${LONG_NAMES[base] ?? base}${array}`;
    })
    .join(", ");
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
