import { applyEdits, modify } from "jsonc-parser";
import type { TaskPlace } from "./find-tasks.ts";
import type { Project } from "./read-project.ts";

/** A file to be written. `before` is undefined for a new one. */
export interface Change {
  readonly path: string;
  readonly before: string | undefined;
  readonly after: string;
}

/** The scripts that are added to package.json. */
const SCRIPTS = { "jobs:dev": "legwork dev", "jobs:worker": "legwork worker" } as const;

/** The changes that a project needs to work with Legwork. Empty if it needs none. */
export function planChanges(project: Project, tasks: TaskPlace): Change[] {
  const [folder = "tasks"] = tasks.directories;
  const changes: Change[] = [];
  if (!tasks.hasTasks) changes.push({ path: `${folder}/${sampleName(project)}`, before: undefined, after: sample(project) });
  if (!tasks.isConfigured) changes.push({ path: "legwork.config.mjs", before: undefined, after: configFile(tasks) });
  const after = withScripts(project);
  if (after !== project.manifest) changes.push({ path: "package.json", before: project.manifest, after });
  return changes;
}

function sampleName({ isTypeScript, refusesImport }: Project): string {
  if (!isTypeScript) return "hello.js";
  return refusesImport ? "hello.mts" : "hello.ts";
}

/** A task in the project's own module system. It has a schema only if the project itself depends on zod. */
function sample({ isTypeScript, isModule, hasZod }: Project): string {
  const usesImport = isTypeScript || isModule;
  const load = (names: string, from: string): string =>
    usesImport ? `import { ${names} } from "${from}";\n` : `const { ${names} } = require("${from}");\n`;
  const definition = hasZod
    ? `  payload: z.object({ name: z.string() }),
  async run({ name }, { log }) {
`
    : `  async run(payload, { log }) {
    const { name = "world" } = payload${isTypeScript ? " as { name?: string }" : ""};
`;
  return `${load("defineTask", "legwork")}${hasZod ? load("z", "zod") : ""}
// The path of this file below its folder is the task's name: hello.
${usesImport ? "export default" : "module.exports ="} defineTask({
  description: "Greets someone.",
${definition}    log.info(\`Hello, \${name}!\`);
    return { greeted: name };
  },
});
`;
}

/** An ES module in JavaScript, which loads in every project and which the project's TypeScript compiler ignores. */
function configFile({ directories, crontab }: TaskPlace): string {
  const settings = [
    `tasks: ${JSON.stringify(directories)}`,
    ...(crontab === undefined || crontab === "crontab" ? [] : [`crontab: ${JSON.stringify(crontab)}`]),
  ];
  return `import { defineConfig } from "legwork";\n\nexport default defineConfig({ ${settings.join(", ")} });\n`;
}

/** package.json with the missing scripts added. The rest of the text stays unchanged, with its indentation and line endings. */
function withScripts({ manifest, scripts }: Project): string {
  const [indentation = "  "] = /(?<=^\uFEFF?\{\r?\n)[ \t]+/.exec(manifest) ?? [];
  const formattingOptions = {
    insertSpaces: !indentation.startsWith("\t"),
    tabSize: indentation.startsWith("\t") ? 1 : indentation.length,
    eol: manifest.includes("\r\n") ? "\r\n" : "\n",
  };
  // A byte order mark is not part of the JSON.
  const mark = manifest.startsWith("\uFEFF") ? "\uFEFF" : "";
  let text = manifest.slice(mark.length);
  for (const [name, command] of Object.entries(SCRIPTS)) {
    if (scripts[name] !== undefined || Object.values(scripts).some((one) => typeof one === "string" && one.includes(command)))
      continue;
    text = applyEdits(text, modify(text, ["scripts", name], command, { formattingOptions }));
  }
  return mark + text;
}
