// The work of every job in the comparison, in all systems: it records when it was called. After the last job, the process writes its measurements to
// a file.
import { renameSync, writeFileSync } from "node:fs";

const count = Number(process.env.BENCH_JOBS);
const file = process.env.BENCH_OUT;
/** The time in nanoseconds, on the clock that all processes on the machine share. */
let first;
let done = 0;
/** The times from just before a job was added until its task was called (ms), for jobs whose payload has the time at which they were added. */
const latencies = [];

/** @param {{ at?: string }} payload */
export function note(payload) {
  const now = process.hrtime.bigint();
  first ??= now;
  if (payload?.at !== undefined) latencies.push(Number(now - BigInt(payload.at)) / 1e6);
  done += 1;
  if (done !== count) return;
  const seconds = Number(now - first) / 1e9;
  const { user, system } = process.cpuUsage();
  writeFileSync(`${file}.part`, JSON.stringify({ seconds, latencies, cpu: (user + system) / 1e6 }));
  renameSync(`${file}.part`, file);
}
