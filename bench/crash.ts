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

/** From SIGKILL to the re-run, at most (s). */
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

/** How soon a killed worker's job runs elsewhere: two workers, each of which is killed in turn while it runs a job. */
export async function run(options: { short: boolean }): Promise<void> {
  const kills = options.short ? 2 : 20;
  await withServer(async (serverUrl) => {
    const url = await freshDatabase(serverUrl, "legwork_bench");
    const pool = createPool(url, { log: benchLog });
    await migrate(pool, benchLog);
    await pool.query("create table runs (job_id bigint, pid int, started_at timestamptz)");
    const directory = await mkdtemp(join(tmpdir(), "legwork-crash-"));
    await writeFile(join(directory, "long.ts"), TASK);
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
    try {
      launch();
      launch();
      await ask(pool, "two workers live", "select count(*) = 2 as it from legwork.workers");
      for (let kill = 0; kill < kills; kill++) {
        const id = (await pool.query("select id from graphile_worker.add_job('long')")).rows[0].id;
        const pid = await ask(pool, "the job runs", "select pid as it from runs where job_id = $1", [id]);
        // At another moment between two beats each time.
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
    } finally {
      for (const child of workers.values()) child.kill("SIGKILL");
      await pool.end();
      await rm(directory, { recursive: true, force: true });
    }
    seconds.sort((a, b) => a - b);
    const p95 = seconds[Math.ceil(seconds.length * 0.95) - 1] ?? Number.NaN;
    console.log(
      `SIGKILL to re-run over ${kills} kills: ${seconds.map((value) => value.toFixed(1)).join(" ")} s; p95 ${p95.toFixed(1)} s, at most ${LIMIT_S} s.`,
    );
    if (!(p95 <= LIMIT_S)) process.exitCode = 1;
  });
}

// oxlint-disable-next-line typescript/no-explicit-any -- whatever the statement selects
async function ask(pool: Pool, what: string, statement: string, values: unknown[] = [], limit = 20): Promise<any> {
  const deadline = performance.now() + limit * 1_000;
  for (;;) {
    const { rows } = await pool.query(statement, values);
    if (rows[0]?.it !== undefined && rows[0].it !== null && rows[0].it !== false) return rows[0].it;
    if (performance.now() > deadline) throw new Error(`Not within ${limit} s: ${what}.`);
    await delay(50);
  }
}
