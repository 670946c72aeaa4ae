import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";

/** How long Node takes to start on the machine for which the tests' time limits were chosen (ms): two cores, otherwise idle. */
const REFERENCE_MS = 45;
const LARGEST = 8;

/**
 * How many times slower than the reference this machine is at the moment, at least 1. Measured once, in the process that runs the suite, by starting
 * processes, because that is what the tests mostly wait for.
 */
export function measureSlowness(): number {
  const start = (): number => {
    const began = performance.now();
    spawnSync(process.execPath, ["-e", "0"]);
    return performance.now() - began;
  };
  const times = Array.from({ length: 5 }, start).toSorted((one, other) => one - other);
  // With one core, workers, other processes and Postgres have to wait for each other.
  const cores = Math.max(1, 2 / availableParallelism());
  return Math.min(LARGEST, Math.max(1, ((times[2] ?? 0) / REFERENCE_MS) * cores));
}

/** A time limit (ms), adjusted to the speed of this machine. Use it for limits on waiting, not for durations that are under test. */
export function scaled(limit: number): number {
  return Math.ceil(limit * Number(process.env.LEGWORK_TEST_SLOWNESS ?? 1));
}
