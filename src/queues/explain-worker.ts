import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import type { Reason } from "../jobs/explain-job.ts";

/**
 * Explains what is wrong with a worker: whether it is silent, blocked or full, and which tasks it lacks. Throws LW404 for an unknown worker, and
 * LW403 for a session that is confined to a tenant.
 *
 * @example
 * import { explainWorker, listWorkers } from "legwork/operations";
 *
 * for (const { id } of await listWorkers(client)) console.log(id, (await explainWorker(client, id))[0]?.detail);
 */
export async function explainWorker(client: Queryable, id: string): Promise<Reason[]> {
  return await callFunction(client, "legwork.explain_worker", { worker_id: id });
}
