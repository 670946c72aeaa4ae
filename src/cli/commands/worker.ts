import { Command } from "commander";
import { migrate } from "../../db/migrate.ts";
import { createPool } from "../../db/pool.ts";
import { createLogger, type Logger } from "../../log.ts";
import type { Worker } from "../../worker/worker.ts";
import {
  assertCrontab,
  findDatabase,
  loadWorkerSettings,
  withWorkerOptions,
  type WorkerFlags,
  workerSettings,
} from "../options.ts";
import { counted } from "../../wording.ts";
import { untilStopped } from "../process-signals.ts";

export function workerCommand(): Command {
  return withWorkerOptions(new Command("worker"))
    .description("Run jobs until stopped")
    .addHelpText(
      "after",
      `
Examples:
  $ DATABASE_URL=postgres://… legwork worker
  $ legwork worker --tasks tasks --tasks more/tasks --concurrency 50
  $ legwork worker --once                   In a test, or from the system's cron

On SIGTERM and SIGINT, running jobs are allowed to finish within the shutdown timeout. A second signal stops the worker immediately.
Unfinished jobs return to the queue.`,
    )
    .option("--once", "Run the jobs that are ready and the jobs that they enqueue, then exit")
    .action(async ({ once, ...flags }: WorkerFlags & { once?: boolean }) => {
      const { config, preset } = await loadWorkerSettings(flags);
      assertCrontab(flags);
      // Loaded here so that the other commands start faster.
      const { startWorker } = await import("../../worker/worker.ts");
      const log = createLogger({ level: config.logLevel });
      const databaseUrl = findDatabase(config);
      const migrateFirst = async (): Promise<void> => {
        const pool = createPool(databaseUrl, { log, max: 3, name: "legwork migrate" });
        await migrate(pool, log).finally(() => pool.end());
      };
      const settings = { ...workerSettings(config), databaseUrl, log, preset };
      if (once === true) {
        await migrateFirst();
        const { runOnce } = await import("../../worker/run-once.ts");
        await runOnce(settings, (worker) => tellReady(log, worker, config.concurrency));
        return;
      }
      await untilStopped(log, {
        start: async (signal) => {
          await migrateFirst();
          const worker = await startWorker({ ...settings, signal });
          if (!signal.aborted) tellReady(log, worker, config.concurrency);
          return { running: () => worker.running(), ended: worker.drained, stop: async () => await stopAndTell(log, worker) };
        },
      });
    });
}

/** Logs that a worker takes jobs, under which name and which ones. */
export function tellReady(log: Logger, worker: Worker, concurrency: number): void {
  const { id, tasks } = worker;
  log.info({ event: "worker_ready", worker: id, tasks, concurrency }, `The worker ${id} is ready.`);
}

/** Stops a worker, and logs which jobs it has returned to the queue. */
export async function stopAndTell(log: Logger, worker: Worker): Promise<void> {
  const { id } = worker;
  const ids = await worker.stop();
  const given = ids.length === 0 ? "" : ` ${counted(ids.length, "unfinished job")} returned to the queue.`;
  log.info(
    { event: "worker_stopped", worker: id, givenBack: ids.length, jobIds: ids.slice(0, 100) },
    `The worker has stopped.${given}`,
  );
}
