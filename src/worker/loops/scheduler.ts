import { logFault, type Pool, transaction } from "../../db/pool.ts";
import type { Logger } from "../../log.ts";
import { Loop } from "../../loop.ts";
import { planAll } from "../../schedules/plan-schedules.ts";
import { type CrontabEntry, registerCrontab } from "../../schedules/register-crontab.ts";

/** How often schedules are checked if no schedule is due earlier and the worker's poll finds nothing to do (ms). */
const INTERVAL_MS = 5 * 60_000;

/** The number of schedules that one transaction fires. It is limited so that the first of many schedules does not have to wait for the last. */
const BATCH = 1_000;

/** How often a worker registers its crontab's entries (ms); entries that no worker has registered for three times as long are removed. */
const TELL_INTERVAL_MS = 5 * 60_000;

/**
 * Fires and plans runtime schedules: when one is due, when woken, and at the latest every five minutes. Any number of workers do this concurrently,
 * because each locks only rows that no other worker has locked. Also registers the crontab's entries.
 */
export function startScheduler(pool: Pool, { log, crontab }: { log: Logger; crontab: readonly CrontabEntry[] }): Loop {
  let toldAt = Number.NEGATIVE_INFINITY;
  const tellCrontab = async (): Promise<void> => {
    if (performance.now() - toldAt < TELL_INTERVAL_MS) return;
    await registerCrontab(pool, crontab);
    toldAt = performance.now();
  };
  return new Loop(
    async (stopped) => {
      await tellCrontab();
      return await fire(pool, stopped);
    },
    {
      interval: INTERVAL_MS,
      onError: (error) => logFault(pool, log, error, "Cannot process schedules; retrying.", { event: "schedules_failed" }),
    },
  );
}

/** Fires due schedules, extends plans that are running out, and returns how long until a schedule is due (ms). */
async function fire(pool: Pool, stopped: AbortSignal): Promise<number> {
  const due = await transaction(pool, async (client) => {
    const { rows } = await client.query(
      `select more, wants_plan, extract(epoch from next_at - clock_timestamp()) * 1000 as wait
       from legwork_private.fire_schedules(at_most => ${BATCH})`,
    );
    return rows[0] as { more: boolean; wants_plan: boolean; wait: string | null };
  });
  if (due.more && !stopped.aborted) return 0;
  if (due.wants_plan && !stopped.aborted) {
    const planned = await planAll(pool);
    // A schedule that has just been planned may already be due.
    if (planned > 0) return 0;
  }
  return due.wait === null ? INTERVAL_MS : Math.min(INTERVAL_MS, Math.max(0, Math.ceil(Number(due.wait))));
}
