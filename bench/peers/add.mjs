// Adds jobs one by one, each with the time just before it is added in its payload. Prints the seconds that adding took, excluding pauses.
import { setTimeout as delay } from "node:timers/promises";

/**
 * With BENCH_EVERY (ms), jobs are added at that interval, with some jitter so that they do not coincide with a worker's timers.
 * @param {number} count
 * @param {(payload: { at: string }) => Promise<void>} add
 */
export async function addOneByOne(count, add) {
  const every = Number(process.env.BENCH_EVERY ?? 0);
  let spent = 0;
  for (let n = 0; n < count; n += 1) {
    if (every > 0) await delay(every * (0.5 + Math.random()));
    const start = performance.now();
    await add({ at: String(process.hrtime.bigint()) });
    spent += performance.now() - start;
  }
  console.log(spent / 1_000);
}
