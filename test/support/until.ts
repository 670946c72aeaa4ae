import { setTimeout as delay } from "node:timers/promises";
import { scaled } from "./slowness.ts";

/** The wait before asking again (ms): the first one, and the longest. */
const SHORTEST_WAIT = 20;
const LONGEST_WAIT = 250;

/**
 * Polls until there is a result: resolves to the first one that is neither undefined, null nor false. Throws an error with `what` after ten seconds
 * (or `timeout` ms), and later on a slow machine.
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
    // A fifth of the time waited so far. Asking for seconds at full speed takes the processor from what is waited for.
    await delay(Math.min(LONGEST_WAIT, Math.max(SHORTEST_WAIT, (performance.now() - began) / 5)));
  }
}
