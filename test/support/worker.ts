import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { startWorker, type Worker } from "../../src/worker/worker.ts";
import type { WorkerOptions } from "../../src/worker/worker-options.ts";
import { type TestDatabase, testLog } from "./database.ts";
import { until } from "./until.ts";

/** Writes files to a new directory, which is removed when the test has finished. */
export async function directoryOf(files: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "legwork-files-"));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), content);
  }
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Starts a worker in this process with the given task files. It is stopped when the test has finished. */
export async function workerOver(
  databaseUrl: string,
  tasks: Record<string, string> | readonly string[],
  options: Partial<WorkerOptions> = {},
): Promise<Worker> {
  const directories = Array.isArray(tasks) ? (tasks as string[]) : [await directoryOf(tasks as Record<string, string>)];
  const worker = await startWorker({
    databaseUrl,
    log: testLog,
    tasks: directories,
    concurrency: 4,
    localQueueSize: 4,
    shutdownTimeout: 2_000,
    ...options,
  });
  onTestFinished(async () => void (await worker.stop()));
  return worker;
}

/**
 * Starts a worker as a separate process through the command line. Resolves once it is alive. It is killed when the test has finished. `environment`
 * is added to this process's environment. With `stderr: "pipe"`, its log can be read.
 */
export async function workerProcess(
  database: TestDatabase,
  tasks: string | readonly string[],
  environment: Record<string, string> = {},
  options: { stderr?: "pipe"; cwd?: string } = {},
): Promise<ChildProcess> {
  const script = fileURLToPath(new URL("../../bin/legwork.js", import.meta.url));
  const folders = [tasks].flat().flatMap((folder) => ["--tasks", folder]);
  const child = spawn(process.execPath, [script, "worker", ...folders, "--crontab", "/dev/null"], {
    env: { ...process.env, DATABASE_URL: database.url, ...environment },
    cwd: options.cwd,
    stdio:
      options.stderr === "pipe"
        ? ["ignore", "ignore", "pipe"]
        : process.env.LEGWORK_TEST_LOG === undefined
          ? "ignore"
          : "inherit",
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await until(
    "the worker is alive",
    async () => {
      const { rows } = await database.pool.query("select from legwork.workers where pid = $1", [child.pid]);
      return rows.length > 0;
    },
    20_000,
  );
  return child;
}
