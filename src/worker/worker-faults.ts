import { hostname } from "node:os";
import type { Pool } from "../db/pool.ts";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";

/**
 * The kinds of problems that prevent a worker from running jobs: its runner ended and was restarted, the database rejects the outcomes of jobs, or
 * the worker did not start because of a connection pooler.
 */
export type FaultKind = "restart" | "recording" | "pooler";

/** Records a problem of this worker in the database, for doctor, explain, alerts and metrics. Never rejects. */
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
    log.debug({ err: toError(error) }, "Cannot record a worker fault in the database.");
  }
}
