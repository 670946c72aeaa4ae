import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";

/**
 * Makes a worker quiet: within a second it stops taking new jobs, returns fetched jobs that have not started to the queue, and keeps running the
 * others, until `resumeWorker` is called. `worker` is its id or host:pid. A restarted process is not quiet. Throws LW404 for a worker that is not
 * running.
 *
 * @example
 * import { quietWorker } from "legwork/operations";
 *
 * await quietWorker(client, "mail-1:4211");
 */
export async function quietWorker(client: Queryable, worker: string): Promise<void> {
  await callFunction(client, "legwork.quiet_worker", { worker });
}

/**
 * Makes a worker quiet, and stops it when the last of its running jobs has ended: the process of `legwork worker` then exits with code 0. Throws LW404
 * for a worker that is not running.
 *
 * @example
 * import { drainWorker } from "legwork/operations";
 *
 * await drainWorker(client, "mail-1:4211");
 */
export async function drainWorker(client: Queryable, worker: string): Promise<void> {
  await callFunction(client, "legwork.drain_worker", { worker });
}

/**
 * Makes a quiet or draining worker take jobs again, within about a second. Returns whether it was quiet or draining. Throws LW404 for a worker that is
 * not running.
 *
 * @example
 * import { resumeWorker } from "legwork/operations";
 *
 * const wasQuiet = await resumeWorker(client, "mail-1:4211");
 */
export async function resumeWorker(client: Queryable, worker: string): Promise<boolean> {
  const [row] = await callFunction(client, "legwork.resume_worker", { worker });
  return row.resume_worker;
}
