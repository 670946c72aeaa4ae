import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { startEmbeddedPostgres } from "../src/embedded/start-embedded.ts";
import { createLogger } from "../src/log.ts";

export const benchLog = createLogger({ level: "warn" });

/**
 * Calls `work` with the URL of a server to create databases on: BENCH_DATABASE_URL if set, otherwise a new embedded Postgres 18 with full durability
 * (fsync and synchronous commit are on).
 */
export async function withServer(work: (serverUrl: string) => Promise<void>): Promise<void> {
  const given = process.env.BENCH_DATABASE_URL;
  if (given) return await work(given);
  const directory = await mkdtemp(join(tmpdir(), "legwork-bench-"));
  // If root starts it, Postgres runs as another user, who needs access to the directory.
  await chmod(directory, 0o755);
  const server = await startEmbeddedPostgres({
    dataDir: join(directory, "data"),
    log: benchLog,
    // Tables are vacuumed between the rounds. Autovacuum would randomly affect one side or the other, by more than the measured difference.
    settings: { shared_buffers: "1GB", max_wal_size: "16GB", checkpoint_timeout: "1h", autovacuum: "off" },
  });
  try {
    await work(server.databaseUrl);
  } finally {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Creates a database with that name, empty or as a copy of another one. Drops an existing one first. */
export async function freshDatabase(serverUrl: string, name: string, template = "template1"): Promise<string> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  await client.query(`drop database if exists ${name} with (force)`);
  await client.query(`create database ${name} template ${template}`);
  await client.end();
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

const runChild = promisify(execFile);

/**
 * Enqueues jobs with one call of add_jobs, and returns the jobs per second. Vacuums the tables afterward, so that both sides run with the same query
 * plans.
 */
export async function enqueue(url: string, task: string, jobs: number): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const start = performance.now();
  await client.query(
    `select count(*) from graphile_worker.add_jobs(array(
       select row($1, json_build_object('n', n), null, null, null, null, null, null)::graphile_worker.job_spec from generate_series(1, $2::int) n))`,
    [task, jobs],
  );
  const seconds = (performance.now() - start) / 1_000;
  await client.query("vacuum (analyze)");
  await client.query("checkpoint");
  await client.end();
  return jobs / seconds;
}

/** Runs the jobs in a separate worker process, and returns the jobs per second. `runner` is graphile or legwork. */
export async function runWorker(url: string, runner: string, task: string, jobs: number): Promise<number> {
  const script = fileURLToPath(new URL("worker.ts", import.meta.url));
  const { stdout } = await runChild(process.execPath, [script, url, runner, task, String(jobs)], {
    env: { ...process.env, NO_LOG_SUCCESS: "1" },
  });
  return Number(stdout.trim().split("\n").at(-1));
}

export function median(values: readonly number[]): number {
  // A side that was not measured must not look like one that takes no time.
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? Number.NaN) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
