import { setTimeout as delay } from "node:timers/promises";
import type { Pool } from "../db/pool.ts";
import type { Worker } from "./worker.ts";
import { IS_LEFT } from "./graphile/jobs-table.ts";

/** How often it is asked whether jobs are left (ms). */
const INTERVAL_MS = 200;

/** Resolves when a worker has run all jobs that are ready, those that they have enqueued included. */
export async function untilNothingIsReady(pool: Pool, worker: Worker): Promise<void> {
  for (;;) {
    await pool.query("select legwork.tick()");
    const { rows } = await pool.query(IS_LEFT, [worker.tasks, worker.id ?? "", await worker.forbiddenFlags()]);
    if (rows[0]?.is_left !== true) return;
    await delay(INTERVAL_MS);
  }
}
