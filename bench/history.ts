import { runMigrations } from "graphile-worker";
import { ResultTable } from "./result-table.ts";
import { migrate } from "../src/db/migrate.ts";
import { createPool } from "../src/db/pool.ts";
import { benchLog, enqueue, freshDatabase, median, runWorker, withServer } from "./server.ts";

/**
 * Measures the cost of history: graphile-worker alone and with Legwork, one after the other in each pair, on the same server. Only the ratios are
 * meaningful. Each round of each side has a new database. The jobs do nothing, 24 run at a time, and 500 are fetched at once.
 */
const SIDES = [
  { name: "graphile-worker alone", legwork: false, runner: "graphile", task: "noop" },
  { name: "graphile-worker, Legwork's schema", legwork: true, runner: "graphile", task: "noop", least: 0.95 },
  { name: "Legwork's worker", legwork: true, runner: "legwork", task: "noop", least: 0.95 },
  { name: "Legwork's worker, every task returns a result", legwork: true, runner: "legwork", task: "result", least: 0.9 },
] as const;

const ENQUEUE_LEAST = 0.95;

/**
 * A short run only detects large regressions, on a machine that also does other work. It is not an accurate measurement: two short runs in a row gave
 * 0.79 and 1.23 for enqueueing.
 */
const SHORT_TOLERANCE = 0.3;

export async function run(options: { short: boolean }): Promise<void> {
  const pairs = options.short ? 2 : 5;
  const jobs = options.short ? 30_000 : 100_000;
  await withServer(async (serverUrl) => {
    for (const [index, side] of SIDES.entries()) {
      const pool = createPool(await freshDatabase(serverUrl, `legwork_bench_${index}`), { log: benchLog });
      if (side.legwork) await migrate(pool, benchLog);
      else await runMigrations({ pgPool: pool });
      await pool.end();
    }
    const runs: number[][] = SIDES.map(() => []);
    const enqueues: number[][] = SIDES.map(() => []);
    for (let pair = 0; pair <= pairs; pair++) {
      // Each round begins with a different side, because one side's pending disk writes slow down the next.
      for (let turn = 0; turn < SIDES.length; turn++) {
        const index = (pair + turn) % SIDES.length;
        const side = SIDES[index];
        if (side === undefined) continue;
        const url = await freshDatabase(serverUrl, "legwork_bench", `legwork_bench_${index}`);
        const enqueued = await enqueue(url, side.task, jobs);
        const ran = await runWorker(url, side.runner, side.task, jobs);
        // The first round warms caches and is not counted.
        if (pair === 0) continue;
        enqueues[index]?.push(enqueued);
        runs[index]?.push(ran);
      }
    }
    report(runs, enqueues, options.short ? SHORT_TOLERANCE : 0);
  });
}

function report(runs: number[][], enqueues: number[][], tolerance: number): void {
  const ratios = (values: number[][], index: number): number[] =>
    (values[index] ?? []).map((value, pair) => value / (values[0]?.[pair] ?? Number.NaN));
  const table = new ResultTable({ head: ["", "jobs/s (median)", "ratio (median)", "pairs", "at least"] });
  let missed = 0;
  for (const [index, side] of SIDES.entries()) {
    const least = "least" in side ? side.least : 1;
    const ratio = median(ratios(runs, index));
    if (ratio < least - tolerance) missed += 1;
    table.push([
      side.name,
      Math.round(median(runs[index] ?? [])),
      ratio.toFixed(3),
      ratios(runs, index)
        .map((value) => value.toFixed(2))
        .join(" "),
      index === 0 ? "" : least,
    ]);
  }
  // The three sides with Legwork have the same schema, so their rounds are combined.
  const enqueueRatio = median(SIDES.flatMap((side, index) => (side.legwork ? ratios(enqueues, index) : [])));
  if (enqueueRatio < ENQUEUE_LEAST - tolerance) missed += 1;
  console.log(table.toString());
  console.log(
    `Enqueueing with one add_jobs call: ${enqueueRatio.toFixed(3)} of graphile-worker alone, at least ${ENQUEUE_LEAST}.`,
  );
  if (missed > 0) {
    console.error(`${missed} of ${SIDES.length} figures are below their minimum.`);
    process.exitCode = 1;
  }
}
