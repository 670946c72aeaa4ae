import { setTimeout as delay } from "node:timers/promises";
import { scaled } from "./slowness.ts";

/**
 * Asks until the answer is there: resolves to the first answer that is neither undefined, null nor false. Throws what was
 * awaited when ten seconds (or `timeout` ms) did not bring it; on a slow machine it waits longer.
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
    if (performance.now() > deadline) throw new Error(`Not within ${scaled(timeout)} ms: ${what}.`);
    await delay(20);
  }
}
