import { Command } from "commander";
import { migrate } from "../../db/migrate.ts";
import { createPool } from "../../db/pool.ts";
import { createLogger } from "../../log.ts";
import {
  assertCrontab,
  findDatabase,
  loadWorkerSettings,
  withWorkerOptions,
  type WorkerFlags,
  workerSettings,
} from "../options.ts";
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
      const pool = createPool(databaseUrl, { log, max: 3, name: "legwork migrate" });
      await migrate(pool, log).catch(async (error: unknown) => {
        await pool.end();
        throw error;
      });
      if (once !== true) await pool.end();
      const worker = await startWorker({ ...workerSettings(config), databaseUrl, log, preset });
      log.info({ tasks: worker.tasks, concurrency: config.concurrency }, "The worker is ready.");
      if (once === true) {
        const { untilNothingIsReady } = await import("../../worker/run-once.ts");
        await untilNothingIsReady(pool, worker);
        await worker.stop();
        await pool.end();
        return;
      }
      await untilStopped(log, async () => {
        const givenBack = await worker.stop();
        log.info({ givenBack }, "The worker has stopped.");
      });
    });
}
