import { existsSync, readFileSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { type Config, type ConfigInput, type LoadedConfig, loadConfig } from "../config.ts";
import { findViews } from "../db/confinement.ts";
import { assertUsable } from "../db/migrate.ts";
import { createPool, assertDatabase, type Pool } from "../db/pool.ts";
import { LegworkError } from "../errors.ts";
import { readMiddleware } from "../jobs/middleware.ts";
import { createLogger, LOG_LEVELS } from "../log.ts";
import { loadWorkerConfig, type WorkerConfig } from "../worker/graphile/preset.ts";
import { collect, duration, queueSlots, wholeNumber } from "./option-values.ts";
import type { Operations } from "./operations/operations.ts";
import { keepDigits } from "../db/exact-json.ts";
import { visibleRows } from "./visible.ts";

/** Adds the option for the directory in which `legwork up` keeps its state. */
export function withDataDir(command: Command): Command {
  return command.option("--data-dir <directory>", "State directory of `legwork up` (LEGWORK_DATA_DIR, default: .legwork)");
}

/** Adds the options that every command has. */
export function withCommonOptions(command: Command): Command {
  return withDataDir(
    command.option(
      "--database-url <url>",
      "Database (default: that of a running `legwork up`). DATABASE_URL sets it without showing it in process lists",
    ),
  ).addOption(
    new Option("--log-level <level>", "Least severe level to log (LEGWORK_LOG_LEVEL, default: info)").choices(LOG_LEVELS),
  );
}

/** Adds the options of the commands that can use a server instead of the database. */
export function withRemoteOptions(command: Command): Command {
  return withCommonOptions(command).option(
    "--url <url>",
    "Server to use instead of the database, with the token in LEGWORK_TOKEN (LEGWORK_URL)",
  );
}

/** Adds the options of the commands that run jobs. */
export function withWorkerOptions(command: Command): Command {
  return withCommonOptions(command)
    .option("--tasks <directory>", "Directory of task files, instead of the configured ones (repeatable)", collect)
    .option("--crontab <file>", "graphile-worker crontab, instead of the configured one")
    .option("-C, --config <file>", "graphile-worker preset, instead of graphile.config.* in the working directory")
    .option(
      "--only <name>",
      "Task, pattern such as notify/*, or queue:name to run, and no others (repeatable, LEGWORK_ONLY)",
      collect,
    )
    .option("--except <name>", "Task, pattern or queue:name not to run (repeatable, LEGWORK_EXCEPT)", collect)
    .option("--slots <queue=number>", "Jobs of a queue to run at a time (repeatable, LEGWORK_SLOTS)", queueSlots)
    .option("--concurrency <number>", "Jobs to run at a time (LEGWORK_CONCURRENCY, default: 10)", wholeNumber(1, 10_000))
    .option(
      "--shutdown-timeout <duration>",
      "Time that running jobs have to finish on shutdown (LEGWORK_SHUTDOWN_TIMEOUT, default: 25s)",
      duration(),
    )
    .option(
      "--max-blocked <duration>",
      "Time that a task may block the event loop before the process is killed; 0 for no limit (LEGWORK_MAX_BLOCKED, default: 5m)",
      duration(),
    );
}

/** How long a task may block the event loop of a dedicated worker process, unless set (ms). */
const MAX_BLOCKED_MS = 5 * 60_000;

/** The settings of a worker that does not share its process with an application. Throws LW514 for invalid middleware. */
export function workerSettings({ config, preset, middleware, file }: WorkerSettings) {
  const { maxBlocked = MAX_BLOCKED_MS } = config;
  const read = readMiddleware(middleware, "legwork.config.ts: middleware");
  // A project in another language has no task files.
  const hasOwnTasks = Object.keys(config.endpoints).length === 0 || config.tasks.join() !== "tasks" || existsSync("tasks");
  const tasks = hasOwnTasks ? config.tasks : [];
  return { ...config, tasks, maxBlocked, preset, middleware: read, middlewareFile: file };
}

/** Throws LW514 if the file of `--crontab` does not exist. A crontab that is only configured may be missing. */
export function assertCrontab(flags: WorkerFlags): void {
  if (flags.crontab === undefined || existsSync(flags.crontab)) return;
  throw new LegworkError("LW514", `--crontab: ${flags.crontab} does not exist.`, {
    hint: "Correct the path, or omit the option: no crontab is needed.",
  });
}

export type CommonFlags = Pick<Partial<ConfigInput>, "databaseUrl" | "dataDir" | "logLevel">;
export type RemoteFlags = CommonFlags & { url?: string };
export type WorkerFlags = CommonFlags &
  Pick<
    Partial<ConfigInput>,
    "tasks" | "only" | "except" | "slots" | "crontab" | "concurrency" | "shutdownTimeout" | "maxBlocked"
  > & { config?: string };

export interface WorkerSettings extends LoadedConfig {
  readonly preset: WorkerConfig | undefined;
}

/** The configuration of a command that runs jobs, including graphile-worker's preset if there is one. */
export async function loadWorkerSettings({ config: file, ...flags }: WorkerFlags): Promise<WorkerSettings> {
  const preset = await loadWorkerConfig(file);
  return { ...(await loadConfig(flags, process.env, process.cwd(), preset?.settings)), preset };
}

/**
 * The URL of the command's database: the configured URL, or that of a `legwork up` that is running in the data directory. Throws LW503 if there is
 * neither.
 */
export function findDatabase(config: Config): string {
  if (config.databaseUrl !== undefined) return config.databaseUrl;
  const ready = join(config.dataDir, "ready.json");
  if (existsSync(ready)) return JSON.parse(readFileSync(ready, "utf8")).databaseUrl;
  throw new LegworkError("LW503", `DATABASE_URL is not set, and no \`legwork up\` is running in ${config.dataDir}.`, {
    hint: "Set DATABASE_URL, or start `legwork dev` or `legwork up` first.",
  });
}

/** The actor for the audit log: the operating system's user and host. */
function whoami(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    return hostname();
  }
}

/** Runs `work` with a pool of `max` connections for the command's database, which must have been migrated. */
export async function withDatabase(config: Config, work: (pool: Pool) => Promise<void>, max = 2): Promise<void> {
  const pool = createPool(findDatabase(config), {
    log: createLogger({ level: config.logLevel }),
    max,
    name: "legwork cli",
    // Recorded in the audit log.
    settings: { "legwork.surface": "cli", "legwork.actor": whoami() },
  });
  try {
    await assertDatabase(pool);
    await assertUsable(pool);
    await findViews(pool);
    await work(keepDigits(pool));
  } finally {
    await pool.end();
  }
}

/** The command's own flags, without those that select the database or server. */
export function ownFlags<Flags extends RemoteFlags>(flags: Flags): Omit<Flags, keyof RemoteFlags> {
  const { databaseUrl: _databaseUrl, dataDir: _dataDir, logLevel: _logLevel, url: _url, ...own } = flags;
  return own;
}

/** The server that a command uses instead of the database; undefined without one. */
export function serverUrl({ url, databaseUrl }: RemoteFlags): string | undefined {
  const given = url ?? (databaseUrl === undefined ? process.env.LEGWORK_URL : undefined);
  return given === "" ? undefined : given;
}

/**
 * Runs `work` with the command's operations: through a server when `--url` or LEGWORK_URL names one and `--database-url` is not given, otherwise
 * on the database. Throws LW514 for an invalid server URL.
 */
export async function withOperations(
  flags: RemoteFlags & { json?: boolean },
  work: (operations: Operations) => Promise<void>,
): Promise<void> {
  const { numericOperations } = await import("./operations/numbers.ts");
  const shown = flags.json === true ? numericOperations : visibleOperations;
  const url = serverUrl(flags);
  if (url !== undefined) {
    const { remoteOperations } = await import("./operations/remote.ts");
    const parsed = /^https?:\/\/./.test(url) ? URL.parse(url) : null;
    if (parsed === null || parsed.username !== "" || parsed.password !== "" || parsed.search !== "" || parsed.hash !== "") {
      // The URL is not shown, because it may contain a secret.
      throw new LegworkError("LW514", `${flags.url === undefined ? "LEGWORK_URL" : "--url"} is not the URL of a server.`, {
        hint: "Use a URL such as http://127.0.0.1:4400, without a user, password or parameters. Set the token in LEGWORK_TOKEN.",
      });
    }
    await work(shown(remoteOperations(url, process.env.LEGWORK_TOKEN)));
    return;
  }
  const { config } = await loadConfig({ databaseUrl: flags.databaseUrl, dataDir: flags.dataDir, logLevel: flags.logLevel });
  const { localOperations } = await import("./operations/local.ts");
  await withDatabase(config, (pool) => work(shown(localOperations(pool))));
}

/** The same operations for commands that print text: control characters in their results are escaped. */
function visibleOperations(operations: Operations): Operations {
  const shown = Object.entries(operations).map(([name, operation]) => [
    name,
    async (...given: unknown[]) => visibleRows(await (operation as (...given: unknown[]) => Promise<unknown>)(...given)),
  ]);
  return Object.fromEntries(shown);
}
