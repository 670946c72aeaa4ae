// Projects in a temporary folder outside the checkout, with the package that would be published.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";

export const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));
export const root = await mkdtemp(join(tmpdir(), "legwork-adoption-"));
await chmod(root, 0o755);
export const BIN = join(root, "node_modules/legwork/bin/legwork.js");
/** Settings and npm's variables are left out, because they belong to the project that this script runs in. */
const inherited = Object.entries(process.env).filter(
  ([name]) =>
    !/^(DATABASE_URL$|NODE_(OPTIONS|ENV|PATH|COMPILE_CACHE)$|LEGWORK_|npm_(lifecycle|package|config_local_prefix))/.test(name),
);

/** The environment of a program in a fresh project. */
export const environment = (more: Record<string, string>): Record<string, string | undefined> => ({
  ...Object.fromEntries(inherited),
  NO_COLOR: "1",
  LEGWORK_LOG_LEVEL: "error",
  ...more,
});

export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

export function run(
  program: string,
  parameters: readonly string[],
  cwd = root,
  more: Record<string, string> = {},
): Promise<Result> {
  const env = environment(more);
  return new Promise((resolve) => {
    execFile(program, parameters, { cwd, env, maxBuffer: 1e8, timeout: 300_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    );
  });
}

export async function succeed(
  program: string,
  parameters: readonly string[],
  cwd = root,
  more: Record<string, string> = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(program, parameters, cwd, more);
  assert.equal(code, 0, `${program} ${parameters.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

export async function project(name: string, files: Record<string, string>): Promise<string> {
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name, file)), { recursive: true });
    await writeFile(join(root, name, file), text);
  }
  return join(root, name);
}

export const QUIETLY = ["--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"] as const;

/** Packs the package and installs it, with other packages. Returns the path of the packed file. */
export async function installPackage(...more: string[]): Promise<string> {
  const [packed] = JSON.parse(
    await succeed("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", root, CHECKOUT]),
  ) as [{ filename: string }];
  await succeed("npm", ["init", "-y"]);
  await succeed("npm", ["install", ...QUIETLY, join(root, packed.filename), ...more]);
  return join(root, packed.filename);
}

export const removeProjects = (): Promise<void> => rm(root, { recursive: true, force: true });

/** Runs each task once with a worker on this version of Node, and expects all jobs to complete. */
export async function runTasks(
  node: string,
  directory: string,
  databaseUrl: string,
  names: readonly string[],
  tasks = "tasks",
): Promise<void> {
  const env = { DATABASE_URL: databaseUrl };
  const worker = ["--disable-warning=DEP0169", BIN, "worker", "--once", "--tasks", tasks];
  await succeed(node, worker, directory, env);
  const client = new pg.Client(databaseUrl);
  await client.connect();
  try {
    const ids = [];
    for (const name of names) ids.push((await client.query("select legwork.enqueue($1, '{\"n\": 4}') as id", [name])).rows[0].id);
    await succeed(node, worker, directory, env);
    const { rows } = await client.query("select task, state, result ->> 'n' as n, error from legwork.jobs where id = any ($1)", [
      ids,
    ]);
    for (const row of rows) assert.deepEqual([row.task, row.state, row.n], [row.task, "completed", "4"], String(row.error));
    assert.equal(rows.length, names.length);
  } finally {
    await client.end();
  }
}
