import { assertId } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { toJson } from "../json.ts";

/**
 * Sends a job the signal that its task waits for (`step.waitFor`), now or later, with a payload. In a transaction, it takes effect on commit. Only
 * the first signal with each name counts. Returns whether this signal counts: false if it is a repeated one, or if the wait for it has timed out.
 * Throws LW404 for an unknown job, LW409 for one that has ended, LW400 for an invalid name, LW413 for a payload over 256 KB.
 *
 * @example
 * import { sendSignal } from "legwork/operations";
 *
 * const counts = await sendSignal(client, "42", "approved", { by: "ann" });
 */
export async function sendSignal(client: Queryable, jobId: string, name: string, payload?: unknown): Promise<boolean> {
  const [row] = await callFunction(client, "legwork.send_signal", {
    job_id: assertId("job", jobId),
    name,
    payload: payload === undefined ? undefined : toJson("payload", payload),
  });
  return row.send_signal;
}
