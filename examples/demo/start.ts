import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { Pool } from "pg";
import { type Example, EXAMPLES, type Work } from "./examples.ts";
import { startStandIns } from "./stand-ins.ts";

/** While so many jobs wait or run, the demonstration adds none: somebody has stopped everything, or has work of their own. */
const LIVE_JOBS_LIMIT = 300;

export interface DemoOptions {
  databaseUrl: string;
  dataDir: string;
  /** How many times faster things happen; 1 by default. For tests. */
  pace?: number;
}

/**
 * Starts every example on one database and lets work come in, as their users would make it: a job every two or three seconds. What they call stands in
 * this process. Resolves to what stops all of it, once the examples are there; their work begins afterwards.
 */
export async function startDemo({ databaseUrl, dataDir, pace = 1 }: DemoOptions): Promise<() => Promise<void>> {
  const standIns = await startStandIns();
  const own = new Set<string>();
  const examples: [string, Example][] = [];
  for (const [name, load] of Object.entries(EXAMPLES)) {
    const example: Example = await load();
    examples.push([name, example]);
    // Read by tasks when they run, and by an example when it starts.
    for (const [setting, value] of Object.entries((await example.settings?.(standIns, dataDir)) ?? {})) {
      if (process.env[setting]) continue;
      process.env[setting] = value;
      own.add(setting);
    }
  }
  const pool = new Pool({ connectionString: databaseUrl, max: 2, application_name: "legwork demo", allowExitOnIdle: true });
  // A connection that the server closes is replaced by the next that is needed.
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

/** What an example does in its first start on a database. All of it or nothing is there. */
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

/** Does the work every so often, until the signal aborts. */
async function repeat(pool: Pool, name: string, work: Work, pace: number, signal: AbortSignal): Promise<void> {
  // Keeps no process alive.
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
      // The database may be restarting; the next round asks again.
      if (!signal.aborted) process.stderr.write(`The demonstration of ${name}: ${(error as Error).message}\n`);
    }
    await pause(work.every);
  }
}
