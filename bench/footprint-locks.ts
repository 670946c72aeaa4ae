import { setTimeout as delay } from "node:timers/promises";
import { Logger, run } from "graphile-worker";
import pg from "pg";
import { migrate } from "../src/db/migrate.ts";
import { createPool, type Pool } from "../src/db/pool.ts";
import { benchLog } from "./server.ts";

type Row = Record<string, unknown>;

/** The interval at which the locks are read (ms). */
const LOOK_MS = 1;

/** Records the locks that `migrate` takes on graphile-worker's tables, and when each lock is first seen. */
async function watchLocks(url: string): Promise<{ stop(): Promise<Row[]> }> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const since = new Map<string, number>();
  let stopped = false;
  const looking = (async () => {
    while (!stopped) {
      const { rows } = await client.query(
        `select c.relname as relation, l.mode from pg_locks l join pg_class c on c.oid = l.relation join pg_stat_activity a on a.pid = l.pid
         where l.granted and c.relnamespace = 'graphile_worker'::regnamespace and c.relkind = 'r' and a.application_name = 'legwork migrate'`,
      );
      for (const { relation, mode } of rows) {
        const key = `${relation} ${mode}`;
        if (!since.has(key)) since.set(key, performance.now());
      }
      await delay(LOOK_MS);
    }
  })();
  return {
    stop: async () => {
      const ended = performance.now();
      stopped = true;
      await looking;
      await client.end();
      return [...since]
        .toSorted(([one], [other]) => one.localeCompare(other))
        .map(([key, from]) => {
          const [table, mode] = key.split(" ");
          return { table, mode, "held until the end (ms)": Math.round(ended - from) };
        });
    },
  };
}

async function migrated(url: string): Promise<Row[]> {
  const own = createPool(url, { log: benchLog, name: "legwork migrate" });
  const locks = await watchLocks(url);
  await migrate(own, benchLog);
  const rows = await locks.stop();
  await own.end();
  return rows;
}

/** Migrates a database in which a plain worker is running and jobs are added one after the other. */
export async function measureLocks({ url, pool, jobs }: { url: string; pool: Pool; jobs: number }): Promise<[string, Row[]][]> {
  await pool.query(
    "select graphile_worker.add_job('later', run_at => now() + interval '1 year') from generate_series(1, $1::int)",
    [jobs],
  );
  let ran = 0;
  const runner = await run({
    pgPool: pool,
    logger: new Logger(() => () => {}),
    noHandleSignals: true,
    parsedCronItems: [],
    taskList: { noop: async () => void (ran += 1) },
  });
  let longest = 0;
  let stopped = false;
  const adding = (async () => {
    while (!stopped) {
      const start = performance.now();
      await pool.query("select graphile_worker.add_job('noop')");
      longest = Math.max(longest, performance.now() - start);
      await delay(10);
    }
  })();
  const start = performance.now();
  const first = await migrated(url);
  const took = performance.now() - start;
  stopped = true;
  await adding;
  const again = await migrated(url);
  await runner.stop();
  return [
    [`Locks taken by the first migrate, with ${jobs} waiting jobs and a worker`, first],
    [
      "Meanwhile",
      [{ "migrate took (ms)": Math.round(took), "longest wait of add_job (ms)": Math.round(longest), "jobs run": ran }],
    ],
    ["Locks taken by another migrate, with nothing to do", again.length > 0 ? again : [{ table: "none" }]],
  ];
}
