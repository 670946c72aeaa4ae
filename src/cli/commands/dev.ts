import { Command } from "commander";
import type { Config } from "../../config.ts";
import { migrate } from "../../db/migrate.ts";
import { createPool, onceUsable } from "../../db/pool.ts";
import type { Logger } from "../../log.ts";
import {
  assertInstalled,
  EMBEDDED_PACKAGES,
  GRAPHQL_PACKAGES,
  installMissing,
  SERVER_PACKAGES,
} from "../../optional-packages.ts";
import { durationInWords } from "../../wording.ts";
import { devLog } from "../dev/dev-log.ts";
import { loadEnvFiles } from "../dev/env-files.ts";
import { Reloader } from "../dev/reloader.ts";
import { openDatabase, Parts, readToken, writeReady } from "../local-system.ts";
import { assertCrontab, loadWorkerSettings, type WorkerFlags, type WorkerSettings, withWorkerOptions } from "../options.ts";
import { wholeNumber } from "../option-values.ts";
import { color } from "../output.ts";
import { untilStopped } from "../process-signals.ts";
import { dashboardUrl } from "./dashboard.ts";

export function devCommand(): Command {
  return withWorkerOptions(new Command("dev"))
    .description("Run a worker that reloads changed tasks, and the dashboard, while you develop")
    .option("--port <number>", "Port of the server, 0 for a free one (LEGWORK_PORT, default: 4400)", wholeNumber(0, 65_535))
    .option("--host <address>", "Address of the server (LEGWORK_HOST, default: 127.0.0.1)")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork dev                       Use the database in .env, or an embedded Postgres in .legwork
  $ legwork dev --tasks src/tasks

Save a task, or a module that it imports, and the next job runs the new code. Jobs that are already running finish with the
old code. If the new code cannot be loaded, the error is shown and the old code keeps running. Variables in .env.local and .env are set
unless they are set already. In production, use \`legwork worker\` and \`legwork server\`.`,
    )
    .action(async (flags: WorkerFlags & { port?: number; host?: string }) => {
      // Copied before the .env files are loaded, because workers read those files again with each reload.
      const environment = { ...process.env };
      const envFiles = loadEnvFiles(process.cwd());
      const settings = await loadWorkerSettings(flags);
      assertCrontab(flags);
      const { config } = settings;
      if (config.databaseUrl === undefined) {
        assertInstalled("`legwork dev` without a DATABASE_URL", EMBEDDED_PACKAGES, [...SERVER_PACKAGES, ...GRAPHQL_PACKAGES]);
      }
      const log = devLog(config.logLevel);
      const parts = new Parts();
      await untilStopped(log, {
        start: async (signal) => {
          try {
            await start({ settings, flags, environment, envFiles }, log, parts, signal);
            return {
              stop: async () => {
                // Lost connections are expected from now on, because everything is being stopped.
                log.level = "error";
                await parts.stop();
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

interface Start {
  readonly settings: WorkerSettings;
  readonly flags: WorkerFlags;
  readonly environment: NodeJS.ProcessEnv;
  readonly envFiles: readonly string[];
}

async function start(
  { settings, flags, environment, envFiles }: Start,
  log: Logger,
  parts: Parts,
  signal: AbortSignal,
): Promise<void> {
  const { config, onStart } = settings;
  const isEmbedded = config.databaseUrl === undefined;
  const databaseUrl = await openDatabase(config, log, parts);
  signal.throwIfAborted();
  const pool = createPool(databaseUrl, { log, max: 3, name: "legwork migrate" });
  await onceUsable(log, () => migrate(pool, log), signal).finally(() => pool.end());

  const token = readToken(config.dataDir);
  const install = installMissing([...SERVER_PACKAGES, ...GRAPHQL_PACKAGES]);
  const server = install === undefined ? await serve({ ...config, databaseUrl }, token, log, parts) : undefined;
  writeReady({ databaseUrl, httpUrl: server?.url, graphqlUrl: server?.graphqlUrl, token, pid: process.pid }, config, parts);
  announce({
    where: isEmbedded ? `Postgres 18 in ${config.dataDir}` : addressOf(databaseUrl),
    origin:
      !isEmbedded && environment["DATABASE_URL"] === undefined && process.env["DATABASE_URL"] !== undefined
        ? envFiles.join(", ")
        : "",
    dashboard: server === undefined ? `needs packages: ${install}` : signInUrl(server.url, token),
  });
  const { host: _host, port: _port, ...workerFlags } = flags as WorkerFlags & { host?: string; port?: number };
  const reloader = new Reloader({
    flags: { ...workerFlags, databaseUrl },
    environment,
    onLoaded: ({ tasks, changed, milliseconds }) => {
      const what =
        changed === undefined ? "Ready" : `${changed} has changed. Reloaded in ${durationInWords(Math.round(milliseconds))}`;
      console.log(`${color("green", "↻")} ${what}: ${tasks.join(", ")}`);
    },
    onFailed: (lines, hasOlderCode) => {
      const [first = "", ...rest] = lines;
      const then = hasOlderCode
        ? "The old code keeps running. Save a file to try again."
        : "No worker is running yet. Save a file to try again.";
      console.log([`${color("red", "✗")} ${color("bold", first)}`, ...rest.map((line) => `  ${line}`), `  ${then}`].join("\n"));
    },
    onProblem: (message) => console.log(`${color("yellow", "!")} ${message}`),
  });
  parts.add(() => reloader.stop());
  await reloader.start();
  signal.throwIfAborted();
  const { dataDir, tasks, crontab } = config;
  const stop = await onStart?.({ databaseUrl, isEmbedded, dataDir, tasks, crontab });
  if (stop !== undefined) parts.add(stop);
}

async function serve(config: Config & { databaseUrl: string }, token: string, log: Logger, parts: Parts) {
  const { startServer } = await import("../../server/server.ts");
  const server = await startServer({ ...config, token, log, auth: config });
  parts.add(() => server.stop());
  return server;
}

/** Host and database, without the user and the password. */
function addressOf(databaseUrl: string): string {
  const { host, pathname } = new URL(databaseUrl);
  return `${host}${pathname}`;
}

/** The sign-in URL contains a token, so it is shown only on a terminal and never ends up in a log. */
function signInUrl(httpUrl: string, token: string): string {
  return process.stdout.isTTY
    ? dashboardUrl({ httpUrl, token })
    : `${httpUrl}  (to get a URL that signs you in: \`npx legwork dashboard\`)`;
}

function announce({ where, origin, dashboard }: { where: string; origin: string; dashboard: string }): void {
  console.log(`${color("bold", "Legwork is running for development.")}
  database   ${where}${origin === "" ? "" : `, from ${origin}`}
  dashboard  ${dashboard}

Save a task to reload it. Press Ctrl-C to stop.
`);
}
