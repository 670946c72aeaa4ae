import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { testDatabase } from "../support/database.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { directoryOf } from "../support/worker.ts";

const database = testDatabase();

/** Starts a worker through its executable's shebang line, as a shell does, because that line sets the memory limit. */
function startWorker(tasks: string, cache: string, stderr: "pipe" | "ignore"): ChildProcess {
  const child = spawn(
    fileURLToPath(new URL("../../bin/legwork.js", import.meta.url)),
    ["worker", "--tasks", tasks, "--crontab", "/dev/null"],
    {
      env: {
        ...process.env,
        PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
        DATABASE_URL: database.url,
        LEGWORK_LOCAL_QUEUE_SIZE: "100",
        // Uses a separate cache, because Node cannot use a cache that was written with other flags.
        NODE_COMPILE_CACHE: cache,
      },
      stdio: ["ignore", "ignore", stderr],
    },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

it(
  "a worker process stays under 160 MB while it runs 20,000 jobs",
  async () => {
    const tasks = await directoryOf({ "noop.mjs": "export default async () => {};" });
    // The first start in a checkout strips types, which takes 40 MB. Later starts use the cached result.
    const cache = await directoryOf({});
    const first = startWorker(tasks, cache, "pipe");
    let log = "";
    first.stderr?.on("data", (data) => (log += data));
    await until("the first worker is ready", () => log.includes("worker_ready"), 20_000);
    const ended = once(first, "exit");
    first.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    const child = startWorker(tasks, cache, "ignore");
    await database.pool.query(
      "select count(*) from graphile_worker.add_jobs(array(select row('noop', '{}', null, null, null, null, null, null)::graphile_worker.job_spec from generate_series(1, 20000)))",
    );
    await database.pool.query("analyze graphile_worker._private_jobs");
    await until(
      "all jobs have completed",
      async () => {
        const { rows } = await database.pool.query("select count(*)::int as jobs from legwork_private.finished_jobs");
        return rows[0].jobs === 20_000;
      },
      60_000,
    );
    const peak = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024;
    expect(peak).toBeGreaterThan(20);
    // On an idle machine, the worker uses 134 MB. On a busy one, garbage is collected later.
    expect(peak).toBeLessThan(160);
  },
  scaled(90_000),
);
