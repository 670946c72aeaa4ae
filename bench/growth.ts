import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { runMigrations } from "graphile-worker";
import { migrate } from "../src/db/migrate.ts";
import { createPool } from "../src/db/pool.ts";
import { pgBouncer } from "../test/support/pgbouncer.ts";
import { startLegwork, startPeer, TUNED, vacuum, writeNoop } from "./command.ts";
import { reportRates, withRates } from "./rates.ts";
import { saveSection } from "./results.ts";
import { benchLog, freshDatabase, withServer } from "./server.ts";
import { writeBenchmarks } from "./write-benchmarks.ts";

/** The number of jobs of each kind. */
interface Sizes {
  readonly jobs: number;
  readonly limited: number;
  readonly waiting: number;
  readonly paused: number;
  readonly finished: number;
  readonly held: number;
  readonly keys: number;
}

const FULL: Sizes = {
  jobs: 60_000,
  limited: 20_000,
  waiting: 1_000_000,
  paused: 100_000,
  finished: 10_000_000,
  held: 300_000,
  keys: 10_000,
};
const SHORT: Sizes = { jobs: 5_000, limited: 2_000, waiting: 20_000, paused: 2_000, finished: 50_000, held: 10_000, keys: 500 };

interface Side {
  readonly name: string;
  readonly program: "legwork" | "graphile-worker";
  readonly jobs: number;
  /** Statements that create the data in addition to the measured jobs. The database is created once, and copied for each round. */
  readonly before?: readonly string[];
  /** Every how many-th job fails, without another attempt. */
  readonly failing?: number;
  /** The measured jobs: an expression for each column of a job_spec that is not null. */
  readonly payload?: string;
  readonly queueName?: string;
  readonly isPooled?: boolean;
  /** Whether a transaction with a snapshot from before the first job stays open until the last job. */
  readonly isHeld?: boolean;
  /** The side to compare with. */
  readonly besides?: string;
  readonly least?: number;
}

function sidesFor(size: Sizes): Side[] {
  const n = (count: number): string => count.toLocaleString("en-US");
  const waiting = addJobs(size.waiting, { identifier: "'later'" });
  const finished = `insert into legwork_private.finished_jobs (id, task, queue, state, priority, attempts, max_attempts, payload, run_at, created_at, started_at, finished_at, worker)
    select i, 'noop', 'default', 'completed', 0, 1, 25, '{"a": 1}', x.at, x.at, x.at, x.at, 'w'
    from generate_series(1, ${size.finished}) i, lateral (select now() - make_interval(secs => (${size.finished} - i) * 0.05) as at) x;
    select setval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id'), ${size.finished})`;
  const empty = "an empty database";
  const limited = `${n(size.limited)} jobs without a limit`;
  const bare = "graphile-worker alone";
  const keyed = (count: number): Partial<Side> => ({
    jobs: size.limited,
    payload: `json_build_object('key', 'k' || n % ${count})`,
    before: ["select legwork.limit_concurrency(1, task => 'noop', key => 'key')"],
    besides: limited,
  });
  const side = (name: string, more: Partial<Side> = {}): Side => ({ name, program: "legwork", jobs: size.jobs, ...more });
  return [
    side(bare, { program: "graphile-worker" }),
    side(empty),
    side(`${n(size.waiting)} other jobs waiting`, { before: [waiting], besides: empty }),
    side(`${n(size.waiting)} jobs scheduled for tomorrow`, {
      before: [addJobs(size.waiting, { identifier: "'later'", run_at: "now() + interval '1 day'" })],
      besides: empty,
    }),
    side(`${n(size.paused)} jobs in a paused queue`, {
      before: [
        `select legwork_private.register_tasks('[{"name": "held", "queue": "paused"}]'); select legwork.pause_queue('paused')`,
        addJobs(size.paused, { identifier: "'held'" }),
      ],
      besides: empty,
      least: 0.95,
    }),
    side(`${n(size.finished)} finished jobs`, { before: [finished], besides: empty }),
    side(`${n(size.waiting)} jobs waiting and ${n(size.finished)} finished`, {
      before: [finished, waiting],
      besides: empty,
      least: 0.9,
    }),
    side("through PgBouncer in session mode", { isPooled: true, besides: empty }),
    side(`${n(size.keys)} serial keys, graphile-worker alone`, {
      program: "graphile-worker",
      jobs: size.limited,
      queueName: `'s' || n % ${size.keys}`,
    }),
    side(`${n(size.keys)} serial keys`, {
      jobs: size.limited,
      queueName: `'s' || n % ${size.keys}`,
      besides: `${n(size.keys)} serial keys, graphile-worker alone`,
    }),
    side(limited, { jobs: size.limited, payload: "json_build_object('key', 'k' || n % 1000)" }),
    side("a limit of 24 at a time", {
      jobs: size.limited,
      before: ["select legwork.limit_concurrency(24, task => 'noop')"],
      besides: limited,
    }),
    side("one at a time for each of 1,000 keys", { ...keyed(1_000), least: 0.6 }),
    side(`one at a time for each of ${n(size.limited)} keys`, keyed(size.limited)),
    ...[10, 1].flatMap((failing) => {
      const what = failing === 1 ? "every job fails" : `one in ${failing} jobs fails`;
      return [
        side(`${what}, graphile-worker alone`, { program: "graphile-worker", jobs: size.limited, failing }),
        side(what, { jobs: size.limited, failing, besides: `${what}, graphile-worker alone` }),
      ];
    }),
    side("graphile-worker alone, with an open transaction", { program: "graphile-worker", jobs: size.held, isHeld: true }),
    side("with an open transaction", {
      jobs: size.held,
      isHeld: true,
      besides: "graphile-worker alone, with an open transaction",
    }),
  ];
}

/** Enqueues with one call of add_jobs. `n` counts from 1 in the expressions. */
function addJobs(
  count: number,
  columns: Partial<Record<"identifier" | "payload" | "queue_name" | "run_at" | "max_attempts", string>>,
): string {
  const { identifier = "'noop'", payload = "json_build_object('n', n)", queue_name = "null", run_at = "null" } = columns;
  const { max_attempts = "null" } = columns;
  return `select count(*) from graphile_worker.add_jobs(array(
    select row(${identifier}, ${payload}, ${queue_name}, ${run_at}, ${max_attempts}, null, null, null)::graphile_worker.job_spec
    from generate_series(1, ${count}) n))`;
}

/**
 * Measures how throughput changes as a database grows: the tuned `legwork worker` command runs jobs that do nothing, in an empty database and in
 * databases with many waiting, scheduled, paused or finished jobs, with limits and serial keys, and during a transaction that stays open. Each round
 * runs all sides one after the other; ratios are computed within a round. Writes the section `growth` of bench/results.json.
 */
export async function run({ short, parameters }: { short: boolean; parameters: readonly string[] }): Promise<void> {
  const rounds = Number(parameters[0] ?? (short ? 1 : 3));
  const sides = sidesFor(short ? SHORT : FULL);
  const directory = await mkdtemp(join(tmpdir(), "legwork-growth-"));
  const rates = new Map<string, number[]>();
  try {
    await writeNoop(directory);
    await withServer(async (serverUrl) => {
      const templates = await makeTemplates(serverUrl, sides);
      for (let round = short ? 1 : 0; round <= rounds; round++) {
        for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
          const rate = await measure(side, { serverUrl, directory, template: templates.get(side.name) ?? "" });
          console.error(`round ${round}: ${side.name}: ${Math.round(rate)} jobs/s`);
          // The first round warms caches and is not counted.
          if (round > 0) rates.set(side.name, [...(rates.get(side.name) ?? []), rate]);
        }
      }
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  reportRates(sides, rates, short);
  if (!short) {
    saveSection("growth", { sides: withRates(sides, rates) });
    writeBenchmarks();
  }
}

/** Creates a database for each distinct `before`, and returns its name for each side. */
async function makeTemplates(serverUrl: string, sides: readonly Side[]): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  const made = new Map<string, string>();
  for (const side of sides) {
    const key = JSON.stringify([side.program, side.before ?? []]);
    let name = made.get(key);
    if (name === undefined) {
      name = `legwork_growth_${made.size}`;
      const pool = createPool(await freshDatabase(serverUrl, name), { log: benchLog });
      if (side.program === "legwork") await migrate(pool, benchLog);
      else await runMigrations({ pgPool: pool });
      if (side.program === "legwork") await pool.query(`select legwork_private.register_tasks('[{"name": "noop"}]')`);
      for (const statement of side.before ?? []) await pool.query(statement);
      await pool.query("vacuum (analyze)");
      await pool.end();
      made.set(key, name);
    }
    names.set(side.name, name);
  }
  return names;
}

/** Returns the jobs per second, from the first call to the last. */
async function measure(side: Side, where: { serverUrl: string; directory: string; template: string }): Promise<number> {
  const { serverUrl, directory, template } = where;
  const url = await freshDatabase(serverUrl, "legwork_growth", template);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(
    side.failing === undefined
      ? addJobs(side.jobs, { payload: side.payload ?? "json_build_object('n', n)", queue_name: side.queueName ?? "null" })
      : addJobs(side.jobs, {
          identifier: "'fails'",
          payload: `json_build_object('fails', n % ${side.failing} = 0)`,
          max_attempts: "1",
        }),
  );
  // The measured jobs run before all other waiting jobs.
  if (side.before !== undefined && side.program === "legwork") {
    await client.query(
      "update graphile_worker._private_jobs set priority = -1 where id > (select max(id) from graphile_worker._private_jobs) - $1",
      [side.jobs],
    );
    await client.query("select legwork.tick()");
  }
  await vacuum(url);
  if (side.isHeld === true) {
    await client.query("begin isolation level repeatable read");
    await client.query("select count(*) from graphile_worker._private_jobs");
  }
  const bouncer = side.isPooled === true ? await pgBouncer(url, { mode: "session", size: 40 }) : undefined;
  const options = { url: bouncer?.url ?? url, jobs: side.jobs, directory };
  const worker =
    side.program === "legwork"
      ? startLegwork({ ...options, tasks: join(directory, "defined"), settings: TUNED })
      : startPeer(side.program, { ...options, work: "tuned" });
  try {
    const { seconds } = await worker.measured();
    return side.jobs / seconds;
  } finally {
    await worker.stop();
    await client.end();
    await bouncer?.stop();
  }
}
