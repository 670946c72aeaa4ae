import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/embedded/start-embedded.ts";
import { migrate } from "../../src/db/migrate.ts";
import { createPool } from "../../src/db/pool.ts";
import { testLog } from "../support/database.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerProcess } from "../support/worker.ts";

it(
  "a worker survives a restart of Postgres, and every job ends once, including those that were running",
  async () => {
    const directory = await mkdtemp(join(tmpdir(), "legwork-restart-"));
    await chmod(directory, 0o755);
    let postgres: EmbeddedPostgres | undefined;
    const start = async (): Promise<EmbeddedPostgres> =>
      (postgres = await startEmbeddedPostgres({ dataDir: join(directory, "data"), log: testLog }));
    const { databaseUrl } = await start();
    onTestFinished(async () => {
      await postgres?.stop();
      await rm(directory, { recursive: true, force: true });
    });
    const pool = createPool(databaseUrl, { log: testLog });
    onTestFinished(() => pool.end());
    await migrate(pool, testLog);
    const tasks = { "short.mjs": "export default async () => { await new Promise((wake) => setTimeout(wake, 30)); return 1; };" };
    const worker = await workerProcess({ url: databaseUrl, pool }, await directoryOf(tasks));
    await pool.query(
      "select graphile_worker.add_jobs(array(select row('short', '{}', case when n % 4 = 0 then 's' end, null, null, null, null, null)::graphile_worker.job_spec from generate_series(1, 200) n))",
    );
    for (let round = 1; round <= 2; round++) {
      await until("some jobs have ended", async () => {
        const { rows } = await pool.query("select count(*)::int as jobs from legwork_private.finished_jobs");
        return rows[0].jobs >= round * 30;
      });
      await postgres?.stop();
      expect((await start()).databaseUrl).toBe(databaseUrl);
    }
    await until(
      "all jobs have ended",
      async () => {
        const { rows } = await pool.query("select count(*)::int as jobs from legwork_private.finished_jobs");
        return rows[0].jobs === 200;
      },
      25_000,
    );
    const { rows } = await pool.query(
      "select state, count(*)::int as jobs, count(distinct id)::int as ids from legwork.jobs group by state",
    );
    expect(rows).toEqual([{ state: "completed", jobs: 200, ids: 200 }]);
    expect(worker.exitCode).toBe(null);
  },
  scaled(60_000),
);
