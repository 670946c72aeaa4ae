import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { migrate } from "../src/db/migrate.ts";
import { createPool, type Pool } from "../src/db/pool.ts";
import { benchLog, freshDatabase, withServer } from "./server.ts";

/** The longest time from SIGKILL to the re-run (s). */
const LIMIT_S = 10;

const SCRIPT = fileURLToPath(new URL("../bin/legwork.js", import.meta.url));

const TASK = `
  import { defineTask } from "legwork";
  export default defineTask({
    async run(_payload, { job, sql }) {
      await sql\`insert into runs (job_id, pid, started_at) values (\${job.id}, \${process.pid}, clock_timestamp())\`;
      if (job.attempts === 1) await new Promise((resolve) => setTimeout(resolve, 60_000));
    },
  });`;

/** The duration of each job of the backlog (s), and the number of these jobs. */
const BACKLOG_SECONDS = 3;
const BACKLOG_JOBS = 10_000;

/** The surviving worker is running jobs and has fetched as many in advance. Those run first. */
const BACKLOG_LIMIT_S = LIMIT_S + 2 * BACKLOG_SECONDS;

const SLOW = `
  import { defineTask } from "legwork";
  export default defineTask({
    async run(_payload, { job, sql }) {
      await sql\`insert into runs (job_id, pid, started_at) values (\${job.id}, \${process.pid}, clock_timestamp())\`;
      await new Promise((resolve) => setTimeout(resolve, ${BACKLOG_SECONDS * 1_000}));
    },
  });`;

/**
 * Measures how soon a killed worker's job runs elsewhere: two workers take turns at being killed while they run a job. Then the same with a backlog,
 * where the killed worker runs ten jobs.
 */
export async function run(options: { short: boolean }): Promise<void> {
  const kills = options.short ? 2 : 20;
  const backlogKills = options.short ? 1 : 10;
  await withServer(async (serverUrl) => {
    const url = await freshDatabase(serverUrl, "legwork_bench");
    const pool = createPool(url, { log: benchLog });
    await migrate(pool, benchLog);
    await pool.query("create table runs (job_id bigint, pid int, started_at timestamptz)");
    const directory = await mkdtemp(join(tmpdir(), "legwork-crash-"));
    await writeFile(join(directory, "long.ts"), TASK);
    await writeFile(join(directory, "slow.ts"), SLOW);
    const start = (): ChildProcess =>
      spawn(process.execPath, [SCRIPT, "worker", "--tasks", directory, "--crontab", "/dev/null"], {
        env: { ...process.env, DATABASE_URL: url, LEGWORK_LOG_LEVEL: "error" },
        stdio: ["ignore", "ignore", "inherit"],
      });
    const workers = new Map<number, ChildProcess>();
    const launch = (): void => {
      const child = start();
      workers.set(child.pid ?? 0, child);
    };
    const seconds: number[] = [];
    const besideBacklog: number[] = [];
    try {
      launch();
      launch();
      await ask(pool, "two workers are running", "select count(*) = 2 as it from legwork.workers");
      for (let kill = 0; kill < kills; kill++) {
        const id = (await pool.query("select id from graphile_worker.add_job('long')")).rows[0].id;
        const pid = await ask(pool, "the job runs", "select pid as it from runs where job_id = $1", [id]);
        // Each time at a different moment between two heartbeats.
        await delay(200 + 50 * kill);
        const victim = workers.get(pid);
        const gone = once(victim as ChildProcess, "exit");
        victim?.kill("SIGKILL");
        const killedAt = (await pool.query("select clock_timestamp() as now")).rows[0].now as Date;
        await gone;
        workers.delete(pid);
        launch();
        await ask(pool, "the job runs again", "select count(*) = 2 as it from runs where job_id = $1", [id], 30);
        const again = (await pool.query("select max(started_at) as at from runs where job_id = $1", [id])).rows[0].at as Date;
        seconds.push((again.getTime() - killedAt.getTime()) / 1_000);
      }
      await pool.query(
        `select count(*) from graphile_worker.add_jobs(array(
           select row('slow', '{}', null, null, null, null, null, null)::graphile_worker.job_spec from generate_series(1, $1::int)))`,
        [BACKLOG_JOBS],
      );
      for (let kill = 0; kill < backlogKills; kill++) {
        await ask(
          pool,
          "two workers run ten jobs each",
          "select count(*) = 2 and min(cardinality(running)) = 10 as it from legwork.workers",
          [],
          40,
        );
        await delay(200 + 100 * kill);
        const [pid, victim] = [...workers][0] as [number, ChildProcess];
        const gone = once(victim, "exit");
        victim.kill("SIGKILL");
        await gone;
        workers.delete(pid);
        const { rows } = await pool.query(
          `select clock_timestamp() as now, array(
             select r.job_id from runs r join graphile_worker._private_jobs j on j.id = r.job_id where r.pid = $1) as ids`,
          [pid],
        );
        launch();
        await ask(
          pool,
          "its jobs run again",
          "select count(distinct job_id) = cardinality($1::bigint[]) as it from runs where job_id = any($1::bigint[]) and pid <> $2",
          [rows[0].ids, pid],
          60,
        );
        const again = await pool.query(
          "select extract(epoch from min(started_at) - $3)::float8 as seconds from runs where job_id = any($1::bigint[]) and pid <> $2 group by job_id",
          [rows[0].ids, pid, rows[0].now],
        );
        besideBacklog.push(...again.rows.map((row) => row.seconds as number));
      }
    } finally {
      for (const child of workers.values()) child.kill("SIGKILL");
      await pool.end();
      await rm(directory, { recursive: true, force: true });
    }
    report(`SIGKILL to re-run over ${kills} kills`, seconds, LIMIT_S);
    report(
      `With a backlog of ${BACKLOG_JOBS.toLocaleString("en-US")} jobs of ${BACKLOG_SECONDS} s, ${besideBacklog.length} jobs over ${backlogKills} kills`,
      besideBacklog,
      BACKLOG_LIMIT_S,
    );
  });
}

function report(what: string, seconds: readonly number[], limit: number): void {
  const sorted = seconds.toSorted((a, b) => a - b);
  const p95 = sorted[Math.ceil(sorted.length * 0.95) - 1] ?? Number.NaN;
  const all = sorted.map((value) => value.toFixed(1)).join(" ");
  console.log(`${what}: ${all} s; p95 ${p95.toFixed(1)} s, at most ${limit} s.`);
  if (!(p95 <= limit)) process.exitCode = 1;
}

// oxlint-disable-next-line typescript/no-explicit-any -- any value that the statement selects
async function ask(pool: Pool, what: string, statement: string, values: unknown[] = [], limit = 20): Promise<any> {
  const deadline = performance.now() + limit * 1_000;
  for (;;) {
    const { rows } = await pool.query(statement, values);
    if (rows[0]?.it !== undefined && rows[0].it !== null && rows[0].it !== false) return rows[0].it;
    if (performance.now() > deadline) throw new Error(`Timed out after ${limit} s waiting until ${what}.`);
    await delay(50);
  }
}
