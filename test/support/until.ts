import { setTimeout as delay } from "node:timers/promises";
import { scaled } from "./slowness.ts";

/** The first and the longest delay between two polls (ms). */
const SHORTEST_WAIT = 20;
const LONGEST_WAIT = 250;

/**
 * Polls until there is a result: resolves to the first result that is not undefined, null or false. Throws an error that contains `what` after ten
 * seconds (or `timeout` ms), or later on a slow machine.
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | null | false> | T | undefined | null | false,
  timeout = 10_000,
): Promise<T> {
  const began = performance.now();
  const deadline = began + scaled(timeout);
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== null && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`Timed out after ${scaled(timeout)} ms waiting until ${what}.`);
    // The delay is a fifth of the time waited so far. Polling at full speed for seconds would take processor time from the code that is waited for.
    await delay(Math.min(LONGEST_WAIT, Math.max(SHORTEST_WAIT, (performance.now() - began) / 5)));
  }
}
