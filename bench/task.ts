import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { createPool } from "../src/db/pool.ts";
import { startWorker } from "../src/worker/worker.ts";
import { benchLog } from "./server.ts";

// Runs one job of the standard library in a separate process, and prints its duration, its result and its peak memory use (MB).
const [url = "", task = "", payload = "{}"] = process.argv.slice(2);
const worker = await startWorker({
  databaseUrl: url,
  log: benchLog,
  tasks: [fileURLToPath(new URL("../tasks", import.meta.url))],
  concurrency: 1,
  localQueueSize: 0,
  shutdownTimeout: 1_000,
});
const pool = createPool(url, { log: benchLog, max: 1 });
const before = process.resourceUsage().maxRSS / 1_024;
const { rows } = await pool.query("select legwork.enqueue($1, $2, max_attempts => 1) as id", [task, payload]);
for (;;) {
  const { rows: jobs } = await pool.query(
    `select state, result, error, extract(epoch from finished_at - started_at)::float8 as seconds from legwork.jobs
     where id = $1 and finished_at is not null`,
    [rows[0].id],
  );
  const job = jobs[0];
  if (job !== undefined) {
    if (job.state !== "completed") throw new Error(`The job ended in the state ${job.state}: ${job.error}`);
    console.log(
      JSON.stringify({ seconds: job.seconds, result: job.result, before, memory: process.resourceUsage().maxRSS / 1_024 }),
    );
    break;
  }
  await delay(100);
}
await worker.stop();
await pool.end();
