import { setImmediate as nextTurn } from "node:timers/promises";
import pino from "pino";
import { describe, expect, it, onTestFinished } from "vitest";
import { LegworkError } from "../../src/errors.ts";
import { loadTasks } from "../../src/worker/load-tasks.ts";
import { testLog } from "../support/database.ts";
import { directoryOf } from "../support/worker.ts";

describe("loading tasks", () => {
  it("warns about each file that looks like a task but is not one, with the reason", async () => {
    const task = "export default async () => {};";
    const directory = await directoryOf({
      "a.ts": task,
      "a b.ts": task,
      "emoji😀.ts": task,
      "x.y/c.ts": task,
      "foo.bar.ts": task,
      "@lib/shared.ts": task,
      "readme.md": "not a task",
    });
    const lines: string[] = [];
    const log = pino({ level: "warn", base: {} }, { write: (line: string) => void lines.push(line) });
    expect([...(await loadTasks([directory], log)).keys()]).toEqual(["a"]);
    const said = lines.map((line) => (JSON.parse(line) as { msg: string }).msg.replaceAll(`${directory}/`, "")).toSorted();
    expect(said).toEqual([
      "No task is loaded from a b.ts: before its extension, the name of a task file may have only letters, digits, _ and -.",
      "No task is loaded from emoji😀.ts: before its extension, the name of a task file may have only letters, digits, _ and -.",
      "No task is loaded from foo.bar.ts: the name of a task file must not have a dot other than the one before its extension (.js, .cjs, .mjs, .ts or .mts).",
      "No task is loaded from x.y: the name of a folder of tasks may have only letters, digits, _ and -.",
    ]);
  });

  it("rejects a name that is too long for the database, and names the file and the limit", async () => {
    const name = `${"d".repeat(100)}/${"f".repeat(28)}`;
    const directory = await directoryOf({ [`${name}.ts`]: "export default async () => {};" });
    await expect(loadTasks([directory], testLog)).rejects.toMatchObject({
      code: "LW515",
      message: `The name of the task file ${directory}/${name} has 129 characters.`,
      hint: expect.stringContaining("at most 128") as string,
    });
  });

  it("rejects a definition whose name differs from its path, in one line", async () => {
    const task = (name: string): string =>
      `import { defineTask } from "legwork"; export default defineTask({ name: "${name}", run() {} });`;
    const directory = await directoryOf({ "notify/welcome.ts": task("notify/welcome"), "report.ts": task("reports/daily") });
    await expect(loadTasks([directory], testLog)).rejects.toMatchObject({
      code: "LW515",
      message: `${directory}/report.ts defines the name 'reports/daily', but according to its path it is 'report'.`,
      hint: 'Write name: "report" there, omit the name, or move the file.',
    });
  });

  it("allows a task to import every entry point of this package", async () => {
    const directory = await directoryOf({
      "a.ts": `import { cancelJob } from "legwork/operations";
        import { openTestKit } from "legwork/testing";
        import { createLegwork } from "legwork";
        export default async () => [cancelJob, openTestKit, createLegwork];`,
    });
    expect([...(await loadTasks([directory], testLog)).keys()]).toEqual(["a"]);
  });

  it("names a task by its path, including nested folders", async () => {
    const directory = await directoryOf({
      "a.ts": "export default async () => {};",
      "b/c/d.mjs": "export default async () => {};",
      "b/readme.md": "not a task",
    });
    expect([...(await loadTasks([directory], testLog)).keys()].toSorted()).toEqual(["a", "b/c/d"]);
  });

  it.each([
    ["a syntax error", "export default async (", "bad.ts"],
    ["a default export that is not a task", "export default { nothing: true };", "bad.ts"],
    ["a missing import", 'import "not-installed-anywhere"; export default async () => {};', "bad.ts"],
    [
      "an unknown option",
      'import { defineTask } from "legwork"; export default defineTask({ desription: "x", run() {} });',
      "desription",
    ],
    [
      "a queue name that cannot be in a URL",
      'import { defineTask } from "legwork"; export default defineTask({ queue: "..", run() {} });',
      "queue: ",
    ],
    ["a run that is not a function", 'import { defineTask } from "legwork"; export default defineTask({ run: 1 });', "run: "],
    [
      "a payload that is not a schema",
      'import { defineTask } from "legwork"; export default defineTask({ payload: {}, run() {} });',
      "payload: ",
    ],
    [
      "an empty path to redact",
      'import { defineTask } from "legwork"; export default defineTask({ redact: ["email", ""], run() {} });',
      "redact.1: expected a path",
    ],
    [
      "a path with an empty step",
      'import { defineTask } from "legwork"; export default defineTask({ redact: ["user..phone"], run() {} });',
      "redact.0: expected a path",
    ],
  ])("rejects a file with %s, and names it", async (_what, content, named) => {
    const directory = await directoryOf({ "bad.ts": content });
    const error = await loadTasks([directory], testLog).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(LegworkError);
    expect(error).toMatchObject({ code: "LW515", message: expect.stringContaining(named) });
    expect((error as LegworkError).message).toContain("bad.ts");
  });

  it.each(["commonjs", "module", undefined])("loads every kind of file if package.json has the type %s", async (type) => {
    const esm =
      'import { defineTask } from "legwork"; import { z } from "zod"; export default defineTask({ payload: z.object({}), run() {} });';
    const cjs =
      'const { defineTask } = require("legwork"); const { z } = require("zod"); module.exports = defineTask({ payload: z.object({}), run() {} });';
    const compiled =
      'Object.defineProperty(exports, "__esModule", { value: true }); exports.default = require("legwork").defineTask({ run() {} });';
    const files = {
      ...Object.fromEntries(["ts", "js", "mts", "mjs", "cts"].map((extension) => [`esm_${extension}.${extension}`, esm])),
      ...Object.fromEntries(["cts", "cjs"].map((extension) => [`cjs_${extension}.${extension}`, cjs])),
      "compiled.cjs": compiled,
      ...(type === "module" ? {} : { "cjs_ts.ts": cjs, "cjs_js.js": cjs, "compiled_js.js": compiled }),
    };
    const directory = await directoryOf({
      "package.json": JSON.stringify({ type }),
      ...Object.fromEntries(Object.entries(files).map(([name, content]) => [`tasks/${name}`, content])),
    });
    const tasks = await loadTasks([`${directory}/tasks`], testLog);
    expect(new Set(tasks.keys())).toEqual(new Set(Object.keys(files).map((name) => name.split(".")[0])));
    expect([...tasks.values()].filter(({ definition }) => definition === undefined)).toEqual([]);
  });

  it("loads imports that are written as in a CommonJS project", async () => {
    const directory = await directoryOf({
      "package.json": '{ "type": "commonjs" }',
      "tasks/sum.ts": `import { a } from "../lib/a.js"; import { b } from "../lib/b"; import { c } from "../lib";
        import type { Nothing } from "../lib/nothing"; export default async (_payload: Nothing): Promise<number> => a + b + c;`,
      "tasks/required.cjs": 'const { a } = require("../lib/a"); module.exports = async () => a;',
      "lib/a.ts": "export const a: number = 1;",
      "lib/b.js": "const one = await Promise.resolve(1); export const b = one + 1;",
      "lib/index.ts": "exports.c = 3 as number;",
    });
    expect([...(await loadTasks([`${directory}/tasks`], testLog)).keys()].toSorted()).toEqual(["required", "sum"]);
  });

  it("does not emit a warning if package.json has no type", async () => {
    const directory = await directoryOf({
      "package.json": "{}",
      "tasks/a.ts": 'import { defineTask } from "legwork"; export default defineTask({ run() {} });',
      "tasks/b.js": 'import { defineTask } from "legwork"; export default defineTask({ run() {} });',
    });
    const warned: Error[] = [];
    const listener = (warning: Error): void => void warned.push(warning);
    process.on("warning", listener);
    onTestFinished(() => void process.off("warning", listener));
    await loadTasks([`${directory}/tasks`], testLog);
    await nextTurn();
    expect(warned).toEqual([]);
  });

  it.each([
    ["an enum", "enum Color { Red } export default async () => Color.Red;", "use a union"],
    ["a missing package", 'import "not-installed-anywhere"; export default async () => {};', "Install the package"],
    ["a helper module", "export const help = 1;", "whose name begins with @"],
    [
      "an error while loading",
      'throw new Error("no key"); export default async () => {};',
      /bad\.ts:1:\d+ threw this error while it was loaded\.$/,
    ],
    ["a syntax error", "export default async () => {\n  const = 1;\n};", /^Correct \S*bad\.ts:2\.$/],
    [
      "a decorator",
      "const log = (_: unknown) => {};\n@log class Mail {}\nexport default async () => {};",
      "does not run decorators",
    ],
  ])("gives a hint about %s", async (_what, content, hint) => {
    const directory = await directoryOf({ "bad.ts": content });
    await expect(loadTasks([directory], testLog)).rejects.toMatchObject({ code: "LW515", hint: expect.stringMatching(hint) });
  });

  it("names the line of a syntax error in JavaScript, in both module systems", async () => {
    for (const [file, content] of [
      ["bad.mjs", "export default async () => {\n  const = 1;\n};"],
      ["bad.cjs", "module.exports = async () => {\n  const = 1;\n};"],
    ] as const) {
      await expect(loadTasks([await directoryOf({ [file]: content })], testLog)).rejects.toMatchObject({
        hint: expect.stringMatching(`^Correct \\S*${file}:2\\.$`),
      });
    }
  });

  it("rejects a directory that does not exist or contains no tasks", async () => {
    await expect(loadTasks(["/nowhere/tasks"], testLog)).rejects.toMatchObject({
      code: "LW515",
      message: "The tasks directory /nowhere/tasks does not exist.",
    });
    const empty = await directoryOf({ "readme.txt": "" });
    await expect(loadTasks([empty], testLog)).rejects.toMatchObject({
      code: "LW515",
      message: expect.stringContaining("No tasks were found"),
    });
  });

  it("rejects a name that occurs in two directories", async () => {
    const task = { "same.mjs": "export default async () => {};" };
    await expect(loadTasks([await directoryOf(task), await directoryOf(task)], testLog)).rejects.toThrow(
      "Task 'same' exists in both",
    );
  });
});
