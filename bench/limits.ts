import { ResultTable } from "./result-table.ts";
import pg from "pg";
import { migrate } from "../src/db/migrate.ts";
import { createPool } from "../src/db/pool.ts";
import { benchLog, freshDatabase, median, runWorker, withServer } from "./server.ts";

interface Side {
  readonly name: string;
  readonly jobs: number;
  readonly rules?: string;
  /** The number of jobs in the paused queue. */
  readonly paused?: number;
  /** The side to compare with. */
  readonly besides?: number;
  readonly least?: number;
}

/**
 * Measures the cost of limits and pauses: Legwork's worker runs the same jobs with and without a rule, one after the other in each round on the same
 * server. Only the ratios are meaningful.
 */
const SIDES = [
  { name: "10,000 jobs, no limit", jobs: 10_000 },
  {
    name: "10,000 jobs over 1,000 keys, one at a time per key",
    jobs: 10_000,
    rules: "select legwork.limit_concurrency(1, task => 'noop', key => 'key')",
    besides: 0,
    least: 0.35,
  },
  { name: "100,000 jobs, nothing paused", jobs: 100_000 },
  {
    name: "100,000 jobs next to 100,000 in a paused queue",
    jobs: 100_000,
    rules: "select legwork.pause_queue('paused')",
    paused: 100_000,
    besides: 2,
    least: 0.95,
  },
] as const satisfies readonly Side[];

/** A short run only detects large regressions, on a machine that also does other work. It is not an accurate measurement. */
const SHORT_TOLERANCE = 0.3;

/** Reduces the number of jobs of the largest sides. */
function shortened(side: Side): Side {
  if (side.jobs < 100_000) return side;
  const paused = side.paused === undefined ? {} : { paused: 30_000 };
  return { ...side, ...paused, jobs: 30_000, name: side.name.replaceAll("100,000", "30,000") };
}

export async function run(options: { short: boolean }): Promise<void> {
  const rounds = options.short ? 1 : 5;
  const sides: readonly Side[] = options.short ? SIDES.map(shortened) : SIDES;
  await withServer(async (serverUrl) => {
    const template = createPool(await freshDatabase(serverUrl, "legwork_bench_limits"), { log: benchLog });
    await migrate(template, benchLog);
    await template.end();
    const rates: number[][] = sides.map(() => []);
    for (let round = 0; round <= rounds; round++) {
      for (let turn = 0; turn < sides.length; turn++) {
        const index = (round + turn) % sides.length;
        const side = sides[index];
        if (side === undefined) continue;
        const url = await freshDatabase(serverUrl, "legwork_bench", "legwork_bench_limits");
        await prepare(url, side);
        const rate = await runWorker(url, "legwork", "noop", side.jobs);
        // The first round warms caches and is not counted.
        if (round > 0) rates[index]?.push(rate);
      }
    }
    const table = new ResultTable({ head: ["", "jobs/s (median)", "ratio (median)", "rounds", "at least"] });
    for (const [index, side] of sides.entries()) {
      const other = side.besides ?? index;
      const ratios = (rates[index] ?? []).map((rate, round) => rate / (rates[other]?.[round] ?? Number.NaN));
      const { least } = side;
      if (least !== undefined && median(ratios) < least - (options.short ? SHORT_TOLERANCE : 0)) process.exitCode = 1;
      table.push([
        side.name,
        Math.round(median(rates[index] ?? [])),
        median(ratios).toFixed(3),
        ratios.map((ratio) => ratio.toFixed(2)).join(" "),
        least ?? "",
      ]);
    }
    console.log(table.toString());
    if (process.exitCode === 1) console.error("A figure is below its minimum.");
  });
}

async function prepare(url: string, { jobs, rules, paused }: Side): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`select legwork_private.register_tasks('[{"name": "noop"}, {"name": "held", "queue": "paused"}]')`);
  if (paused !== undefined) {
    await client.query(
      "select count(*) from legwork.enqueue_many((select jsonb_agg(jsonb_build_object('task', 'held')) from generate_series(1, $1::int)))",
      [paused],
    );
  }
  if (rules !== undefined) await client.query(rules);
  await client.query(
    `select count(*) from graphile_worker.add_jobs(array(
       select row('noop', json_build_object('key', 'k' || n % 1000), null, null, null, null, null, null)::graphile_worker.job_spec
       from generate_series(1, $1::int) n))`,
    [jobs],
  );
  // Completes the search for jobs that were enqueued before the rule was set.
  await client.query("select legwork.tick()");
  await client.query("vacuum (analyze)");
  await client.query("checkpoint");
  await client.end();
}
