import pg from "pg";
import { onTestFinished } from "vitest";
import type { TestDatabase } from "./database.ts";
import { until } from "./until.ts";

/** A separate connection, for a transaction that stays open while other transactions continue. It is closed when the test has finished. */
export async function connection(database: Pick<TestDatabase, "url">): Promise<pg.Client & { backend: number }> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  onTestFinished(() => client.end());
  const { rows } = await client.query("select pg_backend_pid() as pid");
  return Object.assign(client, { backend: rows[0].pid as number });
}

/** Waits until a connection waits for a lock. */
export async function untilBlocked(database: TestDatabase, backend: number): Promise<void> {
  await until(`backend ${backend} waits for a lock`, async () => {
    const { rows } = await database.pool.query("select cardinality(pg_blocking_pids($1)) > 0 as blocked", [backend]);
    return rows[0].blocked;
  });
}
