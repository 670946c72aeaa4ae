import { PRIORITIES, assertId, assertInteger } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import type { LiveFilter } from "./cancel-job.ts";
import { toFilter } from "./job-filter.ts";

/**
 * Changes a job's priority: smaller numbers run first. For a running job, the change applies to its next attempt. Returns the previous priority.
 * Throws LW404 for an unknown job, LW409 for one that has ended, LW400 for a number outside the range -32768 to 32767.
 *
 * @example
 * import { setPriority } from "legwork/operations";
 *
 * const before = await setPriority(client, "42", -10);
 */
export async function setPriority(client: Queryable, id: string, priority: number): Promise<number> {
  assertInteger("priority", priority, PRIORITIES);
  const [row] = await callFunction(client, "legwork.set_priority", { job_id: assertId("job", id), priority });
  return row.set_priority;
}

/**
 * Changes the priority of the jobs that match and have a different priority, oldest first, at most 10,000 (or `atMost`). Returns their ids and
 * previous priorities. With `preview` nothing changes. Throws LW400 for an invalid filter, LW404 for an unknown task or queue.
 *
 * @example
 * import { setPriorities } from "legwork/operations";
 *
 * const changed = await setPriorities(client, { queue: "notification" }, 10);
 */
export async function setPriorities(
  client: Queryable,
  filter: LiveFilter,
  priority: number,
  options: { preview?: boolean; atMost?: number } = {},
): Promise<{ id: string; was: number }[]> {
  assertInteger("priority", priority, PRIORITIES);
  const rows = await callFunction(client, "legwork.set_priorities", {
    filter: toFilter(filter),
    priority,
    preview: options.preview,
    at_most: options.atMost,
  });
  return rows.map(({ id, was }) => ({ id: String(id), was }));
}
