import { setTimeout as delay } from "node:timers/promises";
import { Logger, run } from "graphile-worker";
import type { Pool } from "../src/db/pool.ts";
import { startWorker } from "../src/worker/worker.ts";
import { benchLog } from "./server.ts";

export interface Side {
  readonly name: string;
  readonly legwork: boolean;
  readonly runner: "graphile" | "legwork";
  readonly limited?: true;
}

interface Place {
  readonly url: string;
  readonly pool: Pool;
  readonly side: Side;
  /** The directory with the task `noop`. */
  readonly tasks: string;
}

const CONCURRENCY = 10;

interface Counters {
  readonly wal: number;
  readonly xids: number;
}

async function counters(pool: Pool): Promise<Counters> {
  const { rows } = await pool.query(
    `select (pg_current_wal_insert_lsn() - '0/0')::float8 as wal, pg_snapshot_xmax(pg_current_snapshot())::text::float8 as xids`,
  );
  return rows[0] as Counters;
}

async function counted(pool: Pool, work: () => Promise<unknown>): Promise<Counters> {
  const before = await counters(pool);
  await work();
  const after = await counters(pool);
  return { wal: after.wal - before.wal, xids: after.xids - before.xids };
}

/** Returns the size of a schema's tables with their indexes (bytes). */
async function size(pool: Pool, schema: string): Promise<number> {
  const { rows } = await pool.query(
    "select coalesce(sum(pg_total_relation_size(c.oid)), 0)::float8 as bytes from pg_class c join pg_namespace n on n.oid = c.relnamespace where nspname = $1 and relkind in ('r', 'm')",
    [schema],
  );
  return rows[0].bytes;
}

/** Adds each job in a separate transaction, as applications do. */
async function addEach(pool: Pool, jobs: number): Promise<void> {
  await pool.query(
    `do $$ begin
       set synchronous_commit = off;
       -- A plan that was made for the empty table would read all of it for each job.
       set enable_seqscan = off;
       for n in 1..${jobs} loop perform graphile_worker.add_job('noop', json_build_object('n', n)); commit; end loop;
     end $$`,
  );
}

async function startRunner({ url, pool, side, tasks }: Place): Promise<() => Promise<unknown>> {
  if (side.runner === "legwork") {
    const worker = await startWorker({
      databaseUrl: url,
      log: benchLog,
      tasks: [tasks],
      concurrency: CONCURRENCY,
      localQueueSize: CONCURRENCY,
      shutdownTimeout: 5_000,
    });
    return () => worker.stop();
  }
  const runner = await run({
    pgPool: pool,
    logger: new Logger(() => () => {}),
    noHandleSignals: true,
    parsedCronItems: [],
    taskList: { noop: async () => {} },
    preset: {
      worker: {
        concurrentJobs: CONCURRENCY,
        localQueue: { size: CONCURRENCY },
        pollInterval: 1_000,
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
      },
    },
  });
  return () => runner.stop();
}

async function runAll(place: Place): Promise<void> {
  const stop = await startRunner(place);
  for (;;) {
    const { rows } = await place.pool.query("select from graphile_worker._private_jobs limit 1");
    if (rows.length === 0) break;
    await delay(50);
  }
  await stop();
}

export async function measureJobs(place: Place & { jobs: number }): Promise<Record<string, number | string>> {
  const { pool, side, jobs } = place;
  if (side.limited === true)
    await pool.query(
      `select legwork_private.register_tasks('[{"name": "noop"}]'), legwork.limit_concurrency(1000000, task => 'noop')`,
    );
  // The first write to a page after a checkpoint logs the whole page. How often that happens depends on the server's settings, not on Legwork.
  await addEach(pool, jobs);
  await runAll(place);
  await pool.query("vacuum (analyze)");
  const empty = await size(pool, "graphile_worker");
  const history = await size(pool, "legwork_private");
  const adding = await counted(pool, () => addEach(pool, jobs));
  const waiting = await size(pool, "graphile_worker");
  const running = await counted(pool, () => runAll(place));
  const before = await size(pool, "graphile_worker");
  const kept = await size(pool, "legwork_private");
  await pool.query("vacuum (analyze)");
  const after = await size(pool, "graphile_worker");
  return {
    "WAL, enqueue (bytes)": adding.wal / jobs,
    "WAL, run (bytes)": running.wal / jobs,
    "transaction ids, enqueue": adding.xids / jobs,
    "transaction ids, run": running.xids / jobs,
    "waiting (bytes)": (waiting - empty) / jobs,
    "until vacuum (bytes)": (before - empty) / jobs,
    "after vacuum (bytes)": (after - empty) / jobs,
    "history (bytes)": side.legwork ? String(Math.round((kept - history) / jobs)) : "–",
  };
}

export async function idle(place: Place & { seconds: number }): Promise<Record<string, number | string>> {
  const stop = await startRunner(place);
  // Wait until the worker has started.
  await delay(2_000);
  const { wal, xids } = await counted(place.pool, () => delay(place.seconds * 1_000));
  await stop();
  return { "transaction ids": (xids * 60) / place.seconds, "WAL (bytes)": (wal * 60) / place.seconds };
}
