import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { migrate } from "../../db/migrate.ts";
import { createPool } from "../../db/pool.ts";
import { createLogger } from "../../log.ts";
import { assertCrontab, findDatabase, withWorkerOptions, type WorkerFlags, workerSettings } from "../options.ts";
import { untilStopped } from "../signals.ts";

export function workerCommand(): Command {
  return withWorkerOptions(new Command("worker"))
    .description("run jobs until stopped")
    .addHelpText(
      "after",
      `
Examples:
  $ DATABASE_URL=postgres://… legwork worker
  $ legwork worker --tasks tasks --tasks more/tasks --concurrency 50

SIGTERM and SIGINT let running jobs finish, for the shutdown timeout; a second one stops at once. Jobs that did not finish
run elsewhere.`,
    )
    .action(async (flags: WorkerFlags) => {
      const { config } = await loadConfig(flags);
      assertCrontab(flags);
      // Loaded here: the other commands start sooner without it.
      const { startWorker } = await import("../../worker/worker.ts");
      const log = createLogger({ level: config.logLevel });
      const databaseUrl = findDatabase(config);
      const pool = createPool(databaseUrl, { log, max: 3, name: "legwork migrate" });
      await migrate(pool, log).finally(() => pool.end());
      const worker = await startWorker({ ...workerSettings(config), databaseUrl, log });
      log.info({ tasks: worker.tasks, concurrency: config.concurrency }, "The worker is ready.");
      await untilStopped(log, async () => {
        const givenBack = await worker.stop();
        log.info({ givenBack }, "The worker has stopped.");
      });
    });
}
