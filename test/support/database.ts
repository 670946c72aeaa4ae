import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, inject } from "vitest";
import { migrate } from "../../src/db/migrate.ts";
import { createPool, type Pool } from "../../src/db/pool.ts";
import { createLogger, type Logger } from "../../src/log.ts";

declare module "vitest" {
  interface ProvidedContext {
    serverUrl: string;
    template: string;
  }
}

/** A log for code under test. It prints only warnings and errors. */
export const testLog: Logger = createLogger({ level: process.env.LEGWORK_TEST_LOG === undefined ? "fatal" : "debug" });

export interface TestDatabase {
  /** Set before the file's tests run. */
  url: string;
  pool: Pool;
}

/** Creates and migrates the template database. Every test file gets a copy of it. */
export async function prepareTemplate(serverUrl: string): Promise<string> {
  const template = `legwork_template_${randomBytes(4).toString("hex")}`;
  await onServer(serverUrl, (client) => client.query(`create database ${template}`));
  const pool = createPool(databaseUrl(serverUrl, template), { log: testLog });
  try {
    await migrate(pool, testLog);
  } finally {
    await pool.end();
  }
  return template;
}

/**
 * A database for this test file alone: a copy of the migrated template, or an empty one. It is dropped if all of the file's tests have passed. If
 * one has failed, it is kept, and its URL is printed.
 */
export function testDatabase(options: { empty?: boolean } = {}): TestDatabase {
  const database = {} as TestDatabase;
  const name = `legwork_test_${randomBytes(6).toString("hex")}`;
  const serverUrl = inject("serverUrl");
  if (serverUrl === "") {
    beforeEach(({ skip }) => skip("Debian's binaries of Postgres 15 are not on this machine."));
    return database;
  }
  beforeAll(async () => {
    const template = options.empty === true ? "template1" : inject("template");
    await onServer(serverUrl, (client) => client.query(`create database ${name} template ${template} strategy file_copy`));
    database.url = databaseUrl(serverUrl, name);
    database.pool = createPool(database.url, { log: testLog, max: 20 });
  });
  let failed = false;
  afterEach(({ task }) => {
    failed ||= task.result?.state === "fail";
  });
  afterAll(async () => {
    await database.pool.end();
    if (failed) console.error(`The database of the failed test is kept: ${database.url}`);
    else await onServer(serverUrl, (client) => client.query(`drop database ${name} with (force)`));
  });
  return database;
}

export function databaseUrl(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

export async function onServer<T>(serverUrl: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
