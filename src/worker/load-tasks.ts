import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { getTasks, Logger as GraphileLogger, type Task as PlainTask } from "graphile-worker";
import { z } from "zod";
import { LegworkError, toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { definitionOf, type TaskDefinition } from "../jobs/define-task.ts";
import { describeLimits, describeRetry } from "../jobs/task-policy.ts";
import { executablesPlugin, GRAPHILE_EXECUTABLES } from "./graphile/executable-tasks.ts";
import { importLegworkFromHere } from "./module-hooks.ts";
import type { WorkerConfig } from "./graphile/preset.ts";
import { skippedFilesLogger } from "./graphile/skipped-files.ts";

/** Characters of a task's name, as the database keeps it. */
const MAX_NAME = 128;

export interface LoadedTask {
  readonly name: string;
  /** Where it was loaded from; undefined for what was given as a function. */
  readonly file?: string | undefined;
  /** What was loaded; called as it is for a plain graphile-worker task. */
  readonly function: PlainTask;
  /** Undefined for a plain graphile-worker task. */
  readonly definition: TaskDefinition<z.ZodType, z.ZodType> | undefined;
}

/** graphile-worker's own list, and .cts. Of two files for one task, the first in this order is taken. */
const FILE_EXTENSIONS = [".js", ".cjs", ".mjs", ".ts", ".mts", ".cts"];

/**
 * Loads every task below the directories, by graphile-worker's own rules: a file's path without its extension is the
 * task's name, executables are tasks too. Throws LW515 for a directory that is not there, a file that cannot be loaded or
 * is no task, a name of more than 128 characters, one that is not what the task's definition states, and one that two directories have. The plugins of `config` load tasks too. A file that is left out because of its name is warned about.
 */
export async function loadTasks(
  directories: readonly string[],
  log: Logger,
  config?: WorkerConfig,
): Promise<Map<string, LoadedTask>> {
  importLegworkFromHere();
  const loaded = new Map<string, LoadedTask>();
  const origin = new Map<string, string>();
  for (const directory of directories.map((path) => resolve(path))) {
    if (!existsSync(directory)) {
      throw new LegworkError("LW515", `The tasks directory ${directory} does not exist.`, {
        hint: "Create it, or name another with --tasks or LEGWORK_TASKS.",
      });
    }
    const { tasks, files } = await readDirectory(directory, log, config);
    for (const [name, task] of Object.entries(tasks)) {
      if (loaded.has(name)) {
        throw new LegworkError("LW515", `Task '${name}' is in ${origin.get(name)} and in ${directory}.`, {
          hint: "A task has one file. Rename or remove one of them.",
        });
      }
      if (name.length > MAX_NAME) {
        throw new LegworkError("LW515", `The task file ${directory}/${name} makes a name of ${name.length} characters.`, {
          hint: `A task's name, its file's path below the tasks directory, has at most ${MAX_NAME}. Rename the file or a folder.`,
        });
      }
      const file = files.get(name) ?? directory;
      const definition = definitionOf(task);
      assertName(name, file, definition);
      loaded.set(name, { name, file, function: task, definition });
      origin.set(name, directory);
    }
  }
  if (loaded.size === 0) {
    throw new LegworkError("LW515", `No task was found in ${directories.join(", ")}.`, {
      hint: "A task is a file with a default export made by defineTask, or a plain graphile-worker task function.",
    });
  }
  return loaded;
}

/** What a definition states must be what its path says, or `welcome.enqueue` would enqueue jobs of another task. */
function assertName(name: string, file: string, definition: LoadedTask["definition"]): void {
  if (definition?.name === undefined || definition.name === name) return;
  throw new LegworkError("LW515", `${file} states the name '${definition.name}', but its path makes it '${name}'.`, {
    hint: `Say name: "${name}" there, leave the name out, or move the file.`,
  });
}

async function readDirectory(
  directory: string,
  log: Logger,
  config: WorkerConfig | undefined,
): Promise<{ tasks: Record<string, PlainTask>; files: ReadonlyMap<string, string> }> {
  const files = new Map<string, string>();
  const noteFiles: GraphileConfig.Plugin = {
    name: "LegworkTaskFilesPlugin",
    version: "1.0.0",
    worker: {
      hooks: {
        loadTaskFromFiles: (_context, { taskIdentifier, fileDetailsList }) => {
          const [file] = FILE_EXTENSIONS.flatMap((extension) =>
            fileDetailsList.filter((details) => details.extension === extension),
          );
          if (file !== undefined) files.set(taskIdentifier, file.fullPath);
        },
      },
    },
  };
  try {
    const { tasks } = await getTasks(
      {
        logger: new GraphileLogger(skippedFilesLogger(log)),
        preset: {
          extends: config === undefined ? [] : [config.preset()],
          plugins: config?.isDisabled(GRAPHILE_EXECUTABLES) === true ? [noteFiles] : [executablesPlugin, noteFiles],
          disablePlugins: [GRAPHILE_EXECUTABLES],
          worker: { fileExtensions: [...new Set([...FILE_EXTENSIONS, ...(config?.options.fileExtensions ?? [])])] },
        },
      },
      directory,
    );
    return { tasks: tasks as Record<string, PlainTask>, files };
  } catch (error) {
    // graphile-worker names the file in its message and keeps what was thrown as the cause.
    throw new LegworkError("LW515", toError(error).message, {
      hint: hintFor(toError(error).cause),
      cause: error,
    });
  }
}

const WHAT_A_TASK_IS = "A task file default-exports what defineTask returns, or a plain graphile-worker task function.";

function hintFor(thrown: unknown): string {
  const error: Error & { code?: unknown } = toError(thrown);
  if (error.code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX") {
    return (
      "Node removes types and compiles nothing: use a union or an object in place of an enum, and a module in place of a namespace. " +
      "Or compile the tasks and pass the output to --tasks."
    );
  }
  if (error.code === "ERR_MODULE_NOT_FOUND" || error.code === "MODULE_NOT_FOUND") {
    return "Install the package that it names, or correct the path of the import.";
  }
  if (error.name === "SyntaxError") return "Correct this file, or the file that it imports.";
  // graphile-worker's own words for a file that exports something else.
  if (error.message.startsWith("Invalid task")) {
    return `${WHAT_A_TASK_IS} Keep modules that tasks share in another directory, or in one whose name begins with @.`;
  }
  return error instanceof LegworkError ? WHAT_A_TASK_IS : "The file, or one that it imports, threw this while it was loaded.";
}

/** What `legwork_private.register_tasks` is told. Plain tasks are known by name only; null takes away what an earlier version said. */
export function describeTasks(tasks: ReadonlyMap<string, LoadedTask>): Record<string, unknown>[] {
  return [...tasks.values()].map(({ name, definition }) => ({
    name,
    description: definition?.description ?? null,
    queue: definition?.queue ?? null,
    payload_schema: toJsonSchema(definition?.payload, "input"),
    result_schema: toJsonSchema(definition?.result, "output"),
    limits: definition === undefined ? null : describeLimits(definition),
    retry: describeRetry(definition?.retry),
    redact: definition?.redact ?? null,
  }));
}

function toJsonSchema(schema: z.ZodType | undefined, io: "input" | "output"): unknown {
  if (schema === undefined) return null;
  // What JSON Schema cannot say (a transform, a refinement) is left open; zod still checks it when the job runs.
  const { $schema: _dialect, ...described } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return described;
}
