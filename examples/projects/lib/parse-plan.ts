import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { PlanTask } from "./plan.ts";

/** The time limit for parsing (ms). The largest legitimate plan takes one second. */
const TIME_LIMIT_MS = 10_000;

/**
 * Runs `parsePlan` in a separate thread. Malicious Markdown can keep any parser busy for minutes (256 KiB of `[a](`: 44 s), and
 * a worker whose event loop is blocked for seconds is considered dead and loses all its jobs. Throws when the time limit is
 * exceeded or the signal aborts.
 */
export async function parsePlanApart(markdown: string, signal: AbortSignal): Promise<PlanTask[]> {
  // Most files have no check boxes, and checking that is faster than starting a thread.
  if (!/\[[\sx]\]/i.test(markdown)) return [];
  const timeout = AbortSignal.timeout(TIME_LIMIT_MS);
  const thread = new Worker(new URL("plan-thread.ts", import.meta.url), {
    workerData: markdown,
    resourceLimits: { maxOldGenerationSizeMb: 512 },
  });
  try {
    // An error in the thread, including running out of memory, rejects this.
    const [tasks] = (await once(thread, "message", { signal: AbortSignal.any([signal, timeout]) })) as [PlanTask[]];
    return tasks;
  } catch (error) {
    signal.throwIfAborted();
    if (timeout.aborted) throw new Error(`parsing took longer than ${TIME_LIMIT_MS / 1_000} seconds`, { cause: error });
    throw error;
  } finally {
    await thread.terminate();
  }
}
