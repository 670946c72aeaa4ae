import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { Pool } from "../src/db/pool.ts";
import { startServer } from "../src/server/server.ts";
import { startWorker } from "../src/worker/worker.ts";
import { createLogger } from "../src/log.ts";

/** Hides the warnings that the worker and the server log because they share this process. */
const log = createLogger({ level: "error" });

/** The interval at which the list of database sessions is read (ms). */
const LOOK_MS = 5;

interface Peaks {
  stop(): Promise<Record<string, number>>;
}

/** Records the highest number of simultaneous sessions for each pool's application name. */
async function watchSessions(url: string): Promise<Peaks> {
  const client = new pg.Client({ connectionString: url, application_name: "footprint" });
  await client.connect();
  const most = new Map<string, number>();
  let stopped = false;
  const looking = (async () => {
    while (!stopped) {
      const { rows } = await client.query(
        "select coalesce(application_name, 'all') as name, count(*)::int as n from pg_stat_activity where datname = current_database() and application_name like 'legwork%' group by rollup (application_name)",
      );
      for (const { name, n } of rows) most.set(name, Math.max(n, most.get(name) ?? 0));
      await delay(LOOK_MS);
    }
  })();
  return {
    stop: async () => {
      stopped = true;
      await looking;
      await client.end();
      return Object.fromEntries([...most].toSorted(([one], [other]) => one.localeCompare(other)));
    },
  };
}

/** Every task holds a connection, and the server is queried by as many clients as its pool has connections. */
export async function measureConnections(options: {
  url: string;
  pool: Pool;
  concurrency: number;
  tasks: string;
}): Promise<Record<string, number>> {
  const { url, pool, concurrency, tasks } = options;
  const worker = await startWorker({
    databaseUrl: url,
    log,
    tasks: [tasks],
    concurrency,
    localQueueSize: concurrency,
    shutdownTimeout: 5_000,
  });
  const server = await startServer({
    databaseUrl: url,
    log,
    port: 0,
    host: "127.0.0.1",
    token: "footprint",
    rateLimit: 0,
  });
  const sessions = await watchSessions(url);
  await pool.query(
    "select graphile_worker.add_job(task) from generate_series(1, $1::int), unnest(array['hold', 'hold-sql']) task",
    [concurrency],
  );
  for (;;) {
    await Promise.all(
      Array.from({ length: 40 }, async () => {
        const response = await fetch(`${server.url}/api/v1/jobs`, { headers: { authorization: "Bearer footprint" } });
        if (!response.ok) throw new Error(`The server returned ${response.status}.`);
        await response.text();
      }),
    );
    const { rows } = await pool.query("select from graphile_worker._private_jobs limit 1");
    if (rows.length === 0) break;
  }
  const peaks = await sessions.stop();
  await server.stop();
  await worker.stop();
  return peaks;
}
