import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import pino from "pino";
import { expect, it } from "vitest";
import { loadTasks } from "../../src/worker/load-tasks.ts";
import { type CliResult, legwork } from "../support/cli.ts";
import { directoryOf } from "../support/worker.ts";

const SCRIPT = fileURLToPath(new URL("../../bin/legwork.js", import.meta.url));

const init = (directory: string, ...flags: string[]): Promise<CliResult> => legwork(["init", ...flags], {}, "", directory);

/** All files of a directory, by path. */
async function filesOf(directory: string): Promise<Record<string, string>> {
  const files = (await readdir(directory, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const read = files.map(async ({ parentPath, name }): Promise<[string, string]> => {
    const path = `${parentPath}/${name}`;
    return [path.slice(directory.length + 1), await readFile(path, "utf8")];
  });
  return Object.fromEntries(await Promise.all(read));
}

it("shows every change, makes changes only after confirmation, and finds nothing to do the second time", async () => {
  const manifest = '{\n  "name": "app",\n  "scripts": {\n    "test": "node --test"\n  },\n  "type": "commonjs"\n}\n';
  const directory = await directoryOf({ "package.json": manifest, ".env": "DATABASE_URL=postgres://u:hunter2@host/app\n" });
  const before = await filesOf(directory);

  const refused = await init(directory);
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("Add --yes to make these changes") });
  expect(refused.stdout).toBe(
    `Found: npm · JavaScript · CommonJS · DATABASE_URL in .env

create tasks/hello.js
  + const { defineTask } = require("legwork");
  + 
  + // The path of this file below its folder is the task's name: hello.
  + module.exports = defineTask({
  +   description: "Greets someone.",
  +   async run(payload, { log }) {
  +     const { name = "world" } = payload;
  +     log.info(\`Hello, \${name}!\`);
  +     return { greeted: name };
  +   },
  + });

change package.json
    "name": "app",
    "scripts": {
  -     "test": "node --test"
  +     "test": "node --test",
  +     "jobs:dev": "legwork dev",
  +     "jobs:worker": "legwork worker"
    },
    "type": "commonjs"

`.replaceAll(/^ {4}(?! )(?=["}])/gm, (space) => `${space}  `),
  );
  expect(await init(directory, "--dry-run")).toMatchObject({ code: 0, stdout: refused.stdout });
  expect(await filesOf(directory)).toEqual(before);

  // On a terminal, the command asks for confirmation. The answer "n" changes nothing.
  const typed = await new Promise<string>((resolve) => {
    const command = `script -qec '${process.execPath} ${SCRIPT} init' /dev/null`;
    execFile("sh", ["-c", command], { cwd: directory, env: { PATH: process.env["PATH"] } }, (_error, stdout) =>
      resolve(stdout),
    ).stdin?.end("n\n");
  });
  expect(typed).toMatch(/Make these changes\? \[Y\/n\] [\s\S]*Nothing was changed\./);
  expect(await filesOf(directory)).toEqual(before);

  const made = await init(directory, "--yes");
  expect(made).toMatchObject({ code: 0, stderr: "" });
  expect(made.stdout).toContain(`Next:\n  npm install legwork\n`);
  expect(made.stdout).toContain(`  npm run jobs:dev\n`);
  expect(made.stdout).toContain(`  npx legwork add hello '{"name": "Ada"}'\n`);
  expect(made.stdout).not.toContain("hunter2");
  const after = await filesOf(directory);
  expect(after).toEqual({
    ...before,
    "package.json": manifest.replace('--test"', '--test",\n    "jobs:dev": "legwork dev",\n    "jobs:worker": "legwork worker"'),
    "tasks/hello.js": expect.stringContaining("module.exports"),
  });
  expect(await init(directory)).toMatchObject({ code: 0, stdout: expect.stringContaining("Nothing to do.") });
  expect(await filesOf(directory)).toEqual(after);
});

it("leaves a project's own style and files alone, and its sample loads in every module system", async () => {
  const nest = { "@nestjs/core": "11.0.0", express: "5.0.0", zod: "^4.1.0", "@prisma/client": "7.0.0", pg: "8.0.0" };
  const other = "module.exports = (gulp) => gulp.task('x');\n";
  const [typescript, modules, taken] = await Promise.all([
    directoryOf({
      "package.json": `\uFEFF{\r\n\t"files": ["a", "b"],\r\n\t"scripts": {},\r\n\t"dependencies": ${JSON.stringify(nest)}\r\n}`,
      "tsconfig.json": "{}",
      "pnpm-lock.yaml": "",
      "src/main.ts": "",
    }),
    directoryOf({ "package.json": '{"type":"module","dependencies":{"next":"16.0.0"}}', "yarn.lock": "" }),
    directoryOf({ "package.json": '{"scripts": {"jobs:dev": "mine"}}', "bun.lock": "", "tasks/gulp.js": other }),
  ]);
  const results = await Promise.all([typescript, modules, taken].map((directory) => init(directory, "--yes")));
  expect(results.map(({ code, stderr }) => ({ code, stderr }))).toEqual(results.map(() => ({ code: 0, stderr: "" })));
  const [first, second, third] = await Promise.all([typescript, modules, taken].map(filesOf));

  expect(first).toMatchObject({
    "package.json": `\uFEFF{\r\n\t"files": ["a", "b"],\r\n\t"scripts": {\r\n\t\t"jobs:dev": "legwork dev",\r\n\t\t"jobs:worker": "legwork worker"\r\n\t},\r\n\t"dependencies": ${JSON.stringify(nest)}\r\n}`,
    // The file is in src, so that the paths in the compiler's output directory do not change.
    "src/tasks/hello.ts": expect.stringContaining("payload: z.object({ name: z.string() })"),
    "legwork.config.mjs": expect.stringContaining('tasks: ["src/tasks"]'),
  });
  expect(results[0]?.stdout).toContain("Found: pnpm · TypeScript · CommonJS · NestJS · Prisma · no DATABASE_URL");
  expect(results[0]?.stdout).toContain("  pnpm legwork add hello");
  expect(results[0]?.stdout).toContain('await enqueue(tx, "hello"');
  expect(results[1]?.stdout).toContain('serverExternalPackages: ["legwork"]');
  expect(second?.["tasks/hello.js"]).toContain("export default");
  expect(third).toMatchObject({
    "tasks/gulp.js": other,
    "jobs/hello.js": expect.stringContaining("module.exports"),
    "package.json": expect.stringContaining('"mine"'),
  });
  for (const folder of [`${typescript}/src/tasks`, `${modules}/tasks`, `${taken}/jobs`]) {
    expect([...(await loadTasks([folder], pino({ level: "silent" }))).keys()]).toEqual(["hello"]);
  }
});

it("writes an .mts file where the TypeScript compiler rejects `import` in a .ts file", async () => {
  // `npm init -y` and `tsc --init` write these.
  const compiler =
    '{\n  // Comments and trailing commas are allowed.\n  "compilerOptions": { "module": "nodenext", "verbatimModuleSyntax": true, },\n}\n';
  const [refusing, modules] = await Promise.all([
    directoryOf({ "package.json": '{"type":"commonjs"}', "tsconfig.json": compiler }),
    directoryOf({ "package.json": '{"type":"module"}', "tsconfig.json": compiler }),
  ]);
  expect(await init(refusing, "--yes")).toMatchObject({ code: 0, stdout: expect.stringContaining("create tasks/hello.mts") });
  expect(await init(modules, "--yes")).toMatchObject({ code: 0, stdout: expect.stringContaining("create tasks/hello.ts") });
  expect([...(await loadTasks([`${refusing}/tasks`], pino({ level: "silent" }))).keys()]).toEqual(["hello"]);
  expect((await init(refusing)).stdout).toContain("Nothing to do.");
});

it("keeps the tasks and the crontab of graphile-worker, and rejects files that it cannot read, in one line", async () => {
  const manifest = JSON.stringify({
    scripts: { worker: "graphile-worker -c $DATABASE_URL --crontab conf/crontab" },
    dependencies: { "graphile-worker": "^0.16.6" },
  });
  const task = "export default async () => {};\n";
  const [inCode, standard, broken] = await Promise.all([
    directoryOf({
      "package.json": manifest,
      "conf/crontab": "",
      "src/jobs/mail.js": task,
      "src/run.ts": 'import { run } from "graphile-worker";\nawait run({ taskDirectory: `${import.meta.dirname}/jobs` });\n',
    }),
    directoryOf({ "package.json": '{"dependencies":{"graphile-worker":"0.18.0"}}', "tasks/mail.js": task, crontab: "" }),
    directoryOf({ "package.json": '{ "name": "app", }\n' }),
  ]);
  const [upgraded, kept, refused] = await Promise.all([
    init(inCode, "--yes"),
    init(standard, "--json", "--yes"),
    init(broken, "--yes"),
  ]);
  expect(await filesOf(inCode)).toMatchObject({
    "legwork.config.mjs": expect.stringContaining('{ tasks: ["src/jobs"], crontab: "conf/crontab" }'),
    "src/jobs/mail.js": task,
  });
  expect(upgraded.stdout).toContain("legwork migrate --upgrade-graphile-worker");
  expect(JSON.parse(kept.stdout)).toMatchObject({ changes: [{ path: "package.json", change: "edit" }], applied: true });
  expect(refused).toMatchObject({ code: 2, stdout: "" });
  expect(refused.stderr).toMatch(/^legwork: \/\S+\/package\.json is not valid JSON: .+\(LW400\)\nhint: .+\n$/);
  await writeFile(`${broken}/package.json`, "[]");
  expect((await init(broken)).stderr).toContain("package.json is not a JSON object.");
});
