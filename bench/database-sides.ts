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

export interface Side {
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

/**
 * Measures throughput in several states of a database: the tuned `legwork worker` command, or graphile-worker alone, runs jobs that do nothing. Each
 * round runs all sides one after the other; ratios are computed within a round. Writes a section of bench/results.json, except after a short run.
 */
export async function measureSides(
  section: "growth" | "limits",
  sides: readonly Side[],
  { short, rounds }: { short: boolean; rounds: number },
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), `legwork-${section}-`));
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
    saveSection(section, { sides: withRates(sides, rates) });
    writeBenchmarks();
  }
}

/** Enqueues with one call of add_jobs. `n` counts from 1 in the expressions. */
export function addJobs(
  count: number,
  columns: Partial<Record<"identifier" | "payload" | "queue_name" | "run_at" | "max_attempts", string>>,
): string {
  const { identifier = "'noop'", payload = "json_build_object('n', n)", queue_name = "null", run_at = "null" } = columns;
  const { max_attempts = "null" } = columns;
  return `select count(*) from graphile_worker.add_jobs(array(
    select row(${identifier}, ${payload}, ${queue_name}, ${run_at}, ${max_attempts}, null, null, null)::graphile_worker.job_spec
    from generate_series(1, ${count}) n))`;
}

/** Creates a database for each distinct `before`, and returns its name for each side. */
async function makeTemplates(serverUrl: string, sides: readonly Side[]): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  const made = new Map<string, string>();
  for (const side of sides) {
    const key = JSON.stringify([side.program, side.before ?? []]);
    let name = made.get(key);
    if (name === undefined) {
      name = `legwork_sides_${made.size}`;
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
  const url = await freshDatabase(serverUrl, "legwork_sides", template);
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
