import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, extname, relative, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { LegworkError } from "../../errors.ts";
import { definitionOf } from "../../jobs/define-task.ts";
import { propertyName, schemaToType } from "../../jobs/schema-type.ts";
import { createLogger } from "../../log.ts";
import type { LoadedTask } from "../../worker/load-tasks.ts";
import { collect, type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";

type Flags = RemoteFlags & { tasks?: string[]; fromDatabase?: boolean; out: string; check?: boolean };

export function typesCommand(): Command {
  return withRemoteOptions(new Command("types"))
    .description("write the names and payloads of tasks for the compiler, so that a wrong one does not compile")
    .option("--tasks <directory>", "a directory of task files, in place of the configured ones; may be given again", collect)
    .option("--from-database", "what workers have registered, in place of files: for a project that only enqueues")
    .option("--out <file>", "the file to write; - prints it", "legwork-tasks.d.ts")
    .option("--check", "write nothing, and fail when the file is not up to date")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork types                             legwork-tasks.d.ts, from the task files
  $ legwork types --tasks src/tasks --out src/legwork-tasks.d.ts
  $ legwork types --from-database             from a running system
  $ legwork types --check                     in CI

A task made with defineTask in a TypeScript file is referred to, so that its type is never out of date; run this again when a task is
added, renamed or removed. graphile-worker's own functions go by the file as well.`,
    )
    .action(async (flags: Flags) => {
      const payloads = flags.fromDatabase === true ? await registered(flags) : await fromFiles(flags);
      const text = registryFile(payloads);
      if (flags.out === "-") {
        process.stdout.write(text);
        return;
      }
      const before = existsSync(flags.out) ? readFileSync(flags.out, "utf8") : undefined;
      if (before === text) console.log(`${flags.out} is up to date: ${payloads.size} tasks.`);
      else if (flags.check === true) {
        throw new LegworkError("LW409", `${flags.out} is ${before === undefined ? "missing" : "not up to date"}.`, {
          hint: "Run `legwork types` with the same options, without --check.",
        });
      } else {
        writeFileSync(flags.out, text);
        console.log(`Wrote ${flags.out}: ${payloads.size} tasks.`);
      }
    });
}

/** The declaration file for these types, by task. */
function registryFile(payloads: ReadonlyMap<string, string>): string {
  const entries = [...payloads].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const needsImport = entries.some(([, type]) => type.startsWith("TaskPayload<"));
  return `// Written by \`legwork types\`.
${needsImport ? 'import type { TaskPayload } from "legwork";' : "export {};"}

declare global {
  namespace GraphileWorker {
    interface Tasks {
${entries.map(([name, type]) => `      ${propertyName(name)}: ${type};\n`).join("")}    }
  }
}
`;
}

async function registered(flags: Flags): Promise<Map<string, string>> {
  const payloads = new Map<string, string>();
  await withOperations(flags, async (operations) => {
    for (const { name, payloadSchema: schema } of await operations.listTasks()) {
      payloads.set(name, schema === null ? "unknown" : schemaToType(schema));
    }
  });
  return payloads;
}

async function fromFiles(flags: Flags): Promise<Map<string, string>> {
  const { config } = await loadConfig({ tasks: flags.tasks, logLevel: flags.logLevel });
  const { describeTasks, loadTasks } = await import("../../worker/load-tasks.ts");
  const tasks = await loadTasks(config.tasks, createLogger({ level: config.logLevel === "info" ? "warn" : config.logLevel }));
  const from = flags.out === "-" ? process.cwd() : dirname(resolve(flags.out));
  const schemas = new Map(describeTasks(tasks).map(({ name, payload_schema: schema }) => [name, schema]));
  const payloads = new Map<string, string>();
  for (const task of tasks.values()) {
    const schema = schemas.get(task.name) ?? null;
    payloads.set(task.name, (await referenceTo(task, from)) ?? (schema === null ? "unknown" : schemaToType(schema)));
  }
  return payloads;
}

/** The type of a task as the compiler finds it in the task's file; undefined where there is none: in JavaScript, and for a plain graphile-worker task. */
async function referenceTo({ name, file, definition }: LoadedTask, from: string): Promise<string | undefined> {
  if (definition === undefined || file === undefined || !/^\.[cm]?ts$/.test(extname(file)) || !statSync(file).isFile())
    return undefined;
  const path = relative(from, file).split(sep).join("/");
  const module = `typeof import(${JSON.stringify(path.startsWith(".") ? path : `./${path}`)})`;
  const exported = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  if (definitionOf(exported.default) === definition) return `TaskPayload<${module}.default>`;
  // One file may export several tasks by their names.
  return definitionOf(exported[name]) === definition ? `TaskPayload<(${module})[${JSON.stringify(name)}]>` : undefined;
}
