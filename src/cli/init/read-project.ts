import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { parse as parseJsonc } from "jsonc-parser";
import { LegworkError, toError } from "../../errors.ts";
import { ENV_FILES } from "../dev/env-files.ts";
import { packageManager, type PackageManager } from "../../optional-packages.ts";

/** What `legwork init` has found in a project. Contains no secrets: only the name of the file with a DATABASE_URL, not its value. */
export interface Project {
  readonly directory: string;
  /** The text of package.json. */
  readonly manifest: string;
  readonly scripts: Readonly<Record<string, unknown>>;
  readonly packageManager: PackageManager;
  readonly isTypeScript: boolean;
  /** Whether .js files are ES modules. */
  readonly isModule: boolean;
  /** Whether the TypeScript compiler rejects `import` in a .ts file: with verbatimModuleSyntax, it must match the output, which is CommonJS. */
  readonly refusesImport: boolean;
  readonly framework: Framework | undefined;
  readonly database: DatabaseLibrary | undefined;
  /** The version range of graphile-worker in package.json. */
  readonly graphileWorker: string | undefined;
  readonly hasLegwork: boolean;
  /** Whether the project has a version of zod whose schemas Legwork accepts. */
  readonly hasZod: boolean;
  /** The file with a DATABASE_URL, or "the environment". */
  readonly databaseUrlFrom: string | undefined;
}

/** Frameworks with a section in docs/guides/frameworks.md, by package. If a project uses several, the first one listed counts. */
const FRAMEWORKS = { "@nestjs/core": "NestJS", next: "Next.js", fastify: "Fastify", express: "Express" } as const;
type Framework = (typeof FRAMEWORKS)[keyof typeof FRAMEWORKS];

/** Libraries whose transactions `enqueue` accepts, with the variable name that their documentation uses. An ORM precedes its driver. */
const LIBRARIES = {
  "@prisma/client": { name: "Prisma", transaction: "tx" },
  "drizzle-orm": { name: "Drizzle", transaction: "tx" },
  typeorm: { name: "TypeORM", transaction: "manager" },
  "@mikro-orm/core": { name: "MikroORM", transaction: "em" },
  sequelize: { name: "Sequelize", transaction: "transaction" },
  knex: { name: "Knex", transaction: "trx" },
  kysely: { name: "Kysely", transaction: "trx" },
  postgres: { name: "postgres.js", transaction: "sql" },
  pg: { name: "pg", transaction: "client" },
} as const;
type DatabaseLibrary = (typeof LIBRARIES)[keyof typeof LIBRARIES];

/**
 * Inspects the project in a directory without running any of its code. Throws LW404 if there is no package.json, and LW400 if it cannot be read.
 */
export function readProject(directory: string): Project {
  const path = join(directory, "package.json");
  if (!existsSync(path)) {
    throw new LegworkError("LW404", `${directory} has no package.json.`, {
      hint: "Run `legwork init` in your project's folder, or create a project with `npm init -y` first.",
    });
  }
  const manifest = readFileSync(path, "utf8");
  const { type, scripts, ...parsed } = parseManifest(path, manifest);
  const packages = { ...entries(parsed.devDependencies), ...entries(parsed.dependencies) };
  const firstOf = <Value>(known: Readonly<Record<string, Value>>): Value | undefined =>
    Object.entries(known).find(([name]) => packages[name] !== undefined)?.[1];
  return {
    directory,
    manifest,
    scripts: entries(scripts),
    packageManager: packageManager(directory, process.env["npm_config_user_agent"]),
    isTypeScript: packages["typescript"] !== undefined || existsSync(join(directory, "tsconfig.json")),
    isModule: type === "module",
    refusesImport: type !== "module" && refusesImport(join(directory, "tsconfig.json")),
    framework: firstOf(FRAMEWORKS),
    database: firstOf(LIBRARIES),
    graphileWorker: textOf(packages["graphile-worker"]),
    hasLegwork: packages["legwork"] !== undefined,
    hasZod: /^[~^]?4\b/.test(textOf(packages["zod"]) ?? ""),
    databaseUrlFrom: databaseUrlFrom(directory),
  };
}

/** Returns the file in a directory that has a DATABASE_URL, or "the environment". */
export function databaseUrlFrom(directory: string): string | undefined {
  return process.env["DATABASE_URL"] ? "the environment" : ENV_FILES.find((file) => hasDatabaseUrl(join(directory, file)));
}

/** Whether this tsconfig.json itself has verbatimModuleSyntax and decides about modules like Node. `tsc --init` writes both. */
function refusesImport(path: string): boolean {
  if (!existsSync(path)) return false;
  const { compilerOptions } = entries(parseJsonc(readFileSync(path, "utf8"), undefined, { allowTrailingComma: true }));
  const { verbatimModuleSyntax, module } = entries(compilerOptions);
  return verbatimModuleSyntax === true && /^node(16|18|20|next)$/i.test(textOf(module) ?? "");
}

function parseManifest(path: string, text: string): Readonly<Record<string, unknown>> {
  let parsed: unknown;
  try {
    // npm also accepts a byte order mark.
    parsed = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    throw unreadable(`${path} is not valid JSON: ${toError(error).message.replaceAll(/\s+/g, " ").replace(/\.?$/, ".")}`, error);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) throw unreadable(`${path} is not a JSON object.`);
  return parsed as Record<string, unknown>;
}

function unreadable(message: string, cause?: unknown): LegworkError {
  return new LegworkError("LW400", message, { hint: "Correct it, then run `legwork init` again.", cause });
}

function entries(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function hasDatabaseUrl(path: string): boolean {
  if (!existsSync(path)) return false;
  const { DATABASE_URL } = parseEnv(readFileSync(path, "utf8"));
  return DATABASE_URL !== undefined && DATABASE_URL !== "";
}
