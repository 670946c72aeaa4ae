// What every job of the comparison does, whichever system runs it: it notes when it was called. After the last one, the process writes what it saw to a file.
import { renameSync, writeFileSync } from "node:fs";

const count = Number(process.env.BENCH_JOBS);
const file = process.env.BENCH_OUT;
/** Nanoseconds on the clock that all processes of the machine share. */
let first;
let done = 0;
/** From just before each job was added until its call (ms), for jobs that carry that time. */
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
