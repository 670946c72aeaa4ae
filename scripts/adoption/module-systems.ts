import assert from "node:assert/strict";
import { join } from "node:path";
import { BIN, project, run, runTasks, succeed } from "./fresh-project.ts";
import type { Check } from "./matrix.ts";
import { ENQUEUE, namesOf, prefixed, REQUIRED, TASKS } from "./task-files.ts";

/** Installs the versions of Node to try. Returns the paths of their programs by version. */
export async function installNodes(): Promise<ReadonlyMap<string, string>> {
  const nodes = new Map<string, string>();
  for (const version of ["24", "22", "20"]) {
    const directory = await project(`node-${version}`, { "package.json": "{}" });
    // The package's install script links the program.
    await succeed("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", `node@${version}`], directory);
    nodes.set(version, join(directory, "node_modules/node/bin/node"));
  }
  return nodes;
}

/** Tries tasks, and programs that enqueue, in projects of both module systems. Other checks also use the project "esm". */
export async function tryModuleSystems(check: Check, databaseUrl: string, nodes: ReadonlyMap<string, string>): Promise<void> {
  const env = { DATABASE_URL: databaseUrl };
  const esm = await project("esm", {
    "package.json": '{"type": "module"}',
    "enqueue.mjs": `import { createLegwork } from "legwork";\n${ENQUEUE}`,
    ...prefixed(TASKS),
  });
  const cjs = await project("cjs", {
    "package.json": '{"type": "commonjs"}',
    "enqueue.cjs": `const { createLegwork } = require("legwork");\n(async () => { ${ENQUEUE} })();`,
    "worker.cjs": `const { createLegwork } = require("legwork");\ncreateLegwork({ worker: true }).catch((error) => { console.log(error.code); process.exit(0); });`,
    ...prefixed({ ...TASKS, ...REQUIRED }),
  });
  for (const [version, node] of nodes) {
    if (version !== "20") {
      const names = namesOf(TASKS);
      await check(`Node ${version}`, `ES modules: ${names.length} kinds of task files`, () =>
        runTasks(node, esm, databaseUrl, names),
      );
      const both = namesOf({ ...TASKS, ...REQUIRED });
      await check(`Node ${version}`, `CommonJS: ${both.length} kinds of task files`, () =>
        runTasks(node, cjs, databaseUrl, both),
      );
    } else {
      await check("Node 20", "a worker says which Node it needs", async () =>
        assert.equal((await succeed(node, ["worker.cjs"], cjs, env)).trim(), "LW518"),
      );
      await check("Node 20", "the command says which Node it needs", async () =>
        assert.match((await run(node, [BIN, "jobs"], esm, env)).stderr, /^legwork: Node 20\.\S+ is too old\..+22\.19/),
      );
    }
    await check(`Node ${version}`, "enqueue with import", async () =>
      assert.equal(await succeed(node, ["enqueue.mjs"], esm, env), "1\n"),
    );
    await check(`Node ${version}`, "enqueue with require", async () =>
      assert.equal(await succeed(node, ["enqueue.cjs"], cjs, env), "1\n"),
    );
  }
}
