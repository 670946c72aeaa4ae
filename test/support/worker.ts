import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { startWorker, type Worker, type WorkerOptions } from "../../src/worker/worker.ts";
import { testLog } from "./database.ts";

/** Writes files below a new directory, which goes when the test has finished. */
export async function directoryOf(files: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "legwork-files-"));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), content);
  }
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A worker in this process over the given task files; it is stopped when the test has finished. */
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
