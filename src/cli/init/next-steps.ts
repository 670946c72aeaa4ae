import {
  EMBEDDED_PACKAGES,
  GRAPHQL_PACKAGES,
  installMissing,
  SERVER_PACKAGES,
  type PackageManager,
} from "../../optional-packages.ts";
import { compareVersions } from "../../version.ts";
import type { Project } from "./read-project.ts";

/** The commands of each package manager. */
const COMMANDS: Readonly<Record<PackageManager, { add: string; run: string; exec: string }>> = {
  npm: { add: "npm install", run: "npm run", exec: "npx" },
  pnpm: { add: "pnpm add", run: "pnpm", exec: "pnpm" },
  yarn: { add: "yarn add", run: "yarn", exec: "yarn" },
  bun: { add: "bun add", run: "bun run", exec: "bunx" },
};

/** A command to run next, and its purpose. */
export interface NextStep {
  readonly command: string;
  readonly purpose: string;
}

/** The commands from here to the first job. */
export function nextSteps(project: Project, hasSample: boolean): NextStep[] {
  const { add, run, exec } = COMMANDS[project.packageManager];
  const hasDatabase = project.databaseUrlFrom !== undefined;
  const install = installMissing([...SERVER_PACKAGES, ...GRAPHQL_PACKAGES, ...(hasDatabase ? [] : EMBEDDED_PACKAGES)]);
  const steps: NextStep[] = [];
  // If this is npx's copy of Legwork, the install command below also installs Legwork.
  if (!project.hasLegwork && install?.includes(" legwork@") !== true)
    steps.push({ command: `${add} legwork`, purpose: "if it is not installed here yet" });
  if (install !== undefined) {
    const purpose = hasDatabase
      ? "the dashboard's packages; leave this out to only run jobs"
      : "the dashboard's packages, and a Postgres for development";
    // While Legwork is not a dependency, npx runs a copy of it, so use the package manager's own command.
    steps.push({ command: install.includes(" legwork@") ? install : `${exec} legwork install`, purpose });
  }
  if (isOld(project.graphileWorker)) {
    steps.push({
      command: `${project.databaseUrlFrom === "the environment" ? "" : "DATABASE_URL=… "}${exec} legwork migrate --upgrade-graphile-worker`,
      purpose: "read docs/guides/from-graphile-worker.md first: older workers stop",
    });
  }
  return [
    ...steps,
    { command: `${run} jobs:dev`, purpose: "a worker that reloads changed tasks, and the dashboard" },
    {
      command: `${exec} legwork add ${hasSample ? `hello '{"name": "Ada"}'` : "<task> '{…}'"}`,
      purpose: "in another terminal: your first job",
    },
  ];
}

/** Whether a version range starts below the version of graphile-worker that Legwork contains. */
function isOld(range: string | undefined): boolean {
  const [version] = /\d+\.\d+(\.\d+)?/.exec(range ?? "") ?? [];
  return version !== undefined && compareVersions(version, "0.18.0") < 0;
}

/** Notes on the project's framework and database library, one line each. */
export function projectNotes({ framework, database }: Project): string[] {
  const notes: string[] = [];
  if (framework === "Next.js")
    notes.push('Next.js: add `serverExternalPackages: ["legwork"]` to next.config, so that Legwork is not bundled.');
  if (database !== undefined) {
    notes.push(
      `${database.name}: enqueue in your transaction with \`await enqueue(${database.transaction}, "hello", { name: "Ada" })\`.`,
    );
  }
  if (framework !== undefined)
    notes.push(`${framework}: docs/guides/frameworks.md describes the worker, the dashboard and graceful shutdown.`);
  return notes;
}
