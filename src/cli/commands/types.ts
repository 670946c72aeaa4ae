import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, extname, relative, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { LegworkError } from "../../errors.ts";
import { definitionOf } from "../../jobs/define-task.ts";
import { propertyName, schemaToType } from "../../jobs/schema-type.ts";
import { createLogger } from "../../log.ts";
import type { LoadedTask } from "../../worker/load-tasks.ts";
import { counted } from "../../wording.ts";
import { collect } from "../option-values.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { printDone } from "../output.ts";
import { writeOutput } from "../write-output.ts";

type Flags = RemoteFlags & { tasks?: string[]; fromDatabase?: boolean; out: string; check?: boolean; json?: boolean };

export function typesCommand(): Command {
  return withRemoteOptions(new Command("types"))
    .description("Write a declaration file that lets the TypeScript compiler check task names and payloads")
    .option("--tasks <directory>", "Directory of task files, instead of the configured ones (repeatable)", collect)
    .option(
      "--from-database",
      "Use the tasks that workers have registered instead of task files, for a project that only enqueues",
    )
    .option("--out <file>", "File to write; - prints it", "legwork-tasks.d.ts")
    .option("--check", "Write nothing, and fail if the file is not up to date")
    .option("--json", 'Print {"out": …, "tasks": number, "written": …}')
    .addHelpText(
      "after",
      `
Examples:
  $ legwork types                             Write legwork-tasks.d.ts from the task files
  $ legwork types --tasks src/tasks --out src/legwork-tasks.d.ts
  $ legwork types --from-database             Use a running system
  $ legwork types --check                     In CI

The file refers to tasks defined with defineTask in TypeScript, so changes to their types do not require a new file. Run the
command again when a task is added, renamed or removed. graphile-worker's own functions use the file as well.`,
    )
    .action(async (flags: Flags) => {
      const { payloads, results } = flags.fromDatabase === true ? await registered(flags) : await fromFiles(flags);
      const text = registryFile(payloads, results);
      if (flags.out === "-") {
        process.stdout.write(text);
        return;
      }
      const before = existsSync(flags.out) ? readFileSync(flags.out, "utf8") : undefined;
      const done = { out: flags.out, tasks: payloads.size, written: before !== text };
      if (before === text) printDone(flags.json, done, `${flags.out} is up to date: ${counted(payloads.size, "task")}.`);
      else if (flags.check === true) {
        throw new LegworkError("LW409", `${flags.out} is ${before === undefined ? "missing" : "not up to date"}.`, {
          hint: "Run `legwork types` with the same options, without --check.",
        });
      } else {
        writeOutput(flags.out, text);
        printDone(flags.json, done, `Wrote ${flags.out}: ${counted(payloads.size, "task")}.`);
      }
    });
}

/** Types by task name. */
type Types = ReadonlyMap<string, string>;

/** The text of the declaration file with these types. */
function registryFile(payloads: Types, results: Types): string {
  const imported = [...payloads.values()].some((type) => type.startsWith("TaskPayload<")) ? ["TaskPayload"] : [];
  if (results.size > 0) imported.push("TaskResult");
  return `// Written by \`legwork types\`.
${imported.length > 0 ? `import type { ${imported.join(", ")} } from "legwork";` : "export {};"}

declare global {
  namespace GraphileWorker {
${registryOf("Tasks", payloads)}${results.size > 0 ? registryOf("Results", results) : ""}  }
}
`;
}

function registryOf(name: string, types: Types): string {
  const entries = [...types].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `    interface ${name} {
${entries.map(([task, type]) => `      ${propertyName(task)}: ${type};\n`).join("")}    }
`;
}

async function registered(flags: Flags): Promise<{ payloads: Types; results: Types }> {
  const payloads = new Map<string, string>();
  await withOperations(flags, async (operations) => {
    for (const { name, payloadSchema: schema } of await operations.listTasks()) {
      payloads.set(name, schema === null ? "unknown" : schemaToType(schema));
    }
  });
  // Result schemas are not registered.
  return { payloads, results: new Map() };
}

async function fromFiles(flags: Flags): Promise<{ payloads: Types; results: Types }> {
  const { config } = await loadConfig({ tasks: flags.tasks, logLevel: flags.logLevel });
  const { describeTasks, loadTasks } = await import("../../worker/load-tasks.ts");
  const tasks = await loadTasks(config.tasks, createLogger({ level: config.logLevel === "info" ? "warn" : config.logLevel }));
  const from = flags.out === "-" ? process.cwd() : dirname(resolve(flags.out));
  const schemas = new Map(describeTasks(tasks).map(({ name, payload_schema: schema }) => [name, schema]));
  const payloads = new Map<string, string>();
  const results = new Map<string, string>();
  for (const task of tasks.values()) {
    const schema = schemas.get(task.name) ?? null;
    const reference = await referenceTo(task, from);
    const own = reference === undefined ? undefined : `TaskPayload<${reference}>`;
    payloads.set(task.name, own ?? (schema === null ? "unknown" : schemaToType(schema)));
    if (reference !== undefined && task.definition?.result !== undefined) results.set(task.name, `TaskResult<${reference}>`);
  }
  return { payloads, results };
}

/** The type of a task as a reference to the task's file; undefined for JavaScript and for plain graphile-worker tasks, which have no such type. */
async function referenceTo({ name, file, definition }: LoadedTask, from: string): Promise<string | undefined> {
  if (definition === undefined || file === undefined || !/^\.[cm]?ts$/.test(extname(file)) || !statSync(file).isFile())
    return undefined;
  const path = relative(from, file).split(sep).join("/");
  const module = `typeof import(${JSON.stringify(path.startsWith(".") ? path : `./${path}`)})`;
  const exported = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  if (definitionOf(exported.default) === definition) return `${module}.default`;
  // A file may export several tasks by name.
  return definitionOf(exported[name]) === definition ? `(${module})[${JSON.stringify(name)}]` : undefined;
}
