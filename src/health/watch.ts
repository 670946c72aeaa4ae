import { type Pool, transaction } from "../db/pool.ts";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { Loop } from "../loop.ts";

/** How often a process asks whether something is due (ms). What is due is done by one of them. */
const INTERVAL_MS = 2_000;

/**
 * Keeps the metrics and looks after the alert rules, by turns with every other process that does: `legwork_private.run_duty()`, duty by duty, each in
 * a transaction of its own. What fails is logged and tried again; nothing here ends the process. Stopping waits for the duty that it is at.
 */
export function startWatch(pool: Pool, log: Logger): Loop {
  return new Loop(
    async (stopped) => {
      const { rows } = await pool.query("select legwork_private.due_duties() as duties");
      for (const duty of rows[0]?.duties ?? []) {
        if (stopped.aborted) return;
        await runDuty(pool, log, duty);
      }
    },
    {
      interval: INTERVAL_MS,
      onError: (error) => log.debug({ err: toError(error) }, "What is due could not be asked for; trying again."),
    },
  );
}

/** One that fails must not keep the others from being done. */
async function runDuty(pool: Pool, log: Logger, duty: string): Promise<void> {
  try {
    await transaction(pool, (client) => client.query("select legwork_private.run_duty($1)", [duty]));
  } catch (error) {
    log.warn({ event: "watch_failed", duty, err: toError(error) }, "Metrics or alerts could not be looked after; trying again.");
  }
}
