import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { PlanTask } from "./plan.ts";

/** How long parsing may take (ms); the largest honest plan takes one second. */
const TIME_LIMIT_MS = 10_000;

/**
 * `parsePlan` in a thread of its own. Markdown can be written so that any parser needs minutes (256 KiB of `[a](`: 44 s),
 * and a worker whose event loop stands still for seconds counts as dead and loses all its jobs. Throws when the time is up
 * or the signal aborts.
 */
export async function parsePlanApart(markdown: string, signal: AbortSignal): Promise<PlanTask[]> {
  // Nothing to parse in most files; starting a thread takes longer than looking.
  if (!/\[[\sx]\]/i.test(markdown)) return [];
  const timeout = AbortSignal.timeout(TIME_LIMIT_MS);
  const thread = new Worker(new URL("plan-thread.ts", import.meta.url), {
    workerData: markdown,
    resourceLimits: { maxOldGenerationSizeMb: 512 },
  });
  try {
    // An error in the thread, running out of memory too, rejects this.
    const [tasks] = (await once(thread, "message", { signal: AbortSignal.any([signal, timeout]) })) as [PlanTask[]];
    return tasks;
  } catch (error) {
    signal.throwIfAborted();
    if (timeout.aborted) throw new Error(`it cannot be parsed within ${TIME_LIMIT_MS / 1_000} seconds`, { cause: error });
    throw error;
  } finally {
    await thread.terminate();
  }
}
