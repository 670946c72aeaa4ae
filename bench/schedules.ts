import { ResultTable } from "./result-table.ts";
import { migrate } from "../src/db/migrate.ts";
import { createPool, type Pool, transaction } from "../src/db/pool.ts";
import { planSchedules } from "../src/schedules/plan-schedules.ts";
import { benchLog, freshDatabase, withServer } from "./server.ts";

const SCHEDULES = 10_000;

/** The bounds: an occurrence is enqueued within a second of its time (p99), and checking for due schedules uses less than a hundredth of a core. */
const MAX_LATENESS_MS = 1_000;
const MAX_IDLE_SHARE = 0.01;

/** A short run only detects large regressions, on a machine that also does other work. It is not an accurate measurement. */
const SHORT_TOLERANCE = 3;

/**
 * Measures 10,000 cron schedules that are due in the same second: how late each job is committed when one worker's loop fires them, and the cost of
 * checking while no schedule is due.
 */
export async function run(options: { short: boolean }): Promise<void> {
  const rounds = options.short ? 2 : 5;
  const tolerance = options.short ? SHORT_TOLERANCE : 1;
  await withServer(async (serverUrl) => {
    const pool = createPool(await freshDatabase(serverUrl, "legwork_bench_schedules"), { log: benchLog });
    try {
      await migrate(pool, benchLog);
      await prepare(pool);
      const lateness: number[] = [];
      for (let round = 0; round <= rounds; round++) {
        const found = await fireAll(pool, new Date(Date.UTC(2030, 0, 1, round)));
        // The first round warms caches and is not counted.
        if (round > 0) lateness.push(percentile(found, 0.99));
        await pool.query("truncate graphile_worker._private_jobs cascade");
        await pool.query("vacuum (analyze)");
      }
      const idle = await idleShare(pool, options.short ? 100 : 500);
      const table = new ResultTable({ head: ["10,000 schedules", "measured", "at most"] });
      table.push(
        [
          "due in one second: lateness, p99, per round",
          lateness.map((ms) => `${Math.round(ms)} ms`).join(" "),
          `${MAX_LATENESS_MS} ms`,
        ],
        ["none due: share of a core, one check per second", `${(idle * 100).toFixed(3)} %`, `${MAX_IDLE_SHARE * 100} %`],
      );
      console.log(table.toString());
      if (Math.max(...lateness) > MAX_LATENESS_MS * tolerance || idle > MAX_IDLE_SHARE) {
        process.exitCode = 1;
        console.error("A figure is above its maximum.");
      }
    } finally {
      await pool.end();
    }
  });
}

async function prepare(pool: Pool): Promise<void> {
  await pool.query(`select legwork_private.register_tasks('[{"name": "noop"}]')`);
  await pool.query(
    `select count(legwork.schedule('s' || n, 'noop', cron => '0 * * * *', as_of => '2029-12-31 23:30Z')) from generate_series(1, $1::int) n`,
    [SCHEDULES],
  );
  while ((await planSchedules(pool, { asOf: new Date("2029-12-31T23:30:00Z") })) > 0);
  await pool.query("vacuum (analyze)");
}

/** Fires the schedules like a worker's loop, and returns how late each occurrence was committed (ms). */
async function fireAll(pool: Pool, due: Date): Promise<number[]> {
  const lateness: number[] = [];
  const begun = performance.now();
  for (let more = true; more;) {
    const { rows } = await transaction(pool, (client) =>
      client.query("select fired, more from legwork_private.fire_schedules($1, 1000)", [due]),
    );
    more = rows[0].more;
    const late = performance.now() - begun;
    for (let fired = 0; fired < rows[0].fired; fired++) lateness.push(late);
  }
  if (lateness.length !== SCHEDULES) throw new Error(`${lateness.length} of ${SCHEDULES} schedules fired.`);
  return lateness;
}

/** Returns the cost of one check per second as a share of a core. The elapsed time includes the work of both server and client. */
async function idleShare(pool: Pool, looks: number): Promise<number> {
  const begun = performance.now();
  for (let look = 0; look < looks; look++) {
    await transaction(pool, (client) => client.query("select * from legwork_private.fire_schedules('2029-12-31 23:31Z')"));
  }
  return (performance.now() - begun) / looks / 1_000;
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
}
