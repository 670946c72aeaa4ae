import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { createPool } from "../src/db/pool.ts";
import { createLogger } from "../src/log.ts";
import { VERSION } from "../src/version.ts";
import { databaseUrl, onServer } from "../test/support/database.ts";
import { fillEveryState } from "../test/support/every-state.ts";
import startPostgres15, { BINARIES } from "../test/support/postgres-15.ts";

/**
 * Writes test/upgrade/releases/<version>.sql.gz: a database of this version with every kind of object, which the tests of later versions upgrade.
 * Run it once, when a version is released, on a machine with Debian's Postgres 15, because every supported server can read the output of
 * pg_dump 15.
 */
const provided: Record<string, string> = {};
const stop = await startPostgres15({ provide: (name: string, value: string) => void (provided[name] = value) } as never);
try {
  const { serverUrl = "", template = "" } = provided;
  await onServer(serverUrl, (client) => client.query(`create database release template ${template}`));
  const url = databaseUrl(serverUrl, "release");
  const pool = createPool(url, { log: createLogger({ level: "warn" }) });
  await fillEveryState(pool).finally(() => pool.end());
  const dump = execFileSync(join(BINARIES, "pg_dump"), ["--no-owner", "--dbname", url], {
    maxBuffer: 1 << 30,
  });
  const directory = fileURLToPath(new URL("../test/upgrade/releases/", import.meta.url));
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, `${VERSION}.sql.gz`), gzipSync(dump, { level: 9 }));
} finally {
  stop();
}
