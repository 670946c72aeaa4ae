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
import { color } from "../output.ts";
import { untilStopped } from "../process-signals.ts";
import { dashboardUrl } from "./dashboard.ts";

export function upCommand(): Command {
  return withWorkerOptions(new Command("up"))
    .description("start everything: Postgres if none is given, migrations, a worker and the server")
    .option("--port <number>", "the server's port, 0 for a free one (LEGWORK_PORT, 4400)")
    .option("--host <address>", "the server's address (LEGWORK_HOST, 127.0.0.1)")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork up                                        with an embedded Postgres in .legwork
  $ DATABASE_URL=postgres://… legwork up --port 0     on a database of yours

When everything answers, <data dir>/ready.json says where: {"databaseUrl", "httpUrl", "graphqlUrl", "token", "pid"}.`,
    )
    .action(async (flags: WorkerFlags & { port?: string; host?: string }) => {
      const { config, onStart, preset } = await loadWorkerSettings(flags);
      assertCrontab(flags);
      const embedded = config.databaseUrl === undefined ? EMBEDDED_PACKAGES : [];
      assertInstalled("`legwork up`", SERVER_PACKAGES, [...GRAPHQL_PACKAGES, ...embedded]);
      const log = createLogger({ level: config.logLevel });
      const parts = new Parts();
      try {
        const { ready, tasks } = await start({ config, onStart, preset }, log, parts);
        announce(ready, config, tasks);
      } catch (error) {
        await parts.stop();
        throw error;
      }
      await untilStopped(
        log,
        async () => {
          await parts.stop();
          log.info("Legwork has stopped.");
        },
        () => parts.stopNow(),
      );
    });
}

interface Ready {
  databaseUrl: string;
  httpUrl: string;
  graphqlUrl: string;
  token: string;
  pid: number;
}

/** What has been started, to be stopped in the opposite order. */
class Parts {
  readonly #stops: (() => Promise<unknown>)[] = [];
  readonly #urgent: (() => Promise<unknown>)[] = [];

  /** An urgent part is also stopped when nothing is waited for any more. */
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
  /** The names of the tasks that the worker runs. */
  tasks: readonly string[];
}

async function start({ config, onStart, preset }: WorkerSettings, log: Logger, parts: Parts): Promise<Started> {
  const databaseUrl = await openDatabase(config, log, parts);
  const pool = createPool(databaseUrl, { log, max: 3, name: "legwork migrate" });
  await onceUsable(log, () => migrate(pool, log)).finally(() => pool.end());

  const token = readToken(config.dataDir);
  // Loaded here and not above: the other commands do without them, their memory and the time they take.
  const { startServer } = await import("../../server/server.ts");
  const { startWorker } = await import("../../worker/worker.ts");
  const problems = new Problems();
  const server = await startServer({ ...config, databaseUrl, token, log, problems, auth: config });
  parts.add(() => server.stop());
  const worker = await startWorker({ ...workerSettings(config), databaseUrl, log, problems, preset });
  parts.add(() => worker.stop());
  const { dataDir, tasks, crontab } = config;
  const stop = await onStart?.({ databaseUrl, isEmbedded: config.databaseUrl === undefined, dataDir, tasks, crontab });
  if (stop !== undefined) parts.add(stop);

  const ready: Ready = { databaseUrl, httpUrl: server.url, graphqlUrl: server.graphqlUrl, token, pid: process.pid };
  const path = join(config.dataDir, "ready.json");
  parts.add(async () => removeReady(config.dataDir), { urgent: true });
  if (config.databaseUrl === undefined) writePrivate(join(config.dataDir, "pg_service.conf"), serviceFile(databaseUrl));
  writePrivate(path, `${JSON.stringify(ready, null, 2)}\n`);
  return { ready, tasks: worker.tasks };
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
      log.fatal(`Postgres has ended by itself; ${join(config.dataDir, "postgres.log")} says why. Start again: nothing is lost.`);
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

/** A ready.json that a killed process left behind would send people to an address where nobody is. */
function removeReady(dataDir: string): void {
  rmSync(join(dataDir, "ready.json"), { force: true });
  rmSync(join(dataDir, "pg_service.conf"), { force: true });
}

/** For psql and other programs on libpq, which would show a password among their parameters to everyone on this machine. */
function serviceFile(databaseUrl: string): string {
  const { hostname, port, username, password, pathname } = new URL(databaseUrl);
  const entries = { host: hostname, port, user: username, password: decodeURIComponent(password), dbname: pathname.slice(1) };
  return `[legwork]\n${Object.entries(entries)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("")}`;
}

/** The token of the API: made once, kept in the data directory, readable by its owner alone. */
export function readToken(dataDir: string): string {
  const path = join(dataDir, "token");
  mkdirSync(dataDir, { recursive: true });
  if (!existsSync(path)) writePrivate(path, `lw_${randomBytes(24).toString("base64url")}\n`);
  return readFileSync(path, "utf8").trim();
}

/** Whole or not at all: readers wait for the file to appear. */
function writePrivate(path: string, content: string): void {
  writeFileSync(`${path}.new`, content, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** On a terminal with the address that signs in; what is kept as a log has no token. */
function announce(ready: Ready, config: Config, tasks: readonly string[]): void {
  const database = new URL(ready.databaseUrl);
  const where = config.databaseUrl === undefined ? `Postgres 18 in ${config.dataDir}` : `${database.host}${database.pathname}`;
  // One that needs no payload, where there is one.
  const request = tasks.includes("health/probe") ? "health/probe" : `${tasks[0]} '{…}'`;
  console.log(`${color("bold", "Legwork is running.")}
  database   ${where}
  dashboard  ${process.stdout.isTTY ? dashboardUrl(ready) : `${ready.httpUrl}  (\`npx legwork dashboard\` prints an address that signs you in)`}
  GraphQL    ${ready.graphqlUrl}
  token      in ${join(config.dataDir, "ready.json")}, with the address of the database

In another terminal:
  npx legwork add ${request}
  npx legwork jobs
  npx legwork doctor${config.databaseUrl === undefined ? `\n  PGSERVICEFILE=${resolve(config.dataDir, "pg_service.conf")} psql service=legwork` : ""}

Ctrl-C stops it; running jobs may finish.`);
}
