import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import type { Reason } from "../jobs/explain-job.ts";

/**
 * Explains why a queue is stalled or falling behind: pauses, full limits, tasks without a worker, full workers, and how fast its jobs end. Throws
 * LW404 for an unknown queue.
 *
 * @example
 * import { explainQueue } from "legwork/operations";
 *
 * for (const { detail, fix } of await explainQueue(client, "mail")) console.log(`${detail} ${fix}`);
 */
export async function explainQueue(client: Queryable, name: string): Promise<Reason[]> {
  return await callFunction(client, "legwork.explain_queue", { name });
}
