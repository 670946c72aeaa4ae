import { existsSync, readFileSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import { join } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Config, type ConfigInput, type LoadedConfig, loadConfig } from "../config.ts";
import { findViews } from "../db/confinement.ts";
import { assertUsable } from "../db/migrate.ts";
import { createPool, assertDatabase, type Pool } from "../db/pool.ts";
import { isTime } from "../duration.ts";
import { LegworkError } from "../errors.ts";
import { createLogger, LOG_LEVELS } from "../log.ts";
import { loadWorkerConfig, type WorkerConfig } from "../worker/graphile/preset.ts";
import { localOperations } from "./operations/local.ts";
import type { Operations } from "./operations/operations.ts";
import { keepDigits } from "../db/exact-json.ts";
import { visibleRows } from "./visible.ts";

/** Where a command finds what `legwork up` has left. */
export function withDataDir(command: Command): Command {
  return command.option("--data-dir <directory>", "where `legwork up` keeps its state (LEGWORK_DATA_DIR, .legwork)");
}

/** Options that every command has. */
export function withCommonOptions(command: Command): Command {
  return withDataDir(
    command.option(
      "--database-url <url>",
      "the database (DATABASE_URL, which unlike a flag is in no list of processes); without one, the database that `legwork up` runs",
    ),
  ).addOption(new Option("--log-level <level>", "(LEGWORK_LOG_LEVEL, info)").choices(LOG_LEVELS));
}

/** Options of the commands that a server can answer as well as the database. */
export function withRemoteOptions(command: Command): Command {
  return withCommonOptions(command).option(
    "--url <url>",
    "ask this server in place of the database (LEGWORK_URL), with the token LEGWORK_TOKEN",
  );
}

/** Options of the commands that run jobs. */
export function withWorkerOptions(command: Command): Command {
  return withCommonOptions(command)
    .option("--tasks <directory>", "a directory of task files, in place of the configured ones; may be given again", collect)
    .option("--crontab <file>", "graphile-worker's crontab, in place of the configured one")
    .option("-C, --config <file>", "a preset of graphile-worker, in place of the graphile.config.* of the working directory")
    .option("--concurrency <number>", "jobs run at a time (LEGWORK_CONCURRENCY, 10)")
    .option("--shutdown-timeout <duration>", "how long stopping waits for running jobs (LEGWORK_SHUTDOWN_TIMEOUT, 25s)")
    .option(
      "--max-blocked <duration>",
      "how long a task may hold up the event loop before the process is killed, 0 for any time (LEGWORK_MAX_BLOCKED, 5m)",
    );
}

/** How long a task may hold up the event loop of a process that is Legwork's own, when nothing else is set (ms). */
const MAX_BLOCKED_MS = 5 * 60_000;

/** The settings of a worker that has its process to itself. */
export function workerSettings(config: Config): Config & { localQueueSize: number; maxBlocked: number } {
  const { localQueueSize = config.concurrency, maxBlocked = MAX_BLOCKED_MS } = config;
  return { ...config, localQueueSize, maxBlocked };
}

/** For an option that may be given again. */
export function collect(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

export function positiveInteger(value: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 1) throw new InvalidArgumentError("It must be a whole number above 0.");
  return number;
}

export function time(value: string): Date {
  const parsed = new Date(value);
  if (!isTime(parsed))
    throw new InvalidArgumentError("It must be a time between 1970-01-01 and 9999-12-31, such as 2026-12-24T18:00:00Z.");
  return parsed;
}

export function integer(value: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new InvalidArgumentError("It must be a whole number.");
  return number;
}

/** A crontab that was asked for must be there; the configured one may be missing. Throws LW514. */
export function assertCrontab(flags: WorkerFlags): void {
  if (flags.crontab === undefined || existsSync(flags.crontab)) return;
  throw new LegworkError("LW514", `--crontab: ${flags.crontab} does not exist.`, {
    hint: "Without the flag, no crontab is needed.",
  });
}

export type CommonFlags = Pick<Partial<ConfigInput>, "databaseUrl" | "dataDir" | "logLevel">;
export type RemoteFlags = CommonFlags & { url?: string };
export type WorkerFlags = CommonFlags &
  Pick<Partial<ConfigInput>, "tasks" | "crontab" | "concurrency" | "shutdownTimeout" | "maxBlocked"> & { config?: string };

export interface WorkerSettings extends LoadedConfig {
  readonly preset: WorkerConfig | undefined;
}

/** The configuration of a command that runs jobs: the preset of graphile-worker included, where there is one. */
export async function loadWorkerSettings({ config: file, ...flags }: WorkerFlags): Promise<WorkerSettings> {
  const preset = await loadWorkerConfig(file);
  return { ...(await loadConfig(flags, process.env, process.cwd(), preset?.settings)), preset };
}

/**
 * The database a command talks to: the configured one, else the one that `legwork up` runs in the data directory. Throws
 * LW503 when there is neither.
 */
export function findDatabase(config: Config): string {
  if (config.databaseUrl !== undefined) return config.databaseUrl;
  const ready = join(config.dataDir, "ready.json");
  if (existsSync(ready)) return JSON.parse(readFileSync(ready, "utf8")).databaseUrl;
  throw new LegworkError("LW503", `DATABASE_URL is not set and nothing runs in ${config.dataDir}.`, {
    hint: "Set DATABASE_URL, or start `legwork up` (npm start) first.",
  });
}

/** Who sits at this machine, as far as it knows. */
function whoami(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    return hostname();
  }
}

/** Runs `work` on a pool to the command's database, which must have been migrated. */
export async function withDatabase(config: Config, work: (pool: Pool) => Promise<void>): Promise<void> {
  const pool = createPool(findDatabase(config), {
    log: createLogger({ level: config.logLevel }),
    max: 2,
    name: "legwork cli",
    // For the audit log.
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

/** What a command was told beside where to do it. */
export function ownFlags<Flags extends RemoteFlags>(flags: Flags): Omit<Flags, keyof RemoteFlags> {
  const { databaseUrl: _databaseUrl, dataDir: _dataDir, logLevel: _logLevel, url: _url, ...own } = flags;
  return own;
}

/**
 * Runs `work` with the operations of the command: asked of a server when `--url` or LEGWORK_URL names one and no `--database-url` is
 * given, else done on the database. Throws LW514 for an address that is none.
 */
export async function withOperations(
  flags: RemoteFlags & { json?: boolean },
  work: (operations: Operations) => Promise<void>,
): Promise<void> {
  const shown = (operations: Operations): Operations => (flags.json === true ? operations : visibleOperations(operations));
  const url = flags.url ?? (flags.databaseUrl === undefined ? process.env.LEGWORK_URL : undefined);
  if (url !== undefined && url !== "") {
    const { remoteOperations } = await import("./operations/remote.ts");
    const parsed = /^https?:\/\/./.test(url) ? URL.parse(url) : null;
    if (parsed === null || parsed.username !== "" || parsed.password !== "" || parsed.search !== "" || parsed.hash !== "") {
      // Not shown: it may hold a secret.
      throw new LegworkError("LW514", `${flags.url === undefined ? "LEGWORK_URL" : "--url"} is not the address of a server.`, {
        hint: "Give it as http://127.0.0.1:4400, without a user, a password or parameters; the token goes into LEGWORK_TOKEN.",
      });
    }
    await work(shown(remoteOperations(url, process.env.LEGWORK_TOKEN)));
    return;
  }
  const { config } = await loadConfig({ databaseUrl: flags.databaseUrl, dataDir: flags.dataDir, logLevel: flags.logLevel });
  await withDatabase(config, (pool) => work(shown(localOperations(pool))));
}

/** The same operations, with control characters in what they resolve to made visible: for commands that print for people. */
function visibleOperations(operations: Operations): Operations {
  const shown = Object.entries(operations).map(([name, operation]) => [
    name,
    async (...given: unknown[]) => visibleRows(await (operation as (...given: unknown[]) => Promise<unknown>)(...given)),
  ]);
  return Object.fromEntries(shown);
}
