import assert from "node:assert/strict";
import { join } from "node:path";
import { BIN, CHECKOUT, project, run, runTasks, succeed } from "./fresh-project.ts";
import type { Check } from "./matrix.ts";
import { DOUBLE, TYPED } from "./task-files.ts";

interface Options {
  /** Whether to try only one kind of project. */
  isShort: boolean;
}

/** Tries types and compiled tasks for each kind of module resolution, and TypeScript that Node cannot run itself. */
export async function tryTypeScript(check: Check, databaseUrl: string, { isShort }: Options): Promise<void> {
  const node = process.execPath;
  const source = {
    "src/tasks/typed.ts": TYPED,
    "src/tasks/@lib/double.ts": DOUBLE,
    "src/wrong.ts": 'import { enqueue } from "legwork";\nenqueue(1);\n',
  };
  for (const [module, resolution, type] of [
    ["node16", "node16", "module"],
    ["nodenext", "nodenext", "module"],
    ["nodenext", "nodenext", "commonjs"],
    ["esnext", "bundler", "module"],
  ] as const) {
    if (isShort && type === "module") continue;
    const name = `${resolution}, "type": "${type}"`;
    const directory = await project(`ts-${module}-${type}`, {
      "package.json": `{"type": "${type}"}`,
      "tsconfig.json": JSON.stringify({
        compilerOptions: {
          module,
          moduleResolution: resolution,
          target: "es2022",
          strict: true,
          exactOptionalPropertyTypes: true,
          skipLibCheck: false,
          outDir: "dist",
          rootDir: "src",
          types: ["node"],
          declaration: true,
          sourceMap: true,
        },
        include: ["src"],
        exclude: ["src/wrong.ts"],
      }),
      ...source,
    });
    const tsc = join(CHECKOUT, "node_modules/.bin/tsc");
    await check("TypeScript", `${name}: types`, async () => {
      await succeed(tsc, ["-p", "."], directory);
      const wrong = await run(
        tsc,
        [
          "--noEmit",
          "--module",
          module,
          "--moduleResolution",
          resolution,
          "--target",
          "es2022",
          "src/wrong.ts",
          "--ignoreConfig",
        ],
        directory,
      );
      assert.notEqual(wrong.code, 0, "a wrong call compiles");
    });
    if (resolution === "bundler") continue;
    await check("TypeScript", `${name}: compiled tasks run`, () =>
      runTasks(node, directory, databaseUrl, ["typed"], "dist/tasks"),
    );
  }
  await check("TypeScript", "tsx runs enums", async () => {
    const directory = await project("tsx", {
      "package.json": '{"type": "module"}',
      "tasks/enum.ts": `import { defineTask } from "legwork";\nenum A { B = 4 }\nexport default defineTask({ run: async () => ({ n: A.B }) });\n`,
    });
    const worker = [BIN, "worker", "--once"];
    const refused = await run(node, worker, directory, { DATABASE_URL: databaseUrl });
    assert.match(refused.stderr, /LW515[\s\S]+tsx/);
    await succeed(node, worker, directory, { DATABASE_URL: databaseUrl, NODE_OPTIONS: "--import tsx" });
  });
}
