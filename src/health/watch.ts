import { logFault, type Pool, transaction } from "../db/pool.ts";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { Loop } from "../loop.ts";

/** How often each process checks for due duties (ms). A due duty is done by one of them. */
const INTERVAL_MS = 2_000;

/** Does all due duties in one statement: with a transaction for each duty, it would take three statements for each, every few seconds. */
const DUE_DUTIES = "select legwork_private.run_duty(d) from unnest(legwork_private.due_duties()) as d";

/**
 * Records metrics and evaluates alert rules, sharing the work with all other processes that do so. Calls `legwork_private.run_duty()` for all due
 * duties in one transaction or, if one of them fails, each in its own transaction. Errors are logged and the duty is retried; they never end the
 * process. Stopping waits for the current duty.
 */
export function startWatch(pool: Pool, log: Logger, interval = INTERVAL_MS): Loop {
  return new Loop(
    async (stopped) => {
      try {
        await pool.query(DUE_DUTIES);
        return;
      } catch {
        // One duty failed. Below, each duty runs in its own transaction, so that the others are done.
      }
      const { rows } = await pool.query("select legwork_private.due_duties() as duties");
      for (const duty of rows[0]?.duties ?? []) {
        if (stopped.aborted) return;
        await runDuty(pool, log, duty);
      }
    },
    {
      interval,
      onError: (error) => log.debug({ err: toError(error) }, "Could not determine which duties are due; retrying."),
    },
  );
}

/** Runs a duty. Never throws, so that the other duties are done. */
async function runDuty(pool: Pool, log: Logger, duty: string): Promise<void> {
  try {
    await transaction(pool, (client) => client.query("select legwork_private.run_duty($1)", [duty]));
  } catch (error) {
    logFault(pool, log, error, "Cannot record metrics or evaluate alert rules; retrying.", { event: "watch_failed", duty });
  }
}
