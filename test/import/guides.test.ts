import { readFile } from "node:fs/promises";
import { parseSync } from "oxc-parser";
import { beforeAll, expect, it } from "vitest";
import { operationsOn } from "../../src/api/operations.ts";
import { createProgram } from "../../src/cli/main.ts";
import { readMapping } from "../../src/import/mapping.ts";
import { testDatabase } from "../support/database.ts";
import { runExample } from "../support/documented-examples.ts";
import { projectOf } from "../support/compile.ts";

const database = testDatabase();

beforeAll(async () => {
  const names = ["notify/email", "notify/welcome", "report/daily", "orders/fetch"].map((name) => ({ name }));
  await database.pool.query("select legwork_private.register_tasks($1)", [JSON.stringify(names)]);
});

it.each(["from-pg-boss", "from-bullmq"])(
  "the Legwork code in docs/guides/%s.md runs, and the source system's code parses",
  async (guide) => {
    const page = await readFile(new URL(`../../docs/guides/${guide}.md`, import.meta.url), "utf8");
    const blocks = (language: string): string[] =>
      [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]+?)\`\`\``, "g"))].map((match) => match[1] ?? "");
    const legwork = operationsOn(database.pool);
    expect(blocks("ts")).toHaveLength(3);
    for (const block of blocks("ts")) await runExample(block, { legwork });
    for (const block of blocks("js")) expect(parseSync("before.mjs", block).errors).toEqual([]);
    for (const [index, block] of blocks("json").entries()) {
      const directory = await projectOf({ [`${index}.json`]: block });
      expect(Object.keys(await readMapping(`${directory}/${index}.json`))).toHaveLength(3);
    }
    const known = new Set(
      (await createProgram()).commands
        .find((command) => command.name() === "import")
        ?.commands.find((command) => guide.endsWith(command.name()))
        ?.options.map(({ long }) => long),
    );
    const used = [...page.matchAll(/--[a-z][a-z-]+/g)].map(([option]) => option);
    expect(used.filter((option) => !known.has(option))).toEqual([]);
  },
);
