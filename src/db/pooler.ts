import pg from "pg";
import { Client } from "./client.ts";
import { LegworkError, toError } from "../errors.ts";
import type { Pool, PoolClient } from "./pool.ts";

/** How long each statement of these checks may take (ms). A pooler without a free connection would make it wait for minutes. */
const ANSWER_TIMEOUT_MS = 10_000;

/** How many times a connection's server process is checked, both while another connection has a transaction open and after that transaction. */
const LOOKS = 3;

/** Why the connections of a pool are not Postgres sessions. */
export type Pooling =
  /** Another connection is served by the same process: PgBouncer, pgcat or Supavisor in transaction mode. */
  | "transaction"
  /** The process changes even within a transaction. */
  | "statement"
  /** The process stays the same, but notifications do not arrive. */
  | "deaf"
  /** There is a pooler, and it has no server process for a second connection. */
  | "exhausted";

/**
 * Checks whether each connection of a pool is a Postgres session, which keeps its server process, its settings and its listeners. Returns undefined
 * if so, whether directly or through a pooler in session mode or a TCP proxy. With `listens`, also checks whether notifications arrive.
 *
 * Two Postgres sessions never share a server process, and a session's process never changes. Behind a pooler in transaction mode, both happen: the
 * process that has just become free serves the connection that sends the next statement. If the pooler rotates its processes instead, the same
 * connection gets a different one.
 */
export async function findPooling(pool: Pool, { listens }: { listens: boolean }): Promise<Pooling | undefined> {
  const first = await pool.connect();
  let second: PoolClient | undefined;
  let isDone = false;
  try {
    second = await pool.connect();
    const pooling = await compare(first, second);
    if (pooling !== undefined) return pooling;
    const isDeaf = listens && !(await hearsItself(first));
    isDone = true;
    return isDeaf ? "deaf" : undefined;
  } finally {
    // After a failed check, the connections are in an unknown state.
    second?.release(!isDone);
    first.release(!isDone);
  }
}

/** Like `findPooling`, but uses two separate connections to the pool's server. */
export async function findPoolingBefore({ options }: Pool): Promise<Pooling | undefined> {
  const pool = new pg.Pool({
    Client,
    connectionString: options.connectionString,
    application_name: options.application_name,
    connectionTimeoutMillis: ANSWER_TIMEOUT_MS,
    max: 2,
  });
  // A pooler in statement mode closes a connection that begins a transaction.
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  try {
    return await findPooling(pool, { listens: false });
  } finally {
    await pool.end();
  }
}

async function compare(first: PoolClient, second: PoolClient): Promise<Pooling | undefined> {
  const own = await process(first);
  try {
    await ask(second, "begin");
    if ((await process(second)) === own) return "transaction";
  } catch (thrown) {
    const { message } = toError(thrown);
    if (/statement pooling mode/.test(message)) return "statement";
    if (message === "Query read timeout" && !isOwnProcess(first, own)) return "exhausted";
    throw thrown;
  }
  for (let look = 0; look < LOOKS; look++) if ((await process(first)) !== own) return "transaction";
  await ask(second, "commit");
  // A pooler reports its own process ids to clients. In session mode, there is no other difference.
  const looks = isOwnProcess(first, own) ? 1 : LOOKS;
  for (let look = 0; look < looks; look++) if ((await process(first)) !== own) return "transaction";
  return undefined;
}

/**
 * Returns the id and start time of the process that serves a connection. The id alone is not enough: ids are reused, and several servers may use the
 * same one.
 */
async function process(client: PoolClient): Promise<string> {
  const { rows } = await ask(
    client,
    "select pid || ' ' || backend_start as it from pg_stat_activity where pid = pg_backend_pid()",
  );
  return String(rows[0]?.it);
}

/** Whether the process is the one that was reported when the connection was opened. */
function isOwnProcess(client: PoolClient, process: string): boolean {
  return process.startsWith(`${(client as unknown as { processID: number }).processID} `);
}

/** Whether a session receives its own notification. The notification arrives before the statement completes. */
async function hearsItself(client: PoolClient): Promise<boolean> {
  const channel = `legwork_probe_${crypto.randomUUID().replaceAll("-", "")}`;
  let isHeard = false;
  const hear = (message: { channel: string }): void => void (isHeard ||= message.channel === channel);
  client.on("notification", hear);
  try {
    await ask(client, `listen ${channel}`);
    await ask(client, `notify ${channel}`);
    await ask(client, `unlisten ${channel}`);
    return isHeard;
  } finally {
    client.off("notification", hear);
  }
}

function ask(client: PoolClient, text: string): Promise<{ rows: { it: string }[] }> {
  return client.query({ text, query_timeout: ANSWER_TIMEOUT_MS } as { text: string });
}

const SEEN: Readonly<Record<Pooling, string>> = {
  transaction: "through a connection pooler in transaction mode",
  statement: "through a connection pooler in statement mode",
  deaf: "through a connection pooler that does not forward notifications",
  exhausted: "through a connection pooler that has no second connection for it",
};

/** Describes a pooler in words that follow "reaches Postgres". */
export function describePooling(pooling: Pooling): string {
  return SEEN[pooling];
}

/** Throws LW516 unless each connection of a worker's pool is a Postgres session. */
export async function assertSessions(pool: Pool): Promise<void> {
  const pooling = await findPooling(pool, { listens: true });
  if (pooling === undefined) return;
  throw new LegworkError("LW516", `This worker reaches Postgres ${describePooling(pooling)}, where it cannot run jobs.`, {
    hint: "Set DATABASE_URL for the worker to the URL of Postgres itself, or of a pool in session mode with enough connections. The rest of Legwork works through a pooler in transaction mode; see docs/guides/poolers.md.",
  });
}
