import pg from "pg";
import { tableLines } from "../src/cli/table.ts";
import { migrate } from "../src/db/migrate.ts";
import { createPool } from "../src/db/pool.ts";
import { benchLog, freshDatabase, median, runWorker, withServer } from "./server.ts";

/**
 * Measures the cost of dependencies: a workflow with one step, 1,000 steps that depend on it and a last step that depends on all of those, compared
 * with the same 1,002 jobs without dependencies; and 100,000 jobs of a batch with a callback, compared with 100,000 jobs without a batch. Legwork's
 * worker runs them, one side after the other in each round on the same server. Only the ratios are meaningful.
 */
const STEPS = `(select jsonb_agg(step) from (
  select jsonb_build_object('name', 'first', 'task', 'noop') as step
  union all select jsonb_build_object('name', 'step ' || n, 'task', 'noop', 'depends_on', '["first"]'::jsonb) from generate_series(1, 1000) n
  union all select jsonb_build_object('name', 'last', 'task', 'noop', 'depends_on', (select jsonb_agg('step ' || n) from generate_series(1, 1000) n))
) x)`;
const jobs = (count: number): string => `(select jsonb_agg('{"task": "noop"}'::jsonb) from generate_series(1, ${count}))`;

interface Side {
  readonly name: string;
  readonly jobs: number;
  readonly sql: string;
  /** The side to compare with. */
  readonly besides?: number;
  readonly least?: number;
}

const SIDES: readonly Side[] = [
  { name: "10 × 1,002 jobs", jobs: 10_020, sql: `select legwork.enqueue_many(${jobs(1_002)}) from generate_series(1, 10)` },
  {
    name: "10 workflows of 1,002 steps, fan-out and fan-in",
    jobs: 10_020,
    sql: `select legwork.start_workflow('fan', ${STEPS}) from generate_series(1, 10)`,
    besides: 0,
    least: 0.2,
  },
  { name: "1,002 jobs", jobs: 1_002, sql: `select legwork.enqueue_many(${jobs(1_002)})` },
  {
    name: "a workflow of 1,002 steps",
    jobs: 1_002,
    sql: `select legwork.start_workflow('fan', ${STEPS})`,
    besides: 2,
    least: 0.3,
  },
  { name: "100,000 jobs", jobs: 100_000, sql: `select legwork.enqueue_many(${jobs(100_000)})` },
  {
    name: "a batch of 100,000 jobs with a callback",
    jobs: 100_001,
    sql: `select legwork.enqueue_batch(${jobs(100_000)}, callback => '{"task": "noop"}')`,
    besides: 4,
    least: 0.5,
  },
];

/** A short run only detects large regressions, on a machine that also does other work. It is not an accurate measurement. */
const SHORT_TOLERANCE = 0.15;

export async function run(options: { short: boolean }): Promise<void> {
  const rounds = options.short ? 2 : 5;
  await withServer(async (serverUrl) => {
    const template = createPool(await freshDatabase(serverUrl, "legwork_bench_workflows"), { log: benchLog });
    await migrate(template, benchLog);
    await template.end();
    const rates: number[][] = SIDES.map(() => []);
    const makings: number[][] = SIDES.map(() => []);
    for (let round = 0; round <= rounds; round++) {
      for (let turn = 0; turn < SIDES.length; turn++) {
        const index = (round + turn) % SIDES.length;
        const side = SIDES[index];
        if (side === undefined) continue;
        const url = await freshDatabase(serverUrl, "legwork_bench", "legwork_bench_workflows");
        const making = await prepare(url, side);
        const rate = await runWorker(url, "legwork", "noop", side.jobs);
        // The first round warms caches and is not counted.
        if (round > 0) {
          makings[index]?.push(making);
          rates[index]?.push(rate);
        }
      }
    }
    const rows: string[][] = [];
    for (const [index, side] of SIDES.entries()) {
      const other = side.besides ?? index;
      const ratios = (rates[index] ?? []).map((rate, round) => rate / (rates[other]?.[round] ?? Number.NaN));
      const { least } = side;
      if (least !== undefined && median(ratios) < least - (options.short ? SHORT_TOLERANCE : 0)) process.exitCode = 1;
      rows.push([
        side.name,
        String(Math.round(median(makings[index] ?? []))),
        String(Math.round(median(rates[index] ?? []))),
        median(ratios).toFixed(3),
        ratios.map((ratio) => ratio.toFixed(2)).join(" "),
        String(least ?? ""),
      ]);
    }
    const head = ["", "enqueued in ms", "jobs/s (median)", "ratio (median)", "rounds", "at least"];
    console.log(tableLines(head, rows).join("\n"));
    if (process.exitCode === 1) console.error("A figure is below its minimum.");
  });
}

/** Enqueues the jobs, and returns how long that took (ms). */
async function prepare(url: string, { sql }: Side): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`select legwork_private.register_tasks('[{"name": "noop"}]')`);
  const before = performance.now();
  await client.query(`select count(*) from (${sql}) x`);
  const making = performance.now() - before;
  await client.query("vacuum (analyze)");
  await client.query("checkpoint");
  await client.end();
  return making;
}
