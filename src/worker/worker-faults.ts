import { hostname } from "node:os";
import type { Pool } from "../db/pool.ts";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";

/**
 * What keeps a worker from working: its runner ended and was started again, the database refuses to record how jobs end, or a connection pooler is in the way and it did
 * not start.
 */
export type FaultKind = "restart" | "recording" | "pooler";

/** Tells the database what keeps this worker from working, where doctor, explain, alerts and metrics find it. Never rejects. */
export async function noteFault(pool: Pool, log: Logger, kind: FaultKind, reason: string, jobId?: string): Promise<void> {
  try {
    await pool.query("select legwork_private.note_worker_fault($1, $2, $3, $4, $5)", [
      hostname(),
      process.pid,
      kind,
      reason,
      jobId ?? null,
    ]);
  } catch (error) {
    log.debug({ err: toError(error) }, "A fault could not be noted in the database.");
  }
}
