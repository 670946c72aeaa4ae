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

/** A running Postgres of our own, for those who have none. */
export interface EmbeddedPostgres {
  readonly databaseUrl: string;
  readonly port: number;
  /** Settles when Postgres has ended, through `stop()` or by itself; it is never rejected. */
  readonly ended: Promise<void>;
  /**
   * Stops Postgres: running transactions are rolled back, what was committed is kept. After 10 s it is stopped at once
   * and the next start recovers. Gives the data directory free. May be called again.
   */
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  /** Where cluster, password and log are kept; created when missing. */
  readonly dataDir: string;
  readonly log: Logger;
  /** The database to create when missing and to connect to. Default "legwork". */
  readonly database?: string;
  /** The port for a data directory that has none yet; later starts take the last one. Default 54320. */
  readonly preferredPort?: number;
  /** More of Postgres's own settings; they win over ours. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** How long Postgres may give no sign of life while it starts (ms). Recovery after a crash may take longer: it gives signs. */
const START_SILENCE_MS = 60_000;
/** How long a start is tried again because its port was taken or a killed server is still going away (ms). */
const START_RETRY_MS = 15_000;
/** A log larger than this is put aside as postgres.log.old at the next start (bytes). */
const LOG_LIMIT = 10 * 1024 * 1024;

const SETTINGS = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "100",
  shared_buffers: "128MB",
  // Job tables change all the time: clean up after them soon, not once a minute and at a fifth of their size.
  autovacuum_naptime: "10s",
  autovacuum_vacuum_scale_factor: "0.05",
  // The default assumes spinning disks.
  random_page_cost: "1.1",
} as const;

/**
 * Starts a Postgres of our own in a data directory and waits until it answers. It listens on 127.0.0.1 only, with a
 * password. It outlives this process when `stop()` is not called; the next start stops it and goes on with its data.
 * Throws LW503 (not installed, does not start), LW409 (another process uses the data directory) or LW512 (the data
 * directory is not ours or cannot be used).
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
    log.info({ port: server.port, postgresPid: server.pid, version: install.version }, "Postgres is ready");
    let stopping: Promise<void> | undefined;
    const watch = async (): Promise<void> => {
      const how = await server.exited;
      if (stopping !== undefined) return;
      log.error({ how, lastLine: lastLine(server.logPath, server.logStart) }, "Postgres has ended by itself");
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
  /** How large the log was before this start (bytes). */
  readonly logStart: number;
  readonly exited: Promise<string>;
  hasExited(): boolean;
}

/** Starts Postgres on the port or, when something else has it, on a free one. */
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
      // Somebody took the port between our look and Postgres's.
      wanted = 0;
    } else if (retry && /shared memory block .* is still in use|lock file ".*" already exists/.test(output)) {
      // The last processes of a killed server are still going away.
      await delay(100);
    } else {
      throw new LegworkError("LW503", `The embedded Postgres does not start (${how}): ${lastLine(logPath, logStart)}`, {
        hint: `See ${logPath}, or set DATABASE_URL to a Postgres of yours.`,
      });
    }
  }
}

/**
 * Postgres gets a session of its own: Ctrl-C goes to every process of the terminal's group, and Postgres must outlive
 * the workers that are still finishing. It writes to the log that we open, so it needs no access to the data directory.
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

/** Waits until Postgres says that it accepts connections; false when it has ended or is silent for too long. */
async function isUp(cluster: Cluster, child: ChildProcess, logPath: string, hasExited: () => boolean): Promise<boolean> {
  const pidFile = join(cluster.directory, "postmaster.pid");
  let logSize = 0;
  for (let silentSince = Date.now(); Date.now() - silentSince < START_SILENCE_MS; await delay(5)) {
    if (hasExited()) return false;
    // Its first line is the server's pid, its eighth the state, which pg_ctl goes by too: this is our server, and not
    // another that happens to answer on the same port.
    const lines = (readIfThere(pidFile) ?? "").split("\n");
    if (Number(lines[0]) === child.pid && lines[7]?.trim() === "ready") return true;
    // While it recovers, Postgres logs its progress every 10 s.
    const size = sizeOf(logPath);
    if (size !== logSize) silentSince = Date.now();
    logSize = size;
  }
  return false;
}

/** Connects, which is the proof that the server answers, and creates the database when it is missing. */
async function ensureDatabase(cluster: Cluster, port: number, database: string): Promise<void> {
  const client = new Client({ connectionString: urlOf(cluster, port, "postgres"), connectionTimeoutMillis: 10_000 });
  // A server that ends while we are connected also rejects the query.
  client.on("error", () => {});
  try {
    await client.connect();
    const { rowCount } = await client.query("select from pg_catalog.pg_database where datname = $1", [database]);
    if (rowCount === 0) await client.query(`create database ${escapeIdentifier(database)}`);
  } catch (error) {
    const { message } = toError(error);
    if (hasCode(error, "28P01")) {
      throw new LegworkError("LW512", `The password in postgres-password is not that of the cluster ${cluster.directory}.`, {
        hint: "Restore the file, or set LEGWORK_DATA_DIR to a new directory.",
        cause: error,
      });
    }
    throw new LegworkError("LW503", `The embedded Postgres does not answer on port ${port}: ${message}`, {
      cause: error,
    });
  } finally {
    await client.end().catch(() => {});
  }
}

function urlOf(cluster: Cluster, port: number, database: string): string {
  return `postgres://postgres:${cluster.password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
}

/** The port itself when nothing listens on it, otherwise a free one. */
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
    // An earlier start as another user.
    if (!hasCode(error, "EACCES")) throw error;
    rmSync(path);
    file = open();
  }
  if (cluster.user !== undefined) fchownSync(file, cluster.user.uid, cluster.user.gid);
  return file;
}

/** The last line that says why, of what was written since `start` (bytes). */
function lastLine(path: string, start: number): string {
  const lines = readFrom(path, start).trim().split("\n");
  const found = lines.findLast((line) => /FATAL|PANIC/.test(line)) ?? lines.at(-1) ?? "";
  return found.replace(/^.*?(FATAL|PANIC|ERROR|LOG):\s*/, "") || "it wrote nothing to its log";
}

/** What a file holds from `start` (bytes) on; nothing when somebody has removed it. */
function readFrom(path: string, start: number): string {
  return existsSync(path) ? readFileSync(path).subarray(start).toString() : "";
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
