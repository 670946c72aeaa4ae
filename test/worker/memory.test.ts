import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { testDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { directoryOf } from "../support/worker.ts";

const database = testDatabase();

it("a worker process stays under 200 MB while it runs 20,000 jobs", async () => {
  const tasks = await directoryOf({ "noop.mjs": "export default async () => {};" });
  // By its own first line, as a shell runs it: that is where its memory is limited.
  const child = spawn(
    fileURLToPath(new URL("../../bin/legwork.js", import.meta.url)),
    ["worker", "--tasks", tasks, "--crontab", "/dev/null"],
    {
      env: {
        ...process.env,
        PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
        DATABASE_URL: database.url,
        LEGWORK_LOCAL_QUEUE_SIZE: "100",
      },
      stdio: "ignore",
    },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  await database.pool.query(
    "select count(*) from graphile_worker.add_jobs(array(select row('noop', '{}', null, null, null, null, null, null)::graphile_worker.job_spec from generate_series(1, 20000)))",
  );
  await database.pool.query("analyze graphile_worker._private_jobs");
  await until(
    "all jobs have completed",
    async () => {
      const { rows } = await database.pool.query("select count(*)::int as jobs from legwork.finished_jobs");
      return rows[0].jobs === 20_000;
    },
    60_000,
  );
  const peak = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024;
  expect(peak).toBeGreaterThan(20);
  // The heartbeat thread takes 42 MB of it in a checkout, where it strips types, and 22 MB when installed.
  expect(peak).toBeLessThan(200);
}, 90_000);
