import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createPool } from "../src/db/pool.ts";
import { startWorker } from "../src/worker/worker.ts";
import { benchLog } from "./server.ts";

// Runs one side of the `isolate` benchmark in a separate process: runs the waiting jobs and prints the jobs per second. The first tenth, during which
// threads and processes start, is not counted.
const [url = ""] = process.argv.slice(2);
const directory = await mkdtemp(join(tmpdir(), "legwork-bench-isolate-"));
for (const [name, isolate] of [
  ["noop-worker", ""],
  ["noop-thread", 'isolate: "thread", '],
  ["noop-process", 'isolate: "process", '],
] as const) {
  await writeFile(
    join(directory, `${name}.ts`),
    `import { defineTask } from "legwork";\nexport default defineTask({ ${isolate}run: () => undefined });\n`,
  );
}
const pool = createPool(url, { log: benchLog, max: 1 });
const countJobs = async (): Promise<number> => {
  const { rows } = await pool.query("select count(*)::int as n from graphile_worker._private_jobs");
  return rows[0].n;
};
const all = await countJobs();
const worker = await startWorker({
  databaseUrl: url,
  log: benchLog,
  tasks: [directory],
  concurrency: 10,
  localQueueSize: 500,
  shutdownTimeout: 5_000,
});
const countUntil = async (isEnough: (left: number) => boolean): Promise<{ left: number; at: number }> => {
  for (;;) {
    const left = await countJobs();
    if (isEnough(left)) return { left, at: performance.now() };
    await delay(50);
  }
};
const first = await countUntil((left) => left <= all * 0.9);
const last = await countUntil((left) => left === 0);
await worker.stop();
await pool.end();
await rm(directory, { recursive: true });
console.log(Math.round((first.left - last.left) / ((last.at - first.at) / 1_000)));
