import { setTimeout as delay } from "node:timers/promises";
import { createPool, type Pool } from "../db/pool.ts";
import { IS_LEFT } from "./graphile/jobs-table.ts";
import { within } from "../within.ts";
import { startWorker, type Worker } from "./worker.ts";
import type { WorkerOptions } from "./worker-options.ts";

/** How often to check for remaining jobs (ms). */
const INTERVAL_MS = 200;
/** How long the connections of this file may take to become idle and close (ms). */
const CLOSE_MS = 300;

interface OnceWorker extends Worker {
  /** Resolves when no due job is left, or after `stop`. Rejects if this cannot be checked. In each case, the worker must then be stopped. */
  readonly finished: Promise<void>;
}

/** Starts a worker that runs all due jobs, including the jobs that they enqueue. Throws like `startWorker`. */
export async function startOnce(options: WorkerOptions): Promise<OnceWorker> {
  const worker = await startWorker(options);
  const pool = createPool(options.databaseUrl, { log: options.log, max: 2, name: "legwork worker --once" });
  const stopping = new AbortController();
  options.signal?.addEventListener("abort", () => stopping.abort(), { once: true });
  const finished = untilNothingIsReady(pool, worker, stopping.signal);
  // The caller handles a rejection. Without this handler, it could be reported as unhandled before that.
  finished.catch(() => undefined);
  return {
    ...worker,
    get id() {
      return worker.id;
    },
    finished,
    async stop() {
      stopping.abort();
      const ids = await worker.stop();
      // A database that does not respond must not keep the process alive.
      await within(
        CLOSE_MS,
        finished.catch(() => undefined),
      );
      await within(CLOSE_MS, pool.end());
      return ids;
    },
  };
}

async function untilNothingIsReady(pool: Pool, worker: Worker, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await pool.query("select legwork.tick()");
    const { rows } = await pool.query(IS_LEFT, [worker.tasks, worker.id ?? "", await worker.forbiddenFlags()]);
    if (rows[0]?.is_left !== true) return;
    await delay(INTERVAL_MS, undefined, { signal }).catch(() => undefined);
  }
}
