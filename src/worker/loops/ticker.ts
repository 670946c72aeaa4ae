import { logFault, type Pool, transaction } from "../../db/pool.ts";
import type { Logger } from "../../log.ts";
import { Loop } from "../../loop.ts";

/** How often the waiting room is checked if nothing is due earlier and the worker's poll finds nothing to do (ms). */
const INTERVAL_MS = 5 * 60_000;

/** Calls `legwork.tick()`: when woken, at the latest every five minutes, and at the time that the last call returned. */
export function startTicker(pool: Pool, log: Logger): Loop {
  return new Loop(() => tick(pool, log), {
    interval: INTERVAL_MS,
    onError: async (error) => {
      logFault(pool, log, error, "Cannot process the waiting room; retrying.", { event: "tick_failed" });
      if (isCausedByRow(error)) await tickApart(pool, log);
    },
  });
}

/** The order matters: the tick stores in the setting which jobs have expired. */
const TICK = `select extract(epoch from t.at - clock_timestamp()) * 1000 as wait, nullif(current_setting('legwork.expired', true), '') as expired
  from (select legwork.tick() as at offset 0) t`;

/** Processes the waiting room, and returns how long until something is due (ms). */
async function tick(pool: Pool, log: Logger): Promise<number> {
  const { rows } = await transaction(pool, (client) => client.query(TICK));
  const { wait, expired } = rows[0];
  if (expired !== null)
    for (const jobId of expired.split(",")) log.info({ event: "job_expired", jobId }, "Job expired before it started.");
  return wait === null ? INTERVAL_MS : Math.min(INTERVAL_MS, Math.max(1, Math.ceil(Number(wait))));
}

/** Processes rows one by one, so that one row does not block the others. */
async function tickApart(pool: Pool, log: Logger): Promise<void> {
  try {
    const { rows } = await transaction(pool, (client) => client.query("select legwork_private.tick_one_by_one() as failed"));
    if (rows[0]?.failed > 0)
      log.error(
        { event: "rows_set_aside", failed: rows[0].failed },
        "Some rows cannot be processed and were set aside: see legwork doctor.",
      );
  } catch (error) {
    logFault(pool, log, error, "Cannot process the waiting room row by row either; retrying.", { event: "tick_failed" });
  }
}

/** Whether a statement failed because of a row's content: its SQLSTATE has one of these classes, or a trigger raised an error. */
function isCausedByRow(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && /^(?:21|22|23|54|P0)/.test(code);
}
