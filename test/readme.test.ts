import { execFile } from "node:child_process";
import { readFile, symlink } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { legwork } from "./support/cli.ts";
import { testDatabase } from "./support/database.ts";
import { scaled } from "./support/slowness.ts";
import { until } from "./support/until.ts";
import { directoryOf, workerProcess } from "./support/worker.ts";

const CHECKOUT = fileURLToPath(new URL("..", import.meta.url));
const readme = await readFile(`${CHECKOUT}/README.md`, "utf8");
const start = await readFile(`${CHECKOUT}/docs/guides/start.md`, "utf8");
/** The output of `npm init -y`. */
const MANIFEST = '{ "name": "hello", "version": "1.0.0", "main": "index.js", "type": "commonjs" }';

/** The files that a page shows. Each has its name in its first line. */
const filesOf = (page: string): Record<string, string> =>
  Object.fromEntries([...page.matchAll(/```ts\n\/\/ (\S+)\n([\s\S]+?)```/g)].map(([, path, code]) => [path ?? "", code ?? ""]));
/** The commands of a page, without their comments. */
const commandsOf = (page: string): string[] =>
  [...page.matchAll(/^npx legwork (.+?)(?: +#.*)?$/gm)].map(([, command]) => command ?? "");
/** The words into which a shell splits a command. */
const wordsOf = (command: string): string[] =>
  [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");

const files = filesOf(readme);
const commands = commandsOf(readme);

/** A project created by `npm init -y` with the files of a page. */
async function projectOf(files: Record<string, string>): Promise<string> {
  const testKit = new URL("../src/testing.ts", import.meta.url).href;
  const ours = Object.entries(files).map(([path, code]) => [path, code.replace('"legwork/testing"', `"${testKit}"`)]);
  const directory = await directoryOf({ "package.json": MANIFEST, ...Object.fromEntries(ours) });
  await symlink(`${CHECKOUT}/node_modules`, `${directory}/node_modules`);
  return directory;
}

/** Runs a program from the README. Its imports of "legwork" resolve to this checkout, as in a worker's task files. */
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
      const directory = await projectOf(files);
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
      const simple = commands.filter(
        (command) => !/^(up|worker|server|dashboard)\b/.test(command) && !command.includes("--uninstall"),
      );
      expect(simple.length).toBeGreaterThan(5);
      const succeed = async (command: string): Promise<void> => {
        const { code, stderr } = await legwork(wordsOf(command), { DATABASE_URL: database.url });
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
      // This starts nine processes, some of them one after the other.
    },
    scaled(60_000),
  );

  it("has a test that passes under node:test", async () => {
    const directory = await projectOf(files);
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

describe("the guide Start in five minutes", () => {
  const database = testDatabase();

  it(
    "leads from a first job to an alert that is resolved",
    async () => {
      const service = createServer((_request, response) => response.end());
      onTestFinished(() => void service.close());
      // A free port replaces the port in the guide.
      await new Promise<void>((resolve) => void service.listen(0, "127.0.0.1", resolve));
      const { port } = service.address() as AddressInfo;
      await new Promise((resolve) => void service.close(resolve));
      // The settings and the load of the machine may raise other alerts.
      await database.pool.query(
        "select legwork.set_alert_rule(name, enabled => false) from legwork.alert_rule_list where name <> 'consecutive_failures'",
      );
      const directory = await projectOf(filesOf(start));
      await workerProcess(database, [`${directory}/tasks`, `${CHECKOUT}/tasks`]);

      const query = async (sql: string): Promise<Record<string, unknown> | undefined> =>
        (await database.pool.query(sql)).rows[0] as Record<string, unknown> | undefined;
      const run = (command: string): ReturnType<typeof legwork> =>
        legwork(wordsOf(command.replace("4999", String(port))), { DATABASE_URL: database.url });
      const state = (id: number, expected: string): Promise<unknown> =>
        until(`job ${id} is ${expected}`, () => query(`select from legwork.jobs where id = ${id} and state = '${expected}'`));
      const alert = (expected: string): Promise<unknown> =>
        until(`the alert is ${expected}`, async () => {
          await query("select legwork.evaluate_alerts()");
          return await query(`select from legwork.alerts where target = 'ping' and state = '${expected}'`);
        });

      /** The conditions that must be met before a command prints the output that the guide shows. */
      const before: Record<string, () => Promise<unknown>> = {
        "job 1": () => state(1, "completed"),
        alerts: async () => {
          await state(2, "failed");
          await alert("open");
        },
        "retry 2": () => new Promise<void>((resolve) => void service.listen(port, "127.0.0.1", resolve)),
        "alerts --all": async () => {
          await state(2, "completed");
          await alert("resolved");
        },
      };
      const printed: Record<string, string> = {};
      for (const command of commandsOf(start).filter((each) => !/^(up|dashboard|dev|init|install)\b/.test(each))) {
        await before[command]?.();
        const { code, stdout, stderr } = await run(command);
        const [expectedCode, expectedError] = command.includes("not a URL") ? [1, /\(LW422\)/] : [0, /^$/];
        expect([command, code]).toEqual([command, expectedCode]);
        expect(stderr).toMatch(expectedError);
        printed[command] = stdout;
      }
      expect(printed["add health/probe"]).toBe("1\n");
      expect(printed["job 1"]).toContain('"healthy":true');
      expect(printed["alerts"]).toMatch(/1 +warning +open +consecutive_failures +ping/);
      expect(printed["explain 2"]).toMatch(/retry(?:_job\(| )2/);
      expect(printed["alerts --all"]).toMatch(/1 +warning +resolved/);
    },
    scaled(60_000),
  );

  it("opens its alert after the number of failures that the guide states", async () => {
    const { rows } = await database.pool.query("select warning from legwork.alert_rule_list where name = 'consecutive_failures'");
    expect(Number(rows[0]?.warning)).toBe(3);
  });
});
