import { EventEmitter } from "node:events";
import pg from "pg";
import { createPool, type Pool } from "../src/db/pool.ts";
import { DatabaseClock } from "../src/worker/clock.ts";
import { RemoteCommands } from "../src/worker/remote-commands.ts";
import { JobOutput } from "../src/worker/attempt/job-output.ts";
import { Outcomes } from "../src/worker/graphile/outcomes.ts";
import { toPlainTask } from "../src/worker/attempt/plain-task.ts";
import type { Loop } from "../src/loop.ts";
import { startTicker } from "../src/worker/loops/ticker.ts";
import { run, type TaskList, type WorkerEvents } from "graphile-worker";
import { benchLog } from "./server.ts";

// Runs one side of a benchmark in a separate process: runs the waiting jobs and prints the jobs per second.
const [url = "", runner = "", taskName = "", count = "0"] = process.argv.slice(2);
const jobs = Number(count);
// graphile-worker alone uses node-postgres's own pool, as it does for its users. Legwork's pool parses timestamps faster.
const pool =
  runner === "graphile" ? new pg.Pool({ connectionString: url, max: 24 }) : createPool(url, { log: benchLog, max: 24 });
pool.on("error", (error) => benchLog.error({ err: error }));
let done = 0;
let first = 0;
let finished: () => void;
const all = new Promise<void>((resolve) => (finished = resolve));
const task = async (): Promise<{ ok: boolean; n: number } | undefined> => {
  if (done === 0) first = performance.now();
  done += 1;
  if (done === jobs) finished();
  return taskName === "result" ? { ok: true, n: done } : undefined;
};

let control: RemoteCommands | undefined;
let taskPool: Pool | undefined;
let ticker: Loop | undefined;
const events = new EventEmitter() as WorkerEvents;
const taskList: TaskList = {};
if (runner === "graphile") {
  taskList[taskName] = async () => void (await task());
} else {
  const outcomes = new Outcomes();
  outcomes.attachTo(pool, { events, mayFetch: Promise.resolve(true), log: benchLog, signal: new AbortController().signal });
  const clock = new DatabaseClock();
  taskPool = createPool(url, { log: benchLog, max: 2 });
  await clock.synchronize(taskPool);
  control = new RemoteCommands(url, { pool: taskPool, log: benchLog, onWakeups: () => ticker?.wake() });
  ticker = startTicker(taskPool, benchLog);
  const output = new JobOutput({ pool, log: benchLog });
  const definition = { run: task };
  taskList[taskName] = toPlainTask(
    { name: taskName, function: async () => {}, definition },
    { pool, log: benchLog, clock, outcomes, output, control, givenBack: new Set(), lease: undefined },
  );
}
const worker = await run({
  pgPool: pool,
  taskList,
  parsedCronItems: [],
  noHandleSignals: true,
  events,
  preset: {
    worker: { concurrentJobs: 24, localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 },
  },
});
await all;
// Stopping waits until the last completions have been written.
await worker.stop();
if (process.env.BENCH_CPU) console.error(runner, taskName, process.cpuUsage(), performance.now() - first);
console.log(Math.round(jobs / ((performance.now() - first) / 1_000)));
control?.stop();
await ticker?.stop();
await Promise.all([pool.end(), taskPool?.end()]);
