import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command } from "commander";
import type { Config } from "../../config.ts";
import { lockDataDir, openDataDir } from "../../embedded/data-dir.ts";
import { startEmbeddedPostgres } from "../../embedded/start-embedded.ts";
import { migrate } from "../../db/migrate.ts";
import { createPool, onceUsable } from "../../db/pool.ts";
import type { Logger } from "../../log.ts";
import { createLogger } from "../../log.ts";
import { Problems } from "../../health/problems.ts";
import { assertInstalled, EMBEDDED_PACKAGES, GRAPHQL_PACKAGES, SERVER_PACKAGES } from "../../optional-packages.ts";
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
    .description("Start everything: Postgres (unless a database is given), migrations, a worker and the server")
    .option("--port <number>", "Port of the server, 0 for a free one (LEGWORK_PORT, default: 4400)", wholeNumber(0, 65_535))
    .option("--host <address>", "Address of the server (LEGWORK_HOST, default: 127.0.0.1)")
    .option("--public-path <path>", "The server's path in the browser's address, if a proxy adds one (LEGWORK_PUBLIC_PATH)")
    .option("--json", 'Print {"httpUrl", "graphqlUrl", "readyFile", "pid"} when everything is ready')
    .addHelpText(
      "after",
      `
Examples:
  $ legwork up                                        Use an embedded Postgres in .legwork
  $ DATABASE_URL=postgres://… legwork up --port 0     Use your own database

When everything is ready, <data dir>/ready.json has the addresses: {"databaseUrl", "httpUrl", "graphqlUrl", "token", "pid"}.`,
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

interface Ready {
  databaseUrl: string;
  httpUrl: string;
  graphqlUrl: string;
  token: string;
  pid: number;
}

/** The started components, which are stopped in reverse order. */
class Parts {
  readonly #stops: (() => Promise<unknown>)[] = [];
  readonly #urgent: (() => Promise<unknown>)[] = [];

  /** Adds a component. An urgent one is stopped even when a second signal ends the process immediately. */
  add(stop: () => Promise<unknown>, options: { urgent?: boolean } = {}): void {
    this.#stops.unshift(stop);
    if (options.urgent === true) this.#urgent.unshift(stop);
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops.splice(0)) await stop();
  }

  async stopNow(): Promise<void> {
    for (const stop of this.#urgent) await stop();
  }
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
  // The server goes on.
  void worker.drained.then(stopWorker);
  signal.throwIfAborted();
  const { dataDir, tasks, crontab } = config;
  const stop = await onStart?.({ databaseUrl, isEmbedded: config.databaseUrl === undefined, dataDir, tasks, crontab });
  if (stop !== undefined) parts.add(stop);

  const ready: Ready = { databaseUrl, httpUrl: server.url, graphqlUrl: server.graphqlUrl, token, pid: process.pid };
  const path = join(config.dataDir, "ready.json");
  parts.add(async () => removeReady(config.dataDir), { urgent: true });
  if (config.databaseUrl === undefined) writePrivate(join(config.dataDir, "pg_service.conf"), serviceFile(databaseUrl));
  writePrivate(path, `${JSON.stringify(ready, null, 2)}\n`);
  return { ready, worker };
}

async function openDatabase(config: Config, log: Logger, parts: Parts): Promise<string> {
  if (config.databaseUrl === undefined) {
    const postgres = await startEmbeddedPostgres({ dataDir: config.dataDir, log });
    let stopping = false;
    parts.add(
      () => {
        stopping = true;
        return postgres.stop();
      },
      { urgent: true },
    );
    void postgres.ended.then(() => {
      if (stopping) return;
      removeReady(config.dataDir);
      log.fatal(
        { event: "postgres_ended" },
        `Postgres has stopped unexpectedly. See ${join(config.dataDir, "postgres.log")}. No jobs are lost: start Legwork again.`,
      );
      process.exit(1);
    });
    removeReady(config.dataDir);
    return postgres.databaseUrl;
  }
  const unlock = lockDataDir(openDataDir(config.dataDir));
  parts.add(async () => unlock(), { urgent: true });
  removeReady(config.dataDir);
  return config.databaseUrl;
}

/** Makes further calls return the promise of the first one. */
function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}

/** Removes the files that a killed process left behind, whose addresses no longer work. */
function removeReady(dataDir: string): void {
  rmSync(join(dataDir, "ready.json"), { force: true });
  rmSync(join(dataDir, "pg_service.conf"), { force: true });
}

/** A service file for psql and other libpq programs. A password among their parameters would be visible to every user of the machine. */
function serviceFile(databaseUrl: string): string {
  const { hostname, port, username, password, pathname } = new URL(databaseUrl);
  const entries = { host: hostname, port, user: username, password: decodeURIComponent(password), dbname: pathname.slice(1) };
  return `[legwork]\n${Object.entries(entries)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("")}`;
}

/** Reads the API's token from the data directory, or creates it, in a file that only its owner can read. */
export function readToken(dataDir: string): string {
  const path = join(dataDir, "token");
  mkdirSync(dataDir, { recursive: true });
  if (!existsSync(path)) writePrivate(path, `lw_${randomBytes(24).toString("base64url")}\n`);
  return readFileSync(path, "utf8").trim();
}

/** Writes a file, readable by its owner only, in one step: other processes wait for it to appear and must not see part of it. */
function writePrivate(path: string, content: string): void {
  writeFileSync(`${path}.new`, content, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** What `--json` prints. The token and the database's password are only in the file, which only its owner can read. */
function withoutSecrets({ httpUrl, graphqlUrl, pid }: Ready, { dataDir }: Config): object {
  return { httpUrl, graphqlUrl, readyFile: resolve(dataDir, "ready.json"), pid };
}

/** Prints the addresses. Only a terminal is shown the address that signs the user in, so that no token is kept in a log. */
function announce(ready: Ready, config: Config, tasks: readonly string[]): void {
  const database = new URL(ready.databaseUrl);
  const where = config.databaseUrl === undefined ? `Postgres 18 in ${config.dataDir}` : `${database.host}${database.pathname}`;
  // A task that needs no payload, if available.
  const request = tasks.includes("health/probe") ? "health/probe" : `${tasks[0] ?? "<task>"} '{…}'`;
  console.log(`${color("bold", "Legwork is running.")}
  database   ${where}
  dashboard  ${process.stdout.isTTY ? dashboardUrl(ready) : `${ready.httpUrl}  (for an address that signs you in: \`npx legwork dashboard\`)`}
  GraphQL    ${ready.graphqlUrl}
  token      in ${join(config.dataDir, "ready.json")}, with the database's address

In another terminal:
  npx legwork add ${request}
  npx legwork jobs
  npx legwork doctor${config.databaseUrl === undefined ? `\n  PGSERVICEFILE=${resolve(config.dataDir, "pg_service.conf")} psql service=legwork` : ""}

Press Ctrl-C to stop. Running jobs are allowed to finish first.`);
}
