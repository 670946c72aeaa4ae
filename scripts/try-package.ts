// Installs the package that would be published into an empty project, as a user does, and checks the promises of the README and
// docs/reference/dependencies.md. Run `npm run package` first. Needs access to the npm registry.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startTestDatabase } from "../src/testing.ts";
import { serving } from "./serving.ts";

/** The maximum that `npm install legwork` may add: the number of packages, and megabytes on disk. */
const MOST_PACKAGES = 120;
const MOST_MEGABYTES = 60;

const CHECKOUT = fileURLToPath(new URL("..", import.meta.url));
const TSC = join(CHECKOUT, "node_modules/.bin/tsc");
const project = await mkdtemp(join(tmpdir(), "legwork-package-"));
const LEGWORK = join(project, "node_modules/legwork/bin/legwork.js");

/**
 * The environment without Legwork's settings and without the variables that npm sets for the scripts that it runs, because they belong to this
 * project and not to the test project.
 */
const inherited = Object.entries(process.env).filter(
  ([name]) => !/^(DATABASE_URL$|LEGWORK_|npm_(lifecycle|package|config_local_prefix))/.test(name),
);
const environment = { ...Object.fromEntries(inherited), NO_COLOR: "1", LEGWORK_PORT: "0" };

interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program in the project. */
function run(program: string, parameters: readonly string[], more: Record<string, string> = {}): Promise<Result> {
  return new Promise((resolve) => {
    execFile(
      program,
      parameters,
      { cwd: project, env: { ...environment, ...more }, maxBuffer: 1e8, timeout: 120_000 },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    );
  });
}

async function succeed(program: string, parameters: readonly string[], more: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await run(program, parameters, more);
  assert.equal(code, 0, `${program} ${parameters.join(" ")}\n${stdout}${stderr}`);
  return stdout;
}

/** Returns the number of packages in the project's node_modules and their size on disk (MB, in whole blocks). */
async function installed(): Promise<{ packages: number; megabytes: number }> {
  const lines = (await succeed("npm", ["ls", "--all", "--parseable"])).trim().split("\n");
  const files = await readdir(join(project, "node_modules"), { recursive: true, withFileTypes: true });
  let blocks = 0;
  for (const file of files) blocks += (await stat(join(file.parentPath, file.name))).blocks;
  // The first line is the project itself.
  return { packages: lines.length - 1, megabytes: Math.round((blocks * 512) / 1024 ** 2) };
}

/** Starts the project's `legwork server` over a database, calls `ask` with its URL, and stops it. */
function served(databaseUrl: string, ask: (url: string) => Promise<void>): Promise<void> {
  return serving(LEGWORK, { cwd: project, env: { ...environment, DATABASE_URL: databaseUrl, LEGWORK_LOG_LEVEL: "info" } }, ask);
}

async function statusOf(url: string, options: RequestInit = {}): Promise<number> {
  const answer = await fetch(url, options);
  await answer.body?.cancel();
  return answer.status;
}

/** Runs a function while a package is missing. */
async function without(name: string, act: () => Promise<void>): Promise<void> {
  const [from, to] = [join(project, "node_modules", name), join(project, "taken-away")];
  await rename(from, to);
  await act().finally(() => rename(to, from));
}

const write = (name: string, text: string): Promise<void> => writeFile(join(project, name), text);

const database = await startTestDatabase();
const env = { DATABASE_URL: database.databaseUrl };
const legwork = (...parameters: string[]): Promise<Result> => run(process.execPath, [LEGWORK, ...parameters], env);
try {
  const [packed] = JSON.parse(
    await succeed("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", project, CHECKOUT]),
  ) as [{ filename: string }];
  await succeed("npm", ["init", "-y"]);
  await succeed("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", join(project, packed.filename)]);
  const slim = await installed();
  console.log(`npm install legwork: ${slim.packages} packages, ${slim.megabytes} MB`);
  assert.ok(slim.packages <= MOST_PACKAGES, `${slim.packages} packages, at most ${MOST_PACKAGES}`);
  assert.ok(slim.megabytes <= MOST_MEGABYTES, `${slim.megabytes} MB, at most ${MOST_MEGABYTES}`);

  await write(
    "enqueue.mts",
    `
import { createLegwork } from "legwork";
import { openTestKit } from "legwork/testing";
const legwork = await createLegwork();
console.log(await legwork.jobs.enqueue("hello", { name: "Ada" }), typeof openTestKit);
await legwork.stop();
`,
  );
  await write("wrong.mts", `import { enqueue } from "legwork";\nenqueue(1);\n`);
  const options = ["--noEmit", "--strict", "--skipLibCheck", "false", "--module", "nodenext", "--target", "es2024"];
  await succeed(TSC, [...options, "enqueue.mts"]);
  assert.notEqual((await run(TSC, [...options, "wrong.mts"])).code, 0, "tsc does not report the type error");

  const task = `export default defineTask({ description: "Greets.", run: async ({ name }) => ({ greeted: name }) });\n`;
  await run("mkdir", ["tasks"]);
  await write("tasks/hello.ts", `import { defineTask } from "legwork";\n${task}`);
  // Migrates the database and registers the task.
  assert.equal((await legwork("worker", "--once")).code, 0);
  assert.equal(await succeed(process.execPath, ["enqueue.mts"], env), "1 function\n");
  assert.equal((await legwork("worker", "--once")).code, 0);
  assert.match((await legwork("job", "1", "--json")).stdout, /"greeted": ?"Ada"/);

  const refused = await legwork("server");
  assert.equal(refused.code, 1);
  const [, command = ""] = /^legwork: .+ \(LW517\)\nhint: Run `(npm install [^`]+)`\.\n$/.exec(refused.stderr) ?? [];
  assert.notEqual(command, "", refused.stderr);
  assert.equal((await legwork("install", "--dry-run")).stdout, `${command}\n`);
  const added = await run(process.execPath, [LEGWORK, "install"], { ...env, npm_config_ignore_scripts: "true" });
  assert.equal(added.code, 0, added.stderr);
  const all = await installed();
  console.log(`with the server and GraphQL: ${all.packages} packages, ${all.megabytes} MB`);

  const query = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"query": "{ jobs(first: 1) { nodes { id } } }"}',
  };
  const { stdout: token } = await legwork("token", "create", "--role", "viewer", "--name", "try");
  const [bearer = ""] = /lw_[\w-]+/.exec(token) ?? [];
  const asked = { ...query, headers: { ...query.headers, authorization: `Bearer ${bearer}` } };
  await served(database.databaseUrl, async (url) => {
    assert.equal(await statusOf(url, { headers: { accept: "text/html" } }), 200);
    assert.equal(await statusOf(`${url}/api/v1/jobs`, { headers: asked.headers }), 200);
    assert.equal(await statusOf(`${url}/graphql`, asked), 200);
  });
  await without("ruru", () =>
    served(database.databaseUrl, async (url) => {
      assert.equal(await statusOf(`${url}/api/v1/jobs`, { headers: asked.headers }), 200);
      const answer = await fetch(`${url}/graphql`, asked);
      assert.equal(answer.status, 501);
      assert.match(await answer.text(), /"LW517".+npm install ruru@/);
    }),
  );
  // A missing package of another kind is not reported as an optional one.
  await without("avvio", async () => {
    const { code, stderr } = await legwork("server");
    assert.equal(code, 1);
    assert.match(stderr, /Cannot find (module|package) 'avvio'/);
    assert.doesNotMatch(stderr, /LW517/);
  });

  const audit = JSON.parse((await run("npm", ["audit", "--json"])).stdout) as {
    metadata?: { vulnerabilities: { high: number; critical: number } };
  };
  if (audit.metadata === undefined) console.log("npm audit: the registry returned no report.");
  else {
    const { high, critical } = audit.metadata.vulnerabilities;
    console.log(`npm audit: ${high} high, ${critical} critical`);
    assert.equal(high + critical, 0, "`npm audit` reports vulnerabilities in a project with Legwork.");
  }
} finally {
  await database.stop();
  await rm(project, { recursive: true, force: true });
}
