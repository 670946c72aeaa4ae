import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate } from "../src/db/migrate.ts";
import { createPool } from "../src/db/pool.ts";
import { runTask } from "./run-task.ts";
import { benchLog, freshDatabase, withServer } from "./server.ts";

/** The maximum memory use of the worker's process (MB). */
const MEMORY_MB = 150;

/** Measures how long backing up and restoring a gigabyte takes, and how much memory each uses. */
export async function run(options: { short: boolean }): Promise<void> {
  const rows = options.short ? 50_000 : 1_050_000;
  const folder = await mkdtemp(join(tmpdir(), "legwork-bench-backup-"));
  try {
    await withServer(async (serverUrl) => {
      const url = await freshDatabase(serverUrl, "legwork_bench");
      const pool = createPool(url, { log: benchLog });
      await migrate(pool, benchLog);
      // Short enough that Postgres does not compress the value: a gigabyte in the table, in the text of COPY and in the files.
      await pool.query(
        `create table pages as select n as id, repeat(md5(n::text), 31) as body from generate_series(1, ${rows}) n;
         create table pages_again (like pages)`,
      );
      await pool.query("vacuum (analyze) pages");
      const size = (await pool.query("select pg_table_size('pages')::float8 / 1024 / 1024 as size")).rows[0].size as number;
      await pool.end();
      const environment = { LEGWORK_ALLOWED_FOLDERS: folder };
      const backup = await runTask(url, "backup/tables", { tables: ["pages"], folder }, environment);
      const restore = await runTask(url, "backup/restore", { folder, tables: { "public.pages": "pages_again" } }, environment);
      for (const [name, run] of Object.entries({ backup, restore })) {
        console.log(
          `${name} of ${size.toFixed(0)} MB, ${rows} rows, verified: ${run.seconds.toFixed(1)} s, ${(size / run.seconds).toFixed(0)} MB/s; ` +
            `memory ${run.memory.toFixed(0)} MB (${run.before.toFixed(0)} before), at most ${MEMORY_MB}.`,
        );
        if (run.memory > MEMORY_MB) process.exitCode = 1;
      }
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
