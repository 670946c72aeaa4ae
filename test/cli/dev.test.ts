import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";

const SCRIPT = fileURLToPath(new URL("../../bin/legwork.js", import.meta.url));
const database = testDatabase();
let project = "";
let dev: ChildProcess;
let output = "";

const write = (path: string, text: string): void => {
  mkdirSync(dirname(join(project, path)), { recursive: true });
  writeFileSync(join(project, path), text);
};

/** A task that returns the version of its code and of a module that it imports, and waits for a file if the payload names one. */
const task = (version: number): string => `import { existsSync } from "node:fs";
import { defineTask } from "legwork";
import { helper } from "../lib/helper.js";

export default defineTask({
  async run({ wait, fail }: { wait?: string; fail?: string }) {
    if (fail !== undefined) throw new Error(fail);
    while (wait !== undefined && !existsSync(wait)) await new Promise((resolve) => setTimeout(resolve, 20));
    return { version: ${version}, helper, key: process.env["KEY"] };
  },
});
`;

/** Calls `act`, and waits until a line printed after that matches. */
async function printed(pattern: RegExp, act: () => void = () => {}, timeout = 10_000): Promise<string> {
  const from = output.length;
  act();
  return await until(`legwork dev has printed ${String(pattern)}`, () => pattern.exec(output.slice(from))?.[0], timeout).catch(
    (error: unknown) => {
      throw new Error(`The output was:\n${output}`, { cause: error });
    },
  );
}

async function enqueue(payload: object = {}, name = "hello"): Promise<string> {
  const { rows } = await database.pool.query("select legwork.enqueue($1, $2::jsonb) as id", [name, JSON.stringify(payload)]);
  return String(rows[0].id);
}

const stateOf = async (id: string) =>
  (await database.pool.query("select state, attempts, result from legwork.jobs where id = $1", [id])).rows[0];

async function resultOf(id: string) {
  return await until(`job ${id} has completed`, async () => {
    const { state, attempts, result } = await stateOf(id);
    return state === "completed" ? { attempts, ...result } : undefined;
  });
}

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "legwork-dev-"));
  write("package.json", '{"type": "commonjs"}');
  write(".env", `DATABASE_URL=${database.url}\nKEY=first\n`);
  write("lib/helper.ts", "export const helper = 1;\n");
  write("tasks/hello.ts", task(1));
  const { PATH = "", HOME = "", NODE_COMPILE_CACHE = "" } = process.env;
  dev = spawn(process.execPath, [SCRIPT, "dev"], {
    cwd: project,
    env: { PATH, HOME, NODE_COMPILE_CACHE, NO_COLOR: "1", LEGWORK_PORT: "0" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [dev.stdout, dev.stderr]) stream?.on("data", (text: Buffer) => (output += text.toString()));
  await printed(/↻ Ready: hello\n/, () => {}, 30_000);
});
afterAll(async () => {
  if (dev.exitCode === null) {
    const ended = once(dev, "exit");
    dev.kill("SIGKILL");
    await ended;
  }
  rmSync(project, { recursive: true, force: true });
});

it("reads .env, prints where everything is, and prints a line for each job that ends", async () => {
  expect(output).toMatch(/database {3}\S+, from \.env\n {2}dashboard {2}http:\/\/127\.0\.0\.1:\d+ /);
  expect(output).not.toContain(new URL(database.url).password || "no password");
  const { httpUrl } = JSON.parse(readFileSync(join(project, ".legwork/ready.json"), "utf8"));
  expect((await fetch(`${httpUrl}/health`)).status).toBe(200);
  const completed = printed(/✓ hello #\d+ completed in \d+ ms\n/);
  const id = await enqueue();
  expect(await completed).toContain(`#${id} `);
  expect(await resultOf(id)).toEqual({ attempts: 1, version: 1, helper: 1, key: "first" });
  const line = printed(/✗ hello #\d+ failed .*\n/);
  const failed = await enqueue({ fail: "the mail server is down" });
  expect(await line).toMatch(
    new RegExp(`✗ hello #${failed} failed and will be retried in .+: the mail server is down {2}tasks/hello\\.ts:7:\\d+\\n`),
  );
  await database.pool.query("select legwork.cancel_job($1)", [failed]);
});

it("runs new code after a save, a rename, a burst of saves and a change of .env, while running jobs finish with the old code", async () => {
  const [release, old] = [join(project, "release"), await enqueue({ wait: join(project, "release") })];
  await until("the job runs", async () => (await stateOf(old)).state === "running" || undefined);

  // A job that is enqueued while the new code is being loaded runs once, with the old or the new code.
  let during: Promise<string> | undefined;
  await printed(/↻ lib\/helper\.ts has changed\. Reloaded in .+: hello\n/, () => {
    write("lib/helper.ts", "export const helper = 2;\n");
    during = enqueue();
  });
  expect(await resultOf((await during) ?? "")).toMatchObject({ attempts: 1, version: 1 });
  expect(await resultOf(await enqueue())).toMatchObject({ version: 1, helper: 2 });
  expect((await stateOf(old)).state).toBe("running");
  writeFileSync(release, "");
  expect(await resultOf(old)).toMatchObject({ attempts: 1, version: 1, helper: 1 });

  await printed(/↻ tasks\/hello\.ts has changed/, () => {
    write("tasks/.hello.ts.swp", task(2));
    renameSync(join(project, "tasks/.hello.ts.swp"), join(project, "tasks/hello.ts"));
  });
  expect(await resultOf(await enqueue())).toMatchObject({ version: 2, helper: 2 });

  const before = output.split("↻").length;
  await printed(/↻ tasks\/hello\.ts has changed/, () => {
    for (let version = 3; version <= 30; version++) write("tasks/hello.ts", task(version));
  });
  expect(await resultOf(await enqueue())).toMatchObject({ version: 30 });
  expect(output.split("↻").length - before).toBeLessThanOrEqual(3);

  await printed(/↻ \.env has changed/, () => write(".env", `DATABASE_URL=${database.url}\nKEY=second\n`));
  expect(await resultOf(await enqueue())).toMatchObject({ version: 30, key: "second" });
});

it("shows where errors in the code are, and keeps running the old code until they are corrected", async () => {
  const shown = await printed(/✗ tasks\/hello\.ts:\d+[\s\S]+?try again\.\n/, () =>
    write("tasks/hello.ts", task(31).replace("version: 31", "version: = 31")),
  );
  expect(shown).toMatch(
    /✗ tasks\/hello\.ts:9 {2}Expression expected\n[\s\S]+return \{ version: = 31[\s\S]+\n +\^\n[\s\S]+The old code keeps running\./,
  );
  expect(await resultOf(await enqueue())).toMatchObject({ version: 30 });
  await printed(/✗ lib\/helper\.ts:2:7 {2}no such table\n[\s\S]+The old code keeps running/, () => {
    write("lib/helper.ts", 'export const helper = 3;\nthrow new Error("no such table");\n');
    write("tasks/hello.ts", task(31));
  });
  await printed(/The process ended while it was loading the tasks \(exit code 3\)/, () =>
    write("lib/helper.ts", "process.exit(3);\nexport const helper = 3;\n"),
  );
  expect(await resultOf(await enqueue())).toMatchObject({ version: 30 });
  // A module that does not exist yet.
  await printed(/✗ .*Cannot find module/, () => write("lib/helper.ts", 'export { helper } from "./later/other.ts";\n'));
  await printed(/↻ .* has changed/, () => write("lib/later/other.ts", "export const helper = 4;\n"));
  expect(await resultOf(await enqueue())).toMatchObject({ version: 31, helper: 4 });
});

it("picks up new task files and folders, and drops deleted ones", async () => {
  await printed(/↻ .* has changed\. Reloaded in .+: hello, mail\/welcome\n/, () =>
    write("tasks/mail/welcome.mjs", "export default async () => {};\n"),
  );
  const id = await enqueue({}, "mail/welcome");
  await until("the job has completed", async () => (await stateOf(id)).state === "completed" || undefined);
  await printed(/↻ .* has changed\. Reloaded in .+: hello\n/, () => rmSync(join(project, "tasks/mail"), { recursive: true }));
  // `git checkout` may also replace a folder like this.
  await printed(/✗ The tasks directory .*tasks does not exist\./, () =>
    renameSync(join(project, "tasks"), join(project, "elsewhere")),
  );
  expect(await resultOf(await enqueue())).toMatchObject({ version: 31 });
  await printed(/↻ .* has changed\. Reloaded in .+: hello\n/, () => {
    renameSync(join(project, "elsewhere"), join(project, "tasks"));
    write("tasks/hello.ts", task(32));
  });
  expect(await resultOf(await enqueue())).toMatchObject({ version: 32 });
});

it("replaces a worker that was killed, stops quickly on Ctrl-C, and returns its running job to the queue without an attempt", async () => {
  await printed(/! The worker has ended \(SIGKILL\)[\s\S]+↻ Ready: hello\n/, () => {
    const { rows } = { rows: readFileSync(`/proc/${dev.pid}/task/${dev.pid}/children`, "utf8").trim().split(" ") };
    for (const pid of rows) process.kill(Number(pid), "SIGKILL");
  });
  const id = await enqueue({ wait: join(project, "never") });
  await until("the job runs", async () => (await stateOf(id)).state === "running" || undefined);
  const ended = once(dev, "exit");
  const since = performance.now();
  dev.kill("SIGINT");
  expect(await ended).toEqual([0, null]);
  expect(performance.now() - since).toBeLessThan(15_000);
  expect(await stateOf(id)).toMatchObject({ state: "pending", attempts: 0 });
  expect(existsSync(join(project, ".legwork/ready.json"))).toBe(false);
});
