import { join, resolve } from "node:path";
import { Command } from "commander";
import type { Config } from "../../config.ts";
import { migrate } from "../../db/migrate.ts";
import { createPool, onceUsable } from "../../db/pool.ts";
import type { Logger } from "../../log.ts";
import { createLogger } from "../../log.ts";
import { Problems } from "../../health/problems.ts";
import { assertInstalled, EMBEDDED_PACKAGES, GRAPHQL_PACKAGES, SERVER_PACKAGES } from "../../optional-packages.ts";
import { openDatabase, Parts, type Ready, readToken, writeReady } from "../local-system.ts";
import {
  assertCrontab,
  loadWorkerSettings,
  type WorkerFlags,
  type WorkerSettings,
  withWorkerOptions,
  workerSettings,
} from "../options.ts";
import { color, printJson } from "../output.ts";
import { wholeNumber } from "../option-values.ts";
import { untilStopped } from "../process-signals.ts";
import type { Worker } from "../../worker/worker.ts";
import { dashboardUrl } from "./dashboard.ts";
import { stopAndTell, tellReady } from "./worker.ts";

export function upCommand(): Command {
  return withWorkerOptions(new Command("up"))
    .description("Start everything: Postgres (unless a database is configured), migrations, a worker and the server")
    .option("--port <number>", "Port of the server, 0 for a free one (LEGWORK_PORT, default: 4400)", wholeNumber(0, 65_535))
    .option("--host <address>", "Address of the server (LEGWORK_HOST, default: 127.0.0.1)")
    .option("--public-path <path>", "Path of the server as seen by browsers, if a proxy adds a prefix (LEGWORK_PUBLIC_PATH)")
    .option("--json", 'Print {"httpUrl", "graphqlUrl", "readyFile", "pid"} when everything is ready')
    .addHelpText(
      "after",
      `
Examples:
  $ legwork up                                        Use an embedded Postgres in .legwork
  $ DATABASE_URL=postgres://… legwork up --port 0     Use your own database

When everything is ready, <data dir>/ready.json has the URLs: {"databaseUrl", "httpUrl", "graphqlUrl", "token", "pid"}.`,
    )
    .action(async ({ json, ...flags }: WorkerFlags & { port?: number; host?: string; publicPath?: string; json?: boolean }) => {
      const loaded = await loadWorkerSettings(flags);
      const { config } = loaded;
      assertCrontab(flags);
      const embedded = config.databaseUrl === undefined ? EMBEDDED_PACKAGES : [];
      assertInstalled("`legwork up`", SERVER_PACKAGES, [...GRAPHQL_PACKAGES, ...embedded]);
      const log = createLogger({ level: config.logLevel });
      const parts = new Parts();
      await untilStopped(log, {
        start: async (signal) => {
          try {
            const { ready, worker } = await start(loaded, log, parts, signal);
            if (!signal.aborted) {
              tellReady(log, worker, config.concurrency);
              if (json === true) printJson(withoutSecrets(ready, config));
              else announce(ready, config, worker.tasks);
            }
            return {
              running: () => worker.running(),
              stop: async () => {
                await parts.stop();
                log.info({ event: "stopped" }, "Legwork has stopped.");
              },
            };
          } catch (error) {
            await parts.stop();
            throw error;
          }
        },
        stopNow: () => parts.stopNow(),
      });
    });
}

interface Started {
  ready: Ready;
  worker: Worker;
}

async function start(loaded: WorkerSettings, log: Logger, parts: Parts, signal: AbortSignal): Promise<Started> {
  const { config, onStart } = loaded;
  const databaseUrl = await openDatabase(config, log, parts);
  signal.throwIfAborted();
  const pool = createPool(databaseUrl, { log, max: 3, name: "legwork migrate" });
  await onceUsable(log, () => migrate(pool, log), signal).finally(() => pool.end());

  const token = readToken(config.dataDir);
  // Loaded here so that the other commands do not spend memory and startup time on them.
  const { startServer } = await import("../../server/server.ts");
  const { startWorker } = await import("../../worker/worker.ts");
  const problems = new Problems();
  const server = await startServer({ ...config, databaseUrl, token, log, problems, auth: config });
  parts.add(() => server.stop());
  const worker = await startWorker({ ...workerSettings(loaded), databaseUrl, log, problems, signal });
  const stopWorker = once(() => stopAndTell(log, worker));
  parts.add(stopWorker);
  // A drained worker stops, but the server keeps running.
  void worker.drained.then(stopWorker);
  signal.throwIfAborted();
  const { dataDir, tasks, crontab } = config;
  const stop = await onStart?.({ databaseUrl, isEmbedded: config.databaseUrl === undefined, dataDir, tasks, crontab });
  if (stop !== undefined) parts.add(stop);

  const ready: Ready = { databaseUrl, httpUrl: server.url, graphqlUrl: server.graphqlUrl, token, pid: process.pid };
  writeReady(ready, config, parts);
  return { ready, worker };
}

/** Wraps a function so that later calls return the promise of the first call. */
function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}

/** What `--json` prints. The token and the database's password are only in the file, which only its owner can read. */
function withoutSecrets({ httpUrl, graphqlUrl, pid }: Ready, { dataDir }: Config): object {
  return { httpUrl, graphqlUrl, readyFile: resolve(dataDir, "ready.json"), pid };
}

/** Prints the URLs. The sign-in URL contains a token, so it is shown only on a terminal and never ends up in a log. */
function announce(ready: Ready, config: Config, tasks: readonly string[]): void {
  const database = new URL(ready.databaseUrl);
  const where = config.databaseUrl === undefined ? `Postgres 18 in ${config.dataDir}` : `${database.host}${database.pathname}`;
  // A task that needs no payload, if available.
  const request = tasks.includes("health/probe") ? "health/probe" : `${tasks[0] ?? "<task>"} '{…}'`;
  console.log(`${color("bold", "Legwork is running.")}
  database   ${where}
  dashboard  ${process.stdout.isTTY ? dashboardUrl(ready) : `${ready.httpUrl}  (to get a URL that signs you in: \`npx legwork dashboard\`)`}
  GraphQL    ${ready.graphqlUrl}
  token      in ${join(config.dataDir, "ready.json")}, with the database's URL

In another terminal:
  npx legwork add ${request}
  npx legwork jobs
  npx legwork doctor${config.databaseUrl === undefined ? `\n  PGSERVICEFILE=${resolve(config.dataDir, "pg_service.conf")} psql service=legwork` : ""}

Press Ctrl-C to stop. Running jobs are allowed to finish first.`);
}
