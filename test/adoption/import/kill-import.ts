// Imports 100,000 jobs from the real pg-boss and kills the import three times in the middle. Every job must end up in Legwork exactly once, run once, and
// never be available in pg-boss again.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { PgBoss } from "pg-boss";

const LEGWORK = fileURLToPath(new URL("../../../bin/legwork.js", import.meta.url));
const JOBS = Number(process.env["JOBS"] ?? 100_000);
/** The shares of the jobs after which the import is killed. */
const KILLS = [0.2, 0.45, 0.7];
/** The longest time that one import or worker may take (ms). */
const TIMEOUT = 300_000;
const databaseUrl = process.env["DATABASE_URL"] ?? "";
const environment = { ...process.env, DATABASE_URL: databaseUrl };
const tasks = mkdtempSync(join(tmpdir(), "legwork-import-"));
writeFileSync(join(tasks, "email.mjs"), "export default async () => {};\n");
execFileSync(process.execPath, [LEGWORK, "migrate"], { env: environment, stdio: "ignore" });
const pool = new pg.Pool({ connectionString: databaseUrl });

const startImport = (parameters: readonly string[]): ChildProcess =>
  spawn(process.execPath, [LEGWORK, "import", "pg-boss", ...parameters, "--apply", "--json"], {
    env: environment,
    stdio: ["ignore", "ignore", "inherit"],
    timeout: TIMEOUT,
  });

async function count(client: pg.Pool, text: string): Promise<number> {
  const { rows } = await client.query<{ count: string }>(text);
  return Number(rows[0]?.count);
}

const inLegwork = (): Promise<number> => count(pool, "select count(*) from graphile_worker._private_jobs");

/** Kills the import once this many jobs are in Legwork. Returns their number. */
async function killAt(jobs: number, parameters: readonly string[]): Promise<number> {
  const child = startImport(parameters);
  const ended = once(child, "exit");
  const deadline = performance.now() + TIMEOUT;
  while ((await inLegwork()) < jobs) {
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`The import ended with ${child.exitCode} before ${jobs} jobs were imported.`);
    await sleep(5);
  }
  child.kill("SIGKILL");
  const [, signal] = await ended;
  if (signal !== "SIGKILL") throw new Error("The import ended before it could be killed.");
  return await inLegwork();
}

async function importRest(parameters: readonly string[]): Promise<void> {
  const [code] = await once(startImport(parameters), "exit");
  if (code !== 0) throw new Error(`The import ended with ${code}.`);
}

function assertEqual(what: string, actual: unknown, expected: unknown): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected))
    throw new Error(`${what}: ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}.`);
}

const remote = new URL(databaseUrl);
remote.pathname = "/killed";
await pool.query("create database killed");
for (const [where, url] of [
  ["in the same database", databaseUrl],
  ["in another database", remote.href],
] as const) {
  const parameters = url === databaseUrl ? [] : ["--source-url", url];
  await pool.query("delete from legwork_private.imported_jobs; delete from legwork_private.finished_jobs");
  await pool.query(`select legwork_private.register_tasks('[{"name": "email"}]')`);
  const source = new pg.Pool({ connectionString: url });
  const boss = new PgBoss({ connectionString: url, supervise: false, schedule: false });
  boss.on("error", (error) => console.error(error.message));
  await boss.start();
  await boss.createQueue("email");
  for (let i = 0; i < JOBS; i += 5_000)
    await boss.insert(
      "email",
      Array.from({ length: 5_000 }, (_, n) => ({ data: { i: i + n } })),
    );
  assertEqual("jobs in pg-boss", await count(source, "select count(*) from pgboss.job where state = 'created'"), JOBS);

  const began = performance.now();
  const killed: number[] = [];
  for (const share of KILLS) killed.push(await killAt(Math.round(JOBS * share), parameters));
  await importRest(parameters);
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  const imported = "select count(*), count(distinct (payload->>'i')::int) as different from legwork.jobs where task = 'email'";
  const { rows } = await pool.query<{ count: string; different: string }>(imported);
  assertEqual(`jobs in Legwork, ${where}`, rows, [{ count: String(JOBS), different: String(JOBS) }]);
  const { rows: states } = await source.query("select state, count(*)::int from pgboss.job group by state");
  assertEqual(`jobs in pg-boss, ${where}`, states, [{ state: "cancelled", count: JOBS }]);
  await importRest(parameters);
  assertEqual(`jobs in Legwork after another import, ${where}`, await inLegwork(), JOBS);

  execFileSync(process.execPath, [LEGWORK, "worker", "--once", "--tasks", tasks], {
    env: environment,
    stdio: "ignore",
    timeout: TIMEOUT,
  });
  const { rows: ran } = await pool.query(
    "select state, attempts, count(*)::int, count(distinct (payload->>'i')::int)::int as different from legwork.jobs where task = 'email' group by 1, 2",
  );
  assertEqual(`runs, ${where}`, ran, [{ state: "completed", attempts: 1, count: JOBS, different: JOBS }]);
  console.log(
    `✓ pg-boss ${where}: the import was killed when ${killed.join(", ")} jobs were imported; all ${JOBS} were imported once, in ${seconds} s, and ran once.`,
  );
  await boss.stop({ graceful: false });
  await source.end();
}
await pool.end();
rmSync(tasks, { recursive: true });
