import { setTimeout as delay } from "node:timers/promises";
import type { Pool } from "../db/pool.ts";
import type { Worker } from "./worker.ts";

/** How often it is asked whether jobs are left (ms). */
const INTERVAL_MS = 200;

/**
 * What a worker could run now or is running: jobs of its tasks whose time has come, unless another worker has their serial key. What waits for a limit is let go
 * before that as far as there is room, and what is paused, blocked or ahead is not waited for.
 */
const LEFT = `select exists (
  select from graphile_worker._private_jobs j
  join graphile_worker._private_tasks t on t.id = j.task_id
  left join graphile_worker._private_job_queues q on q.id = j.job_queue_id
  where t.identifier = any ($1::text[]) and (
    j.locked_by = $2
    or j.is_available and j.run_at <= now() and coalesce(q.is_available or q.locked_by = $2, true) and not coalesce(j.flags ?| $3::text[], false))
) as is_left`;

/** Resolves when a worker has run all jobs that are ready, those that they have enqueued included. */
export async function untilNothingIsReady(pool: Pool, worker: Worker): Promise<void> {
  for (;;) {
    await pool.query("select legwork.tick()");
    const { rows } = await pool.query(LEFT, [worker.tasks, worker.id ?? "", await worker.forbiddenFlags()]);
    if (rows[0]?.is_left !== true) return;
    await delay(INTERVAL_MS);
  }
}
