import { setTimeout as delay } from "node:timers/promises";
import type { Pool } from "../db/pool.ts";
import type { Worker } from "./worker.ts";
import { IS_LEFT } from "./graphile/jobs-table.ts";

/** How often to check for remaining jobs (ms). */
const INTERVAL_MS = 200;

/** Resolves when a worker has run all due jobs, including the jobs that they enqueued. */
export async function untilNothingIsReady(pool: Pool, worker: Worker): Promise<void> {
  for (;;) {
    await pool.query("select legwork.tick()");
    const { rows } = await pool.query(IS_LEFT, [worker.tasks, worker.id ?? "", await worker.forbiddenFlags()]);
    if (rows[0]?.is_left !== true) return;
    await delay(INTERVAL_MS);
  }
}
