import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";

/** The start time of Node on the machine for which the tests' time limits were chosen (ms): two cores, otherwise idle. */
const REFERENCE_MS = 45;
const LARGEST = 8;

/**
 * How many times slower than the reference this machine is now, at least 1. Measured once, in the process that runs the suite, because most of what
 * the tests wait for is the start of a process.
 */
export function measureSlowness(): number {
  const start = (): number => {
    const began = performance.now();
    spawnSync(process.execPath, ["-e", "0"]);
    return performance.now() - began;
  };
  const times = Array.from({ length: 5 }, start).toSorted((one, other) => one - other);
  // With one core, the worker, other processes and Postgres wait for each other.
  const cores = Math.max(1, 2 / availableParallelism());
  return Math.min(LARGEST, Math.max(1, ((times[2] ?? 0) / REFERENCE_MS) * cores));
}

/** A time limit (ms) for a machine as fast as this one. For limits on waiting, not for times that are under test. */
export function scaled(limit: number): number {
  return Math.ceil(limit * Number(process.env.LEGWORK_TEST_SLOWNESS ?? 1));
}
