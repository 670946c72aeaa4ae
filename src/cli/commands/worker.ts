import { Command } from "commander";
import type { Config, ConfigInput } from "../../config.ts";
import { migrate } from "../../db/migrate.ts";
import { createPool } from "../../db/pool.ts";
import { Problems } from "../../health/problems.ts";
import { createLogger, type Logger } from "../../log.ts";
import type { HealthPort } from "../../worker/health/health-port.ts";
import type { Worker } from "../../worker/worker.ts";
import { wholeNumber } from "../option-values.ts";
import {
  assertCrontab,
  findDatabase,
  loadWorkerSettings,
  withWorkerOptions,
  type WorkerFlags,
  workerSettings,
} from "../options.ts";
import { within } from "../../within.ts";
import { counted } from "../../wording.ts";
import { untilStopped } from "../process-signals.ts";
import { assertOneOf } from "../together.ts";

export function workerCommand(): Command {
  return withWorkerOptions(new Command("worker"))
    .description("Run jobs until stopped")
    .addHelpText(
      "after",
      `
Examples:
  $ DATABASE_URL=postgres://… legwork worker
  $ legwork worker --tasks tasks --tasks more/tasks --concurrency 50
  $ legwork worker --only 'notify/*' --only queue:mail --except notify/digest
  $ legwork worker --slots mail=5           Run at most 5 jobs of the queue mail at a time
  $ legwork worker --once                   In a test, or from the system's cron
  $ legwork worker --health-port 9090       Serve /health, /ready and /metrics for probes

On SIGTERM and SIGINT, running jobs are allowed to finish within the shutdown timeout. A second signal stops the worker immediately.
Unfinished jobs return to the queue.`,
    )
    .option("--once", "Run the jobs that are ready and the jobs that they enqueue, then exit")
    .option(
      "--health-port <number>",
      "Port for /health, /ready and /metrics, 0 for a free one (LEGWORK_HEALTH_PORT, default: none)",
      wholeNumber(0, 65_535),
    )
    .option("--health-host <address>", "Address of that port (LEGWORK_HEALTH_HOST, default: 127.0.0.1)")
    .action(async ({ once, ...flags }: WorkerFlags & HealthFlags & { once?: boolean }) => {
      assertOneOf({ once, ...flags }, ["once", "healthPort"]);
      const loaded = await loadWorkerSettings(flags);
      const { config } = loaded;
      assertCrontab(flags);
      // Loaded here so that the other commands start faster.
      const { startWorker } = await import("../../worker/worker.ts");
      const log = createLogger({ level: config.logLevel });
      const databaseUrl = findDatabase(config);
      const migrateFirst = async (): Promise<void> => {
        const pool = createPool(databaseUrl, { log, max: 3, name: "legwork migrate" });
        await migrate(pool, log, undefined, { preset: () => loaded.preset?.preset() }).finally(() => pool.end());
      };
      const problems = new Problems();
      const settings = { ...workerSettings(loaded), databaseUrl, log, problems };
      if (once === true) {
        const { startOnce } = await import("../../worker/run-once.ts");
        await untilStopped(log, {
          start: async (signal) => {
            await migrateFirst();
            const worker = await startOnce({ ...settings, signal });
            if (!signal.aborted) tellReady(log, worker, config.concurrency);
            return {
              running: () => worker.running(),
              ended: worker.finished.catch(() => undefined),
              stop: async () => {
                await stopAndTell(log, worker);
                // Exit with code 1 if the worker could not determine whether jobs are left.
                await within(0, worker.finished);
              },
            };
          },
        });
      }
      await untilStopped(log, {
        start: async (signal) => {
          // Opened first, so that probes get a response while the database cannot be reached or is being migrated.
          const health = await openHealthPort(log, settings, signal);
          await migrateFirst();
          const worker = await startWorker({ ...settings, health, signal });
          if (!signal.aborted) tellReady(log, worker, config.concurrency);
          return {
            running: () => worker.running(),
            ended: worker.drained,
            stop: async () => {
              // Needed when the worker was drained, because then there was no signal.
              health?.stopping();
              await stopAndTell(log, worker);
            },
          };
        },
      });
    });
}

type HealthFlags = Pick<Partial<ConfigInput>, "healthPort" | "healthHost">;

/**
 * Opens the worker's health port, if one is configured. It stays open until the process exits. Once the signal aborts, it reports that the worker is
 * stopping.
 */
async function openHealthPort(
  log: Logger,
  { healthPort: port, healthHost: host, maxBlocked }: Pick<Config, "healthPort" | "healthHost"> & { maxBlocked: number },
  signal: AbortSignal,
): Promise<HealthPort | undefined> {
  if (port === undefined) return undefined;
  const { HealthPort } = await import("../../worker/health/health-port.ts");
  const health = await HealthPort.open({ log, host, port, maxBlocked });
  if (signal.aborted) health.stopping();
  else signal.addEventListener("abort", () => health.stopping(), { once: true });
  return health;
}

/** Logs that a worker takes jobs, with its name and its tasks. */
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
