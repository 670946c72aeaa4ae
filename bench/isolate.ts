import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ResultTable } from "./result-table.ts";
import { migrate } from "../src/db/migrate.ts";
import { createPool } from "../src/db/pool.ts";
import { benchLog, enqueue, freshDatabase, median, withServer } from "./server.ts";

const runChild = promisify(execFile);

/** Where the empty jobs run. */
const SIDES = ["worker", "thread", "process"] as const;

/** The lowest rate of isolated jobs in threads (jobs per second). */
const LEAST_BY_THREADS = 2_000;

/** A short run only detects large regressions, on a machine that also does other work. It is not an accurate measurement. */
const SHORT_TOLERANCE = 0.3;

/**
 * Measures the cost of `isolate`: jobs that do nothing, in the worker itself, in threads and in processes, ten at a time, one side after the other in
 * each round.
 */
export async function run({ short }: { short: boolean }): Promise<void> {
  const rounds = short ? 1 : 5;
  const jobs = short ? 5_000 : 20_000;
  const rates: Record<(typeof SIDES)[number], number[]> = { worker: [], thread: [], process: [] };
  await withServer(async (serverUrl) => {
    const template = createPool(await freshDatabase(serverUrl, "legwork_bench_isolate"), { log: benchLog });
    await migrate(template, benchLog);
    await template.end();
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < SIDES.length; turn++) {
        const side = SIDES[(round + turn) % SIDES.length] ?? "worker";
        const url = await freshDatabase(serverUrl, "legwork_bench", "legwork_bench_isolate");
        await enqueue(url, `noop-${side}`, jobs);
        rates[side].push(await runSide(url));
      }
    }
  });
  const table = new ResultTable({
    head: ["empty jobs in", "jobs/s (median)", "additional µs per job", "rounds", "at least"],
  });
  const without = 1_000_000 / median(rates.worker);
  for (const side of SIDES) {
    const rate = median(rates[side]);
    table.push([
      side === "worker" ? "the worker itself" : `a ${side}`,
      Math.round(rate),
      side === "worker" ? "" : Math.round(1_000_000 / rate - without),
      rates[side].map(Math.round).join(" "),
      side === "thread" ? LEAST_BY_THREADS : "",
    ]);
  }
  console.log(table.toString());
  if (median(rates.thread) < LEAST_BY_THREADS * (short ? 1 - SHORT_TOLERANCE : 1)) {
    console.error("A figure is below its minimum.");
    process.exitCode = 1;
  }
}

/** Returns the jobs per second of a worker in a separate process, once its threads or processes have started. */
async function runSide(url: string): Promise<number> {
  const script = fileURLToPath(new URL("isolated-worker.ts", import.meta.url));
  const { stdout } = await runChild(process.execPath, ["--max-semi-space-size=1", script, url]);
  return Number(stdout.trim().split("\n").at(-1));
}
