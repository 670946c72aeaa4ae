import { execFile } from "node:child_process";
import { readFile, symlink } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { legwork } from "./support/cli.ts";
import { testDatabase } from "./support/database.ts";
import { scaled } from "./support/slowness.ts";
import { until } from "./support/until.ts";
import { directoryOf, workerProcess } from "./support/worker.ts";

const CHECKOUT = fileURLToPath(new URL("..", import.meta.url));
const readme = await readFile(`${CHECKOUT}/README.md`, "utf8");
/** The output of `npm init -y`. */
const MANIFEST = '{ "name": "hello", "version": "1.0.0", "main": "index.js", "type": "commonjs" }';

/** The files in the README, each under the name in its first line. */
const files = Object.fromEntries(
  [...readme.matchAll(/```ts\n\/\/ (\S+)\n([\s\S]+?)```/g)].map(([, path, code]) => [path ?? "", code ?? ""]),
);
/** The commands in the README, without their comments. */
const commands = [...readme.matchAll(/^npx legwork (.+?)(?: +#.*)?$/gm)].map(([, command]) => command ?? "");

/** A project created by `npm init -y` with the README's files. */
async function projectOf(): Promise<string> {
  const testKit = new URL("../src/testing.ts", import.meta.url).href;
  const ours = Object.entries(files).map(([path, code]) => [path, code.replace('"legwork/testing"', `"${testKit}"`)]);
  const directory = await directoryOf({ "package.json": MANIFEST, ...Object.fromEntries(ours) });
  await symlink(`${CHECKOUT}/node_modules`, `${directory}/node_modules`);
  return directory;
}

/** Runs a program from the README, for which "legwork" means this checkout, as for a worker's task files. */
const run = (directory: string, environment: Record<string, string>, ...parameters: string[]) => {
  const imports = new URL("scripts/import-legwork.ts", `file://${CHECKOUT}`).href;
  const { PATH = "" } = process.env;
  return promisify(execFile)(process.execPath, ["--import", imports, ...parameters], {
    cwd: directory,
    env: { PATH, ...environment },
  });
};

describe("the README in a project created by npm init", () => {
  const database = testDatabase();
  const testing = testDatabase();

  it("shows only whole files as TypeScript", () => {
    expect(Object.keys(files)).toEqual([
      "tasks/hello.ts",
      "tasks/notify/welcome.ts",
      "enqueue.mts",
      "tasks/orders/ship.ts",
      "hello.test.mts",
    ]);
    expect([...readme.matchAll(/```ts\n/g)]).toHaveLength(Object.keys(files).length);
  });

  it(
    "has tasks that run and commands that succeed",
    async () => {
      const directory = await projectOf();
      await database.pool.query("create table users (id int primary key, email text not null)");
      await workerProcess(database, `${directory}/tasks`);
      const ended = (task: string): Promise<Record<string, unknown>> =>
        until(`a job of ${task} has ended`, async () => {
          const { rows } = await database.pool.query(
            "select state, result, error from legwork.jobs where task = $1 and finished_at is not null",
            [task],
          );
          return rows[0] as Record<string, unknown> | undefined;
        });

      // Commands that start servers, or that another test covers, are left out.
      const simple = commands.filter((command) => !/^(up|worker|dashboard)\b/.test(command) && !command.includes("--uninstall"));
      expect(simple.length).toBeGreaterThan(5);
      const succeed = async (command: string): Promise<void> => {
        const parameters = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
        const { code, stderr } = await legwork(parameters, { DATABASE_URL: database.url });
        // The doctor fails on findings, and test servers have settings that it warns about.
        expect([command, command === "doctor" ? 0 : code, stderr]).toEqual([command, 0, ""]);
      };
      const [add = "", ...others] = simple.toSorted((a, b) => Number(b.startsWith("add")) - Number(a.startsWith("add")));
      await succeed(add);
      expect(await ended("hello")).toEqual({ state: "completed", result: { greeted: "Ada" }, error: null });
      await Promise.all(others.map(succeed));

      await run(directory, { DATABASE_URL: database.url }, "enqueue.mts");
      expect(await ended("notify/welcome")).toMatchObject({ state: "completed", result: { email: "[redacted]" } });

      const { rows } = await database.pool.query(`select legwork.enqueue('orders/ship', '{"orderId": 7}') as id`);
      await database.pool.query(`select legwork.send_signal($1, 'approval', '{"by": "ada"}')`, [rows[0]?.id]);
      expect(await ended("orders/ship")).toMatchObject({ state: "completed" });
      // Nine processes, partly one after the other.
    },
    scaled(60_000),
  );

  it("has a test that passes under node:test", async () => {
    const directory = await projectOf();
    const { stdout } = await run(
      directory,
      { TEST_DATABASE_URL: testing.url },
      "--test",
      "--test-reporter=tap",
      "hello.test.mts",
    );
    expect(stdout).toContain("# pass 1");
  });
});
