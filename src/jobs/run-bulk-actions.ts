import { logFault, type Pool, transaction } from "../db/pool.ts";
import type { Logger } from "../log.ts";
import { Loop } from "../loop.ts";

/**
 * How often each process looks for bulk actions while none is running (ms). A server checks immediately after it has started one, and the command
 * line carries out its own, so only actions started in SQL wait for this.
 */
const INTERVAL_MS = 5_000;

/** The longest time between two chunks while a bulk action is running (ms). */
const BETWEEN_CHUNKS_MS = 1_000;

/**
 * Runs the next chunk of the bulk action with this id, or of any bulk action, in its own transaction. Returns how long until the next chunk is due
 * (ms); null if no bulk action is running.
 */
export async function runBulkAction(pool: Pool, id?: string): Promise<number | null> {
  const { rows } = await transaction(pool, (client) =>
    client.query("select legwork_private.run_bulk_action($1) * 1000 as wait", [id ?? null]),
  );
  const wait = rows[0]?.wait ?? null;
  return wait === null ? null : Math.max(0, Math.ceil(Number(wait)));
}

/** Carries out bulk actions, taking turns with all other processes that do the same. If a chunk fails, any of these processes retries it later. */
export function startBulkRunner(pool: Pool, log: Logger, interval = INTERVAL_MS): Loop {
  return new Loop(
    async () => {
      const wait = await runBulkAction(pool);
      return wait === null ? interval : Math.min(BETWEEN_CHUNKS_MS, wait);
    },
    {
      interval,
      onError: (error) =>
        logFault(pool, log, error, "Cannot carry out a bulk action; retrying.", { event: "bulk_action_failed" }),
    },
  );
}
