import { type Pool, transaction } from "../../db/pool.ts";
import { toError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { Loop } from "../../loop.ts";

/** How often the waiting room is checked if nothing is due earlier (ms). */
const INTERVAL_MS = 1_000;

/** Calls `legwork.tick()`: every second, when woken, and at the time that the last call returned. */
export function startTicker(pool: Pool, log: Logger): Loop {
  return new Loop(() => tick(pool), {
    interval: INTERVAL_MS,
    onError: async (error) => {
      log.warn({ err: toError(error) }, "Cannot process the waiting room; retrying.");
      if (isCausedByRow(error)) await tickApart(pool, log);
    },
  });
}

/** Returns how long nothing will be due (ms). */
async function tick(pool: Pool): Promise<number> {
  const { rows } = await transaction(pool, (client) =>
    client.query("select extract(epoch from legwork.tick() - clock_timestamp()) * 1000 as wait"),
  );
  const wait = rows[0]?.wait;
  return wait === null ? INTERVAL_MS : Math.min(INTERVAL_MS, Math.max(1, Math.ceil(Number(wait))));
}

/** Processes rows one by one, so that one row does not block the others. */
async function tickApart(pool: Pool, log: Logger): Promise<void> {
  try {
    const { rows } = await transaction(pool, (client) => client.query("select legwork_private.tick_one_by_one() as failed"));
    if (rows[0]?.failed > 0)
      log.error({ failed: rows[0].failed }, "Some rows cannot be processed and were set aside: see legwork doctor.");
  } catch (error) {
    log.warn({ err: toError(error) }, "Cannot process the waiting room row by row either; retrying.");
  }
}

/** Whether a statement failed because of a row's content: by the class of its SQLSTATE, or because a trigger raised an error. */
function isCausedByRow(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && /^(?:21|22|23|54|P0)/.test(code);
}
