import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, fchownSync, openSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Client, escapeIdentifier } from "pg";
import { LegworkError, toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { openCluster, type Cluster } from "./cluster.ts";
import { lockDataDir, openDataDir, rememberPort, rememberedPort } from "./data-dir.ts";
import { findInstall } from "./install.ts";
import { endProcess, hasCode, isolated, readIfThere, stopOrphan } from "./process.ts";

/** A running embedded Postgres, for users who have no Postgres of their own. */
export interface EmbeddedPostgres {
  readonly databaseUrl: string;
  readonly port: number;
  /** Resolves when Postgres has ended, through `stop()` or unexpectedly. Never rejects. */
  readonly ended: Promise<void>;
  /**
   * Stops Postgres: running transactions are rolled back, committed data is kept. After 10 s it is stopped immediately
   * and the next start recovers. Unlocks the data directory. May be called again.
   */
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  /** The directory of the cluster, the password and the log; created if missing. */
  readonly dataDir: string;
  readonly log: Logger;
  /** The database to create if missing and to connect to; "legwork" by default. */
  readonly database?: string;
  /** The port for a new data directory; later starts use the last one. 54320 by default. */
  readonly preferredPort?: number;
  /** Further Postgres settings, which take precedence over Legwork's. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** How long Postgres may be silent while it starts (ms). Recovery after a crash may take longer, but logs its progress. */
const START_SILENCE_MS = 60_000;
/** How long a start is retried while its port is taken or a killed server is still shutting down (ms). */
const START_RETRY_MS = 15_000;
/** A log larger than this is renamed to postgres.log.old at the next start (bytes). */
const LOG_LIMIT = 10 * 1024 * 1024;

const SETTINGS = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "100",
  shared_buffers: "128MB",
  // Job tables change constantly: vacuum them earlier than by default, which is once a minute and when a fifth of the rows have changed.
  autovacuum_naptime: "10s",
  autovacuum_vacuum_scale_factor: "0.05",
  // The default assumes spinning disks.
  random_page_cost: "1.1",
} as const;

/**
 * Starts an embedded Postgres in a data directory and waits until it accepts connections. It listens only on 127.0.0.1, with a
 * password. If `stop()` is not called, it outlives this process; the next start stops it and continues with its data.
 * Throws LW503 (not installed, does not start), LW409 (another process uses the data directory) or LW512 (the directory is
 * not a Legwork data directory or cannot be used).
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { log, database = "legwork", preferredPort = 54_320 } = options;
  const install = await findInstall();
  const dataDir = openDataDir(options.dataDir);
  const unlock = lockDataDir(dataDir);
  try {
    const cluster = await openCluster(dataDir, install, log);
    const server = await startServer(cluster, dataDir, rememberedPort(dataDir) ?? preferredPort, options);
    const databaseUrl = urlOf(cluster, server.port, database);
    try {
      await ensureDatabase(cluster, server.port, database);
      rememberPort(dataDir, server.port);
    } catch (error) {
      await endProcess(server.pid, log);
      throw error;
    }
    log.info(
      { event: "postgres_ready", port: server.port, postgresPid: server.pid, version: install.version },
      "Postgres is ready.",
    );
    let stopping: Promise<void> | undefined;
    const watch = async (): Promise<void> => {
      const how = await server.exited;
      if (stopping !== undefined) return;
      log.error(
        { event: "postgres_ended", how, lastLine: lastLine(server.logPath, server.logStart) },
        "Postgres has stopped unexpectedly.",
      );
    };
    const ended = watch();
    const stop = async (): Promise<void> => {
      if (!server.hasExited()) await endProcess(server.pid, log);
      unlock();
    };
    return { databaseUrl, port: server.port, ended, stop: () => (stopping ??= stop()) };
  } catch (error) {
    unlock();
    throw error;
  }
}

interface Server {
  readonly pid: number;
  readonly port: number;
  readonly logPath: string;
  /** The size of the log before this start (bytes). */
  readonly logStart: number;
  readonly exited: Promise<string>;
  hasExited(): boolean;
}

/** Starts Postgres on the port or, if that is taken, on a free one. */
async function startServer(cluster: Cluster, dataDir: string, preferred: number, options: EmbeddedOptions): Promise<Server> {
  const logPath = join(dataDir, "postgres.log");
  if (sizeOf(logPath) > LOG_LIMIT) renameSync(logPath, `${logPath}.old`);
  const deadline = Date.now() + START_RETRY_MS;
  let wanted = preferred;
  for (;;) {
    await stopOrphan(cluster.directory, options.log);
    const port = await freePort(wanted);
    const logStart = sizeOf(logPath);
    const { child, exited } = spawnServer(cluster, logPath, port, options.settings ?? {});
    const hasExited = (): boolean => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
    if (await isUp(cluster, child, logPath, hasExited)) {
      return { pid: child.pid as number, port, logPath, logStart, exited, hasExited };
    }
    if (!hasExited()) await endProcess(child.pid as number, options.log);
    const how = await exited;
    const output = readFrom(logPath, logStart);
    const retry = Date.now() < deadline;
    if (retry && /could not (bind|create any TCP\/IP)/.test(output)) {
      // Another process took the port between the check and Postgres's start.
      wanted = 0;
    } else if (retry && /shared memory block .* is still in use|lock file ".*" already exists/.test(output)) {
      // The last processes of a killed server have not ended yet.
      await delay(100);
    } else {
      throw new LegworkError("LW503", `The embedded Postgres does not start (${how}): ${lastLine(logPath, logStart)}`, {
        hint: `See ${logPath}, or set DATABASE_URL to your own Postgres.`,
      });
    }
  }
}

/**
 * Starts Postgres in its own session: Ctrl-C goes to every process of the terminal's group, and Postgres must outlive the workers that are still
 * finishing. It writes to a log that Legwork opens, so it needs no access to the data directory.
 */
function spawnServer(
  cluster: Cluster,
  logPath: string,
  port: number,
  settings: Readonly<Record<string, string>>,
): { child: ChildProcess; exited: Promise<string> } {
  const all = { ...SETTINGS, port: String(port), ...settings };
  const args = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const logFile = openLog(logPath, cluster);
  const child = spawn(join(cluster.install.root, "bin", "postgres"), ["-D", cluster.directory, ...args], {
    ...isolated(cluster.user),
    detached: true,
    stdio: ["ignore", logFile, logFile],
  });
  closeSync(logFile);
  child.unref();
  const exited = new Promise<string>((done) => {
    child.once("error", (error) => done(error.message));
    child.once("exit", (code, signal) => done(signal ?? `exit code ${code}`));
  });
  return { child, exited };
}

/** Waits until Postgres accepts connections; returns false if it has ended or has been silent for too long. */
async function isUp(cluster: Cluster, child: ChildProcess, logPath: string, hasExited: () => boolean): Promise<boolean> {
  const pidFile = join(cluster.directory, "postmaster.pid");
  let logSize = 0;
  for (let silentSince = Date.now(); Date.now() - silentSince < START_SILENCE_MS; await delay(5)) {
    if (hasExited()) return false;
    // The first line of postmaster.pid is the server's pid and the eighth its state; pg_ctl reads them too. So this is our server, and not another
    // server that happens to listen on the same port.
    const lines = (readIfThere(pidFile) ?? "").split("\n");
    if (Number(lines[0]) === child.pid && lines[7]?.trim() === "ready") return true;
    // While it recovers, Postgres logs its progress every 10 s.
    const size = sizeOf(logPath);
    if (size !== logSize) silentSince = Date.now();
    logSize = size;
  }
  return false;
}

/** Connects, which proves that the server works, and creates the database if it is missing. */
async function ensureDatabase(cluster: Cluster, port: number, database: string): Promise<void> {
  const client = new Client({ connectionString: urlOf(cluster, port, "postgres"), connectionTimeoutMillis: 10_000 });
  // If the server ends while connected, the query is rejected as well.
  client.on("error", () => {});
  try {
    await client.connect();
    const { rowCount } = await client.query("select from pg_catalog.pg_database where datname = $1", [database]);
    if (rowCount === 0) await client.query(`create database ${escapeIdentifier(database)}`);
  } catch (error) {
    const { message } = toError(error);
    if (hasCode(error, "28P01")) {
      throw new LegworkError("LW512", `The password in postgres-password does not match the cluster ${cluster.directory}.`, {
        hint: "Restore the file, or set LEGWORK_DATA_DIR to a new directory.",
        cause: error,
      });
    }
    throw new LegworkError("LW503", `The embedded Postgres does not accept connections on port ${port}: ${message}`, {
      cause: error,
    });
  } finally {
    await client.end().catch(() => {});
  }
}

function urlOf(cluster: Cluster, port: number, database: string): string {
  return `postgres://postgres:${cluster.password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
}

/** Returns the port itself if it is free, or else a free one. */
async function freePort(preferred: number): Promise<number> {
  const listen = (port: number): Promise<number | undefined> =>
    new Promise((done) => {
      const server = createServer();
      server.once("error", () => done(undefined));
      server.listen(port, "127.0.0.1", () => {
        const address = server.address();
        server.close(() => done(typeof address === "object" ? address?.port : undefined));
      });
    });
  const port = (await listen(preferred)) ?? (await listen(0));
  if (port === undefined) throw new LegworkError("LW513", "No port is free on 127.0.0.1.");
  return port;
}

function openLog(path: string, cluster: Cluster): number {
  const open = (): number => openSync(path, "a", 0o600);
  let file: number;
  try {
    file = open();
  } catch (error) {
    // Created by an earlier start as another user.
    if (!hasCode(error, "EACCES")) throw error;
    rmSync(path);
    file = open();
  }
  if (cluster.user !== undefined) fchownSync(file, cluster.user.uid, cluster.user.gid);
  return file;
}

/** Returns the last log line since `start` (bytes) that contains a reason. */
function lastLine(path: string, start: number): string {
  const lines = readFrom(path, start).trim().split("\n");
  const found = lines.findLast((line) => /FATAL|PANIC/.test(line)) ?? lines.at(-1) ?? "";
  return found.replace(/^.*?(FATAL|PANIC|ERROR|LOG):\s*/, "") || "it wrote nothing to its log";
}

/** Returns the content of a file from `start` (bytes) on; empty if the file was removed. */
function readFrom(path: string, start: number): string {
  return existsSync(path) ? readFileSync(path).subarray(start).toString() : "";
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
