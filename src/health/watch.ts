import { type Pool, transaction } from "../db/pool.ts";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { Loop } from "../loop.ts";

/** How often a process asks whether something is due (ms). What is due is done by one of them. */
const INTERVAL_MS = 2_000;

/**
 * Keeps the metrics and looks after the alert rules, by turns with every other process that does: `legwork_private.watch()`, step by step, each in
 * a transaction of its own. What fails is logged and tried again; nothing here ends the process. Stopping waits for the step that it is at.
 */
export function startWatch(pool: Pool, log: Logger): Loop {
  return new Loop(
    async (stopped) => {
      const { rows } = await pool.query("select legwork_private.due_steps() as steps");
      for (const step of rows[0]?.steps ?? []) {
        if (stopped.aborted) return;
        await runStep(pool, log, step);
      }
    },
    {
      interval: INTERVAL_MS,
      onError: (error) => log.debug({ err: toError(error) }, "What is due could not be asked for; trying again."),
    },
  );
}

/** One that fails must not keep the others from being done. */
async function runStep(pool: Pool, log: Logger, step: string): Promise<void> {
  try {
    await transaction(pool, (client) => client.query("select legwork_private.watch($1)", [step]));
  } catch (error) {
    log.warn({ event: "watch_failed", step, err: toError(error) }, "Metrics or alerts could not be looked after; trying again.");
  }
}
