import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { Pool } from "pg";
import { type Example, EXAMPLES, type Work } from "./examples.ts";
import { startStandIns } from "./stand-ins.ts";

/** While this many jobs are waiting or running, the demo adds no jobs: the operator has stopped everything, or the system is busy with other jobs. */
const LIVE_JOBS_LIMIT = 300;

export interface DemoOptions {
  databaseUrl: string;
  dataDir: string;
  /** The speed factor of the demo's activity, for tests. Default: 1. */
  pace?: number;
}

/**
 * Starts all examples on one database and enqueues jobs as their users would, one every two or three seconds. The services that they call run in this
 * process. Resolves once the examples are set up, to a function that stops everything; their activity begins afterwards.
 */
export async function startDemo({ databaseUrl, dataDir, pace = 1 }: DemoOptions): Promise<() => Promise<void>> {
  const standIns = await startStandIns();
  const own = new Set<string>();
  const examples: [string, Example][] = [];
  for (const [name, load] of Object.entries(EXAMPLES)) {
    const example: Example = await load();
    examples.push([name, example]);
    // Tasks read settings when they run; examples read them when they start.
    for (const [setting, value] of Object.entries((await example.settings?.(standIns, dataDir)) ?? {})) {
      if (process.env[setting]) continue;
      process.env[setting] = value;
      own.add(setting);
    }
  }
  const pool = new Pool({ connectionString: databaseUrl, max: 2, application_name: "legwork demo", allowExitOnIdle: true });
  // If the server closes a connection, the pool opens another when needed.
  pool.on("error", () => {});
  await pool.query(await readFile(new URL("sql/001_demo.sql", import.meta.url), "utf8"));
  for (const [name, example] of examples) {
    await example.start(databaseUrl);
    await firstStart(pool, name, example);
  }
  const stopped = new AbortController();
  const loops = examples.flatMap(([name, { work = [] }]) =>
    work
      .filter(({ needs = [] }) => needs.every((setting) => own.has(setting)))
      .map((one) => repeat(pool, name, one, pace, stopped.signal)),
  );
  return async () => {
    stopped.abort();
    await Promise.all(loops);
    await pool.end();
    await standIns.stop();
    for (const setting of own) delete process.env[setting];
  };
}

/** Runs an example's first-start work, once per database, in one transaction. */
async function firstStart(pool: Pool, name: string, example: Example): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const { rowCount } = await client.query("insert into demo.examples (name) values ($1) on conflict do nothing", [name]);
    if (rowCount === 1) await example.first?.(client);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  } finally {
    client.release();
  }
}

/** Repeats the work at its interval until the signal aborts. */
async function repeat(pool: Pool, name: string, work: Work, pace: number, signal: AbortSignal): Promise<void> {
  // The timer does not keep the process running.
  const pause = (seconds: number): Promise<void> =>
    delay((seconds * 1_000) / pace, undefined, { signal, ref: false }).catch(() => undefined);
  await pause(work.begins ?? 1 + work.every * 0.2 * Math.random());
  while (!signal.aborted) {
    try {
      const { rows } = await pool.query(
        "select count(*) >= $1 as full from (select from graphile_worker._private_jobs where attempts < max_attempts limit $1) j",
        [LIVE_JOBS_LIMIT],
      );
      if (rows[0].full !== true) await work.run(pool);
    } catch (error) {
      // The database may be restarting; the next round tries again.
      if (!signal.aborted) process.stderr.write(`Demo of ${name}: ${(error as Error).message}\n`);
    }
    await pause(work.every);
  }
}
