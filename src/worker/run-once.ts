import { setTimeout as delay } from "node:timers/promises";
import { createPool, type Pool } from "../db/pool.ts";
import { IS_LEFT } from "./graphile/jobs-table.ts";
import { startWorker, type Worker, type WorkerOptions } from "./worker.ts";

/** How often to check for remaining jobs (ms). */
const INTERVAL_MS = 200;

/** Runs all due jobs, including the jobs that they enqueue, until none is left, or until SIGTERM or SIGINT. Calls `onReady` once it takes jobs. */
export async function runOnce(options: WorkerOptions, onReady?: (worker: Worker) => void): Promise<void> {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, stop);
  const pool = createPool(options.databaseUrl, { log: options.log, max: 2, name: "legwork worker --once" });
  try {
    const worker = await startWorker({ ...options, signal: stopping.signal });
    onReady?.(worker);
    await untilNothingIsReady(pool, worker, stopping.signal).finally(() => worker.stop());
  } finally {
    await pool.end();
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.off(signal, stop);
  }
}

async function untilNothingIsReady(pool: Pool, worker: Worker, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await pool.query("select legwork.tick()");
    const { rows } = await pool.query(IS_LEFT, [worker.tasks, worker.id ?? "", await worker.forbiddenFlags()]);
    if (rows[0]?.is_left !== true) return;
    await delay(INTERVAL_MS, undefined, { signal }).catch(() => undefined);
  }
}
