import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config.ts";
import { lockDataDir, openDataDir } from "../embedded/data-dir.ts";
import { startEmbeddedPostgres } from "../embedded/start-embedded.ts";
import type { Logger } from "../log.ts";

// Shared by `legwork up` and `legwork dev`: the database, and the files in the data directory.

/** The content of ready.json. */
export interface Ready {
  databaseUrl: string;
  httpUrl: string;
  graphqlUrl: string;
  token: string;
  pid: number;
}

/** The started components, which are stopped in reverse order. */
export class Parts {
  readonly #stops: (() => Promise<unknown>)[] = [];
  readonly #urgent: (() => Promise<unknown>)[] = [];

  /** Adds a component. An urgent component is stopped even when a second signal ends the process immediately. */
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

/** Locks the data directory, and starts the embedded Postgres in it unless a database is configured. Returns the database's URL. */
export async function openDatabase(config: Config, log: Logger, parts: Parts): Promise<string> {
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

/** Writes ready.json, so that other commands find this process, and removes it on stop. Without a server, it has no HTTP URLs. */
export function writeReady(ready: Omit<Ready, "httpUrl" | "graphqlUrl"> & Partial<Ready>, config: Config, parts: Parts): void {
  parts.add(async () => removeReady(config.dataDir), { urgent: true });
  if (config.databaseUrl === undefined) writePrivate(join(config.dataDir, "pg_service.conf"), serviceFile(ready.databaseUrl));
  writePrivate(join(config.dataDir, "ready.json"), `${JSON.stringify(ready, null, 2)}\n`);
}

/** Removes the files with URLs, which may be left over from a killed process. */
function removeReady(dataDir: string): void {
  rmSync(join(dataDir, "ready.json"), { force: true });
  rmSync(join(dataDir, "pg_service.conf"), { force: true });
}

/** A service file for psql and other libpq programs. A password on their command line would be visible to every user of the machine. */
function serviceFile(databaseUrl: string): string {
  const { hostname, port, username, password, pathname } = new URL(databaseUrl);
  const entries = { host: hostname, port, user: username, password: decodeURIComponent(password), dbname: pathname.slice(1) };
  return `[legwork]\n${Object.entries(entries)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("")}`;
}

/** Reads the API token from the data directory, or creates one in a file that only its owner can read. */
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
