import { setTimeout as delay } from "node:timers/promises";
import { scaled } from "./slowness.ts";

/**
 * Polls until there is a result: resolves to the first one that is neither undefined, null nor false. Throws an error with `what` after ten seconds
 * (or `timeout` ms), and later on a slow machine.
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | null | false> | T | undefined | null | false,
  timeout = 10_000,
): Promise<T> {
  const deadline = performance.now() + scaled(timeout);
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== null && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`Timed out after ${scaled(timeout)} ms waiting until ${what}.`);
    await delay(20);
  }
}
