import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, extname, join, relative, resolve } from "node:path";
import { loadConfig } from "../../config.ts";
import { LegworkError } from "../../errors.ts";
import { loadWorkerConfig } from "../../worker/graphile/preset.ts";
import type { Project } from "./read-project.ts";

/** Where a project has its tasks, or where they will be created. */
export interface TaskPlace {
  /** Directories relative to the project. The sample task is created in the first one. */
  readonly directories: readonly string[];
  readonly crontab: string | undefined;
  /** Whether Legwork finds them without a new legwork.config file. */
  readonly isConfigured: boolean;
  /** Whether there already are task files. */
  readonly hasTasks: boolean;
}

const CONFIG_FILES = ["legwork.config.ts", "legwork.config.js", "legwork.config.mjs"];

/** The maximum number of source files that are searched for a call to graphile-worker. */
const MOST_FILES = 2_000;

/**
 * Finds the folder of the tasks: as configured in legwork.config or graphile.config, as passed to graphile-worker in the project's code or scripts,
 * or else a folder for new tasks. Throws LW514 if a configuration cannot be read, and LW409 if all default names for a folder are taken.
 */
export async function findTasks(project: Project): Promise<TaskPlace> {
  const { directory } = project;
  const preset = await loadWorkerConfig();
  if (CONFIG_FILES.some((file) => existsSync(join(directory, file))) || preset?.settings.tasks !== undefined) {
    const { config } = await loadConfig({}, {}, directory, preset?.settings);
    return place(
      directory,
      config.tasks.map((one) => relative(directory, resolve(directory, one)) || "."),
      config.crontab,
      true,
    );
  }
  if (project.graphileWorker !== undefined) {
    const found = usedByGraphileWorker(project);
    const tasks = found.tasks ?? "tasks";
    const crontab = found.crontab ?? "crontab";
    if (existsSync(join(directory, tasks))) return place(directory, [tasks], crontab, tasks === "tasks" && crontab === "crontab");
  }
  const folder = freeFolder(directory);
  return place(directory, [folder], undefined, folder === "tasks");
}

function place(directory: string, directories: readonly string[], crontab: string | undefined, isConfigured: boolean): TaskPlace {
  const hasTasks = directories.some((one) => filesBelow(join(directory, one)).length > 0);
  return {
    directories,
    crontab: crontab !== undefined && existsSync(resolve(directory, crontab)) ? crontab : undefined,
    isConfigured,
    hasTasks,
  };
}

/**
 * The folder for new tasks. It is in `src` if the project has that folder, because a TypeScript file outside would change the layout of the
 * compiler's output. A folder with files of another program is not used.
 */
function freeFolder(directory: string): string {
  const hasSource = statSync(join(directory, "src"), { throwIfNoEntry: false })?.isDirectory() === true;
  const names = ["tasks", "jobs", "legwork-tasks"].map((name) => (hasSource ? `src/${name}` : name));
  const free = names.find((name) => {
    const found = statSync(join(directory, name), { throwIfNoEntry: false });
    if (found === undefined) return true;
    if (!found.isDirectory()) return false;
    const files = filesBelow(join(directory, name));
    return files.length === 0 || files.some((file) => /["']legwork["']/.test(readFileSync(file, "utf8")));
  });
  if (free !== undefined) return free;
  throw new LegworkError("LW409", `${names.join(", ")} already exist but contain no Legwork tasks.`, {
    hint: 'Create a folder for the tasks, and set it in legwork.config.mjs: `export default { tasks: ["my/tasks"] };`.',
  });
}

/** The folder and crontab of a project that calls graphile-worker with `taskDirectory`, or starts it with `--crontab`. */
function usedByGraphileWorker({ directory, scripts }: Project): { tasks?: string; crontab?: string } {
  const [, option] = /\bgraphile-worker\b.*?\s--crontab[ =]["']?([^\s"']+)/.exec(Object.values(scripts).join("\n")) ?? [];
  const found: { tasks?: string; crontab?: string } = option === undefined ? {} : { crontab: option };
  for (const file of sourceFiles(directory)) {
    const source = readFileSync(file, "utf8");
    if (!source.includes("graphile-worker")) continue;
    found.tasks ??= pathIn(source, "taskDirectory", directory, file);
    found.crontab ??= pathIn(source, "crontabFile", directory, file);
  }
  return found;
}

/** The path in a property of an object literal, relative to the project; undefined if it is computed or the path does not exist. */
function pathIn(source: string, property: string, directory: string, file: string): string | undefined {
  const own = String.raw`\$\{__dirname\}\/|\$\{import\.meta\.dirname\}\/`;
  const [, isBeside, path] = new RegExp(`\\b${property}:\\s*["'\`](${own})?([\\w./@-]+)["'\`]`).exec(source) ?? [];
  if (path === undefined) return undefined;
  const absolute = resolve(isBeside === undefined ? directory : dirname(file), path);
  return existsSync(absolute) ? relative(directory, absolute) : undefined;
}

function sourceFiles(directory: string): string[] {
  return filesBelow(directory).filter((file) => /^\.[cm]?[jt]s$/.test(extname(file)) && statSync(file).size < 500_000);
}

/** The files below a directory, without hidden files and packages. Empty if the directory does not exist. */
function filesBelow(directory: string): string[] {
  const found: string[] = [];
  const pending = [directory];
  for (let next = pending.shift(); next !== undefined && found.length < MOST_FILES; next = pending.shift()) {
    if (statSync(next, { throwIfNoEntry: false })?.isDirectory() !== true) continue;
    for (const entry of readdirSync(next, { withFileTypes: true })) {
      if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
      const path = join(next, entry.name);
      if (entry.isDirectory()) pending.push(path);
      else if (entry.isFile()) found.push(path);
    }
  }
  return found;
}
