import { spawn } from "node:child_process";
import { constants } from "node:fs";
import type { Task } from "graphile-worker";

/** How long an executable may run (ms); the same as in graphile-worker. */
const TIMEOUT_MS = 4 * 60 * 60 * 1_000;

/** The graphile-worker plugin that this one replaces. */
export const GRAPHILE_EXECUTABLES = "LoadTaskFromExecutableFilePlugin";

/**
 * Loads executables as tasks, with the same input and environment as in graphile-worker. graphile-worker's own loader crashes the process when an
 * executable does not read its input; here only the exit code matters.
 */
export const executablesPlugin: GraphileConfig.Plugin = {
  name: "LegworkExecutablesPlugin",
  version: "1.0.0",
  worker: {
    hooks: {
      loadTaskFromFiles(_context, details) {
        if (details.handler !== undefined || process.platform === "win32") return;
        const file = details.fileDetailsList.find(({ stats }) => (stats.mode & constants.S_IXUSR) !== 0);
        if (file !== undefined) details.handler = executableTask(details.taskIdentifier, file.fullPath);
      },
    },
  },
};

function executableTask(name: string, path: string): Task {
  return async (payload, { job, logger, abortSignal }) => {
    const child = spawn(path, [], {
      env: {
        ...process.env,
        GRAPHILE_WORKER_PAYLOAD_FORMAT: "json",
        GRAPHILE_WORKER_TASK_IDENTIFIER: name,
        GRAPHILE_WORKER_JOB_ID: job.id,
        GRAPHILE_WORKER_JOB_KEY: job.key ?? undefined,
        GRAPHILE_WORKER_JOB_ATTEMPTS: String(job.attempts),
        GRAPHILE_WORKER_JOB_MAX_ATTEMPTS: String(job.max_attempts),
        GRAPHILE_WORKER_JOB_PRIORITY: String(job.priority),
        GRAPHILE_WORKER_JOB_RUN_AT: job.run_at.toISOString(),
      },
      stdio: "pipe",
      signal: abortSignal,
      timeout: TIMEOUT_MS,
    });
    const ended = new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        if (code === 0) resolve();
        else reject(new Error(signal === null ? `Process exited with code ${code}` : `Process was terminated by ${signal}`));
      });
    });
    // Without a free file descriptor, the child has no streams, and its error follows.
    if (child.pid === undefined) return await ended;
    child.stdout.setEncoding("utf8").on("data", (text: string) => logger.info(text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => logger.error(text));
    // An executable need not read its input, and one that has ended cannot.
    child.stdin.on("error", () => undefined);
    child.stdin.end(JSON.stringify({ payload }));
    await ended;
  };
}
