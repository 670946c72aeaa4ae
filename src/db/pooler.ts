import pg from "pg";
import { LegworkError, toError } from "../errors.ts";
import type { Pool, PoolClient } from "./pool.ts";

/** How long a statement that tells connections apart may take (ms); a pooler without a free connection lets it wait for minutes. */
const ANSWER_TIMEOUT_MS = 10_000;

/** How often a connection is asked which process serves it: while another has a transaction open, and after that. */
const LOOKS = 3;

/** Why connections of a pool are not sessions of Postgres, in words that follow "this connection". */
export type Pooling =
  /** Another connection is served by the same process: PgBouncer, pgcat or Supavisor in transaction mode. */
  | "transaction"
  /** Not even a transaction keeps its process. */
  | "statement"
  /** It keeps its process, and what it listens to does not arrive. */
  | "deaf"
  /** There is a pooler, and it has no process for a second connection. */
  | "exhausted";

/**
 * Whether each connection of a pool is a session of Postgres, which keeps its process, its settings and what it listens to. Undefined when it is, directly or through a
 * pooler in session mode or a TCP proxy. `listens` also tries whether notifications arrive.
 *
 * Two open connections of one pool never share a process, and none changes its own. Behind a pooler in transaction mode both happen: the process
 * that has just become free serves whichever connection comes next; where they take turns instead, a connection that asks again has another one.
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
    // What a pooler has thought of them is of no use to anything else.
    second?.release(!isDone);
    first.release(!isDone);
  }
}

/** The same of where a pool leads, over two connections of their own. */
export async function findPoolingBefore({ options }: Pool): Promise<Pooling | undefined> {
  const pool = new pg.Pool({
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
  // A pooler tells clients of processes of its own making. In session mode that is all there is to see.
  const looks = isOwnProcess(first, own) ? 1 : LOOKS;
  for (let look = 0; look < looks; look++) if ((await process(first)) !== own) return "transaction";
  return undefined;
}

/** The process that serves a connection, with when it started: numbers are used again, and by several servers. */
async function process(client: PoolClient): Promise<string> {
  const { rows } = await ask(
    client,
    "select pid || ' ' || backend_start as it from pg_stat_activity where pid = pg_backend_pid()",
  );
  return String(rows[0]?.it);
}

/** Whether the process is the one of which the connection was told when it was made. */
function isOwnProcess(client: PoolClient, process: string): boolean {
  return process.startsWith(`${(client as unknown as { processID: number }).processID} `);
}

/** A session hears what it notifies itself before it hears that this is done. */
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
  deaf: "through a connection pooler that passes no notifications on",
  exhausted: "through a connection pooler that has no connection for it beside the first",
};

/** What a pooler does, to follow "reaches Postgres". */
export function describePooling(pooling: Pooling): string {
  return SEEN[pooling];
}

/** Throws LW516 unless each connection of a worker's pool is a session of Postgres. */
export async function assertSessions(pool: Pool): Promise<void> {
  const pooling = await findPooling(pool, { listens: true });
  if (pooling === undefined) return;
  throw new LegworkError("LW516", `This worker reaches Postgres ${describePooling(pooling)}, where it cannot run jobs.`, {
    hint: "Set DATABASE_URL for the worker to the address of Postgres itself, or of a pool in session mode with enough connections. The rest of Legwork works through a pooler in transaction mode; see docs/guides/poolers.md.",
  });
}
