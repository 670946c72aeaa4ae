import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { z } from "zod";
import { schemaToType } from "../../src/jobs/schema-type.ts";
import { legwork } from "../support/cli.ts";
import { compile, projectOf } from "../support/compile.ts";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

const TASKS = {
  "tasks/notify/welcome.ts": `import { defineTask } from "legwork";
    import { z } from "zod";
    export default defineTask({ payload: z.object({ userId: z.number() }), result: z.object({ ok: z.boolean() }), run: () => ({ ok: true }) });`,
  "tasks/script.mjs": `import { defineTask } from "legwork";
    import { z } from "zod";
    export default defineTask({ payload: z.object({ n: z.number().min(1) }), run: () => {} });`,
  "tasks/plain.ts": "export default async (payload: unknown) => { void payload; };",
  "more.ts": `import { defineTask } from "legwork";
    import { z } from "zod";
    export const first = defineTask({ payload: z.object({ s: z.string() }), run: () => {} });
    export const second = defineTask({ run: () => {} });`,
};

const TYPES = `// Written by \`legwork types\`.
import type { TaskPayload, TaskResult } from "legwork";

declare global {
  namespace GraphileWorker {
    interface Tasks {
      first: TaskPayload<(typeof import("./more.ts"))["first"]>;
      "notify/welcome": TaskPayload<typeof import("./tasks/notify/welcome.ts").default>;
      plain: unknown;
      script: { n: number };
      second: TaskPayload<(typeof import("./more.ts"))["second"]>;
    }
    interface Results {
      "notify/welcome": TaskResult<typeof import("./tasks/notify/welcome.ts").default>;
    }
  }
}
`;

it("legwork types writes a file that makes a wrong name or payload a compile error", async () => {
  const directory = await projectOf({
    ...TASKS,
    "use.ts": `import { enqueue, type Queryable } from "legwork";
      import type { AddJobFunction } from "graphile-worker";
      declare const client: Queryable;
      declare const addJob: AddJobFunction;
      await enqueue(client, "notify/welcome", { userId: 3 });
      await enqueue(client, "first", { s: "x" });
      await enqueue(client, "script", { n: 1 });
      await enqueue(client, "plain");
      await enqueue(client, "notify/welcom", { userId: 3 });
      await enqueue(client, "notify/welcome", { userId: "3" });
      await enqueue(client, "script", { n: "1" });
      await addJob("script", { n: "1" });`,
  });
  const run = (...more: string[]) => legwork(["types", "--tasks", "tasks", "--tasks", "more.ts", ...more], {}, "", directory);
  expect(await run()).toMatchObject({ code: 0, stdout: "Wrote legwork-tasks.d.ts: 5 tasks.\n", stderr: "" });
  expect(await readFile(join(directory, "legwork-tasks.d.ts"), "utf8")).toBe(TYPES);
  expect(await run("--out", "-")).toMatchObject({ code: 0, stdout: TYPES });
  const errors = await compile(directory);
  expect(errors.map((error) => /^use\.ts\((\d+)/.exec(error)?.[1] ?? error)).toEqual(["9", "10", "11", "12"]);

  expect(await run("--check")).toMatchObject({ code: 0 });
  await writeFile(join(directory, "tasks/added.mjs"), "export default async () => {};");
  const stale = await run("--check");
  expect(stale).toMatchObject({ code: 1 });
  expect(stale.stderr).toContain("legwork-tasks.d.ts is not up to date. (LW409)");
  // The compiler reads all of Legwork.
}, 120_000);

it("legwork types --from-database writes the tasks that workers have registered", async () => {
  const schema = z.toJSONSchema(z.object({ to: z.string(), tags: z.array(z.string()).optional() }), { io: "input" });
  await database.pool.query("select legwork_private.register_tasks($1)", [
    JSON.stringify([{ name: "notify/email", payload_schema: schema }, { name: "plain" }]),
  ]);
  expect(await legwork(["types", "--from-database", "--out", "-"], { DATABASE_URL: database.url })).toMatchObject({
    code: 0,
    stdout: `// Written by \`legwork types\`.
export {};

declare global {
  namespace GraphileWorker {
    interface Tasks {
      "notify/email": { to: string; tags?: string[] };
      plain: unknown;
    }
  }
}
`,
  });
});

interface Tree {
  name: string;
  children: Tree[];
}
const tree: z.ZodType<Tree> = z.lazy(() => z.object({ name: z.string(), children: z.array(tree) }));

it.each<[string, z.ZodType]>([
  ["string", z.email().max(10)],
  ["number", z.int()],
  ["string | null", z.string().nullable()],
  ['"a" | "b"', z.enum(["a", "b"])],
  ["1", z.literal(1)],
  ["(string | number)[]", z.array(z.union([z.string(), z.number()]))],
  ["[string, number, ...boolean[]]", z.tuple([z.string(), z.number()], z.boolean())],
  ["{ a: string; b?: number }", z.object({ a: z.string(), b: z.number().optional() })],
  ["{ a?: string }", z.object({ a: z.string().default("x") })],
  ['{ "a-b": null }', z.strictObject({ "a-b": z.null() })],
  ["Record<string, number>", z.record(z.string(), z.number())],
  ["{ a: string } & Record<string, unknown>", z.looseObject({ a: z.string() })],
  ["Record<string, unknown>", z.object({})],
  ["unknown", z.unknown()],
  ["unknown", z.union([z.string(), z.any()])],
  ["{ name: string; children: { name: string; children: unknown[] }[] }", tree],
])("a JSON Schema becomes the type %s", (type, schema) => {
  const { $schema: _dialect, ...described } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  expect(schemaToType(described)).toBe(type);
});

it("allOf becomes an intersection", () => {
  const allOf = [{ type: "object", properties: { a: { type: "string" } } }, { anyOf: [{ type: "null" }, { const: 1 }] }];
  expect(schemaToType({ allOf })).toBe("{ a?: string } & (null | 1)");
});
