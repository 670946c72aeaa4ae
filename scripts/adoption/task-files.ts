// The source code of tasks and of programs that enqueue, for each module system.
const TASK = `{ run: async ({ n }) => ({ n, node: process.versions.node }) }`;
const ESM = `import { defineTask } from "legwork";\nexport default defineTask(${TASK});\n`;
const CJS = `const { defineTask } = require("legwork");\nmodule.exports = defineTask(${TASK});\n`;
export const TYPED = `import { defineTask } from "legwork";\nimport { z } from "zod";\nimport { double } from "./@lib/double.js";
export default defineTask({ payload: z.object({ n: z.number() }), run: async ({ n }): Promise<{ n: number }> => ({ n: double(n) / 2 }) });\n`;
export const DOUBLE = "export const double = (n: number): number => n * 2;\n";
const isolated = (source: string, isolate: string): string => source.replace("{ run", `{ isolate: "${isolate}", run`);

/** The task files for each module system, in a project of either type. */
export const TASKS: Record<string, string> = {
  "mts.mts": ESM,
  "mjs.mjs": ESM,
  "cjs.cjs": CJS,
  "cts.cts": CJS,
  "import-ts.ts": ESM,
  "import-js.js": ESM,
  "typed.ts": TYPED,
  "@lib/double.ts": DOUBLE,
  "thread.mts": isolated(ESM, "thread"),
  "process.cts": isolated(CJS, "process"),
  "plain.mjs": "export default async ({ n }) => ({ n });\n",
};
export const REQUIRED = { "require-ts.ts": CJS, "require-js.js": CJS };
export const prefixed = (files: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [`tasks/${name}`, text]));

export const ENQUEUE = `const legwork = await createLegwork();
  const id = await legwork.jobs.enqueue("mts", { n: 1 });
  console.log((await legwork.jobs.get(id)).payload.n);
  await legwork.stop();\n`;

export const namesOf = (files: Record<string, string>): string[] =>
  Object.keys(files)
    .filter((name) => !name.startsWith("@"))
    .map((name) => name.replace(/\.\w+$/, ""));
