import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { getTasks, Logger as GraphileLogger, type Task as PlainTask } from "graphile-worker";
import { z } from "zod";
import { parseDuration } from "../duration.ts";
import { LegworkError, toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { definitionOf, type TaskDefinition } from "../jobs/define-task.ts";
import { describeLimits, describeRetry } from "../jobs/task-policy.ts";
import { type Endpoints, endpointTasks } from "./endpoint-tasks.ts";
import { placeOf } from "./error-place.ts";
import { executablesPlugin, GRAPHILE_EXECUTABLES } from "./graphile/executable-tasks.ts";
import { importLegworkFromHere } from "./module-hooks.ts";
import type { WorkerConfig } from "./graphile/preset.ts";
import { skippedFilesLogger } from "./graphile/skipped-files.ts";

/** The longest task name that the database accepts (characters). */
const MAX_NAME = 128;

export interface LoadedTask {
  readonly name: string;
  /** The file that the task was loaded from; undefined if it was passed as a function. */
  readonly file?: string | undefined;
  /** The loaded function. A plain graphile-worker task is called directly. */
  readonly function: PlainTask;
  /** The task's definition; undefined for a plain graphile-worker task. */
  readonly definition: TaskDefinition<z.ZodType, z.ZodType> | undefined;
}

/** graphile-worker's own list, and .cts. If there are two files for one task, the first extension in this list is used. */
const FILE_EXTENSIONS = [".js", ".cjs", ".mjs", ".ts", ".mts", ".cts"];

/**
 * Loads all tasks below the directories, by graphile-worker's rules: a file's path without its extension is the task's name, and executables are
 * tasks too. The plugins of `config` also load tasks. Warns about files that are skipped because of their names. Throws LW515 for a directory that
 * does not exist, a file that cannot be loaded or is not a task, or a name that has more than 128 characters, differs from the one in the task's
 * definition, or exists in two directories. Throws LW514 for endpoints without a secret.
 */
export async function loadTasks(
  directories: readonly string[],
  log: Logger,
  config?: WorkerConfig,
  endpoints?: Endpoints,
): Promise<Map<string, LoadedTask>> {
  importLegworkFromHere();
  const loaded = new Map<string, LoadedTask>();
  const origin = new Map<string, string>();
  for (const directory of directories.map((path) => resolve(path))) {
    if (!existsSync(directory)) {
      throw new LegworkError("LW515", `The tasks directory ${directory} does not exist.`, {
        hint: "Create it, or set another directory with --tasks or LEGWORK_TASKS.",
      });
    }
    const { tasks, files } = await readDirectory(directory, log, config);
    for (const [name, task] of Object.entries(tasks)) {
      if (loaded.has(name)) {
        throw new LegworkError("LW515", `Task '${name}' exists in both ${origin.get(name)} and ${directory}.`, {
          hint: "Rename or remove one of the two files.",
        });
      }
      if (name.length > MAX_NAME) {
        throw new LegworkError("LW515", `The name of the task file ${directory}/${name} has ${name.length} characters.`, {
          hint: `A task's name is its file's path below the tasks directory and has at most ${MAX_NAME} characters. Rename the file or a folder.`,
        });
      }
      const file = files.get(name) ?? directory;
      const definition = definitionOf(task);
      assertName(name, file, definition);
      loaded.set(name, { name, file, function: task, definition });
      origin.set(name, directory);
    }
  }
  for (const [name, task] of endpoints === undefined ? [] : endpointTasks(endpoints)) {
    const other = loaded.get(name);
    if (other !== undefined) {
      throw new LegworkError("LW515", `Task '${name}' is both an endpoint and ${other.file}.`, {
        hint: "Remove it from LEGWORK_ENDPOINTS, or remove the file.",
      });
    }
    loaded.set(name, { name, function: task, definition: definitionOf(task) });
  }
  if (loaded.size === 0) {
    throw new LegworkError("LW515", `No tasks were found in ${directories.join(", ")}.`, {
      hint: "A task is a file whose default export is created by defineTask, or is a plain graphile-worker task function.",
    });
  }
  return loaded;
}

/** Checks that the name in a definition matches its path, because otherwise `welcome.enqueue` would enqueue jobs of another task. */
function assertName(name: string, file: string, definition: LoadedTask["definition"]): void {
  if (definition?.name === undefined || definition.name === name) return;
  throw new LegworkError("LW515", `${file} defines the name '${definition.name}', but according to its path it is '${name}'.`, {
    hint: `Write name: "${name}" there, omit the name, or move the file.`,
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
    // The message of graphile-worker's error names the file, and its cause is the error that was thrown.
    const { message, cause } = toError(error);
    const [, file] = /^Error processing '(.+?)': /.exec(message) ?? [];
    throw new LegworkError("LW515", message, {
      hint: hintFor(cause, file),
      cause: error,
    });
  }
}

const WHAT_A_TASK_IS =
  "The default export of a task file must be the result of defineTask, or a plain graphile-worker task function.";

const COMPILE_TASKS =
  "Compile the tasks and pass the output to --tasks, or install tsx and start the worker with NODE_OPTIONS='--import tsx'.";

function hintFor(thrown: unknown, file: string | undefined): string {
  const error: Error & { code?: unknown } = toError(thrown);
  if (error.code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX") {
    return (
      "Node only removes types and does not compile TypeScript: use a union or an object instead of an enum, and a module instead of a namespace. " +
      `Otherwise: ${COMPILE_TASKS}`
    );
  }
  if (error.code === "ERR_MODULE_NOT_FOUND" || error.code === "MODULE_NOT_FOUND") {
    return "Install the package that the message names, or correct the path of the import.";
  }
  // This is graphile-worker's own message for a file that exports something other than a task.
  if (error.message.startsWith("Invalid task")) {
    return `${WHAT_A_TASK_IS} Keep modules that tasks share in another directory, or in one whose name begins with @.`;
  }
  if (error instanceof LegworkError) return WHAT_A_TASK_IS;
  const place = placeOf(error, process.cwd(), file === undefined ? [] : [file]);
  if (error.name === "SyntaxError") {
    if (place === undefined && file !== undefined && hasDecorators(file)) return `Node does not run decorators. ${COMPILE_TASKS}`;
    return place === undefined ? "Correct this file, or a file that it imports." : `Correct ${place}.`;
  }
  return `${place ?? "The file, or one that it imports,"} threw this error while it was loaded.`;
}

/** Whether a TypeScript file seems to use decorators, for which Node reports only an invalid token. */
function hasDecorators(file: string): boolean {
  return /\.[cm]?ts$/.test(file) && /^\s*@[A-Za-z_$]/m.test(readFileSync(file, "utf8"));
}

/** Describes tasks for `legwork_private.register_tasks`. Plain tasks have only a name; null removes values that an earlier version registered. */
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
    timeout: parseDuration(definition?.timeout) ?? null,
  }));
}

function toJsonSchema(schema: z.ZodType | undefined, io: "input" | "output"): unknown {
  if (schema === undefined) return null;
  // Parts that JSON Schema cannot express (transforms, refinements) are left open; zod still checks them when the job runs.
  const { $schema: _dialect, ...described } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return described;
}
