import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { LegworkError, toError } from "../errors.ts";
import { durationInWords } from "../wording.ts";
import type { Logger } from "../log.ts";
import { Client } from "./client.ts";
import { connectionString, withoutSecrets } from "./database-url.ts";
import { type ConnectionListener, Outages, outagesOf } from "./outages.ts";
import { types } from "./parse-timestamp.ts";
import { ConnectionWatch } from "./silent-connections.ts";
import { isConnectionError, isSystemFault } from "./translate-error.ts";

export type Pool = pg.Pool;
export type PoolClient = pg.PoolClient;

/**
 * Anything that can run a statement: a pool, a client inside the caller's transaction, or another library's client with
 * the same method.
 */
export interface Queryable {
  // oxlint-disable-next-line typescript/no-explicit-any -- the shape of node-postgres's own result
  query(text: string, values?: unknown[]): Promise<{ rows: any[] }>;
}

/** The oldest tested version is Postgres 15, which introduced `security_invoker` and `unique nulls not distinct`. */
const MIN_SERVER_VERSION = 150_000;

/** How long a connection is idle before the kernel sends keep-alive probes (ms). */
const KEEP_ALIVE_MS = 10_000;

interface PoolOptions {
  log: Logger;
  max?: number;
  /** How many connections stay open when they have been idle for more than ten seconds; 0 by default. */
  min?: number;
  name?: string;
  /**
   * Settings for each statement of the pool and each `transaction` on it, such as `legwork.actor`. They are set for the transaction, not for the
   * session, because behind a pooler the next client would inherit session settings. Clients from `connect` do not have them.
   */
  settings?: Readonly<Record<string, string>>;
  /** The longest time that a statement may take (ms). By default, there is no limit while the server is working on the statement. */
  queryTimeout?: number;
  /** Whether callers wait while the server has no free connection or is starting up; if false, they get an error. */
  waitsForConnection?: boolean;
  /** How long a statement waits for a response before the pool checks whether the server is working on it (ms); 2,500 by default. */
  silentAfter?: number;
  /** Is notified when connections are made, closed or lost; for a thread that does not log. By default, lost connections are logged. */
  connections?: ConnectionListener;
}

const watches = new WeakMap<Pool, ConnectionWatch>();
const connectionsOf = new WeakMap<Pool, ConnectionListener>();
const settingsOfPools = new WeakMap<Pool, Readonly<Record<string, string>>>();

/** Returns when the server last sent data on any connection of a pool from `createPool`, by `performance.now()`. */
export function lastReply(pool: Pool): number {
  return watches.get(pool)?.lastReply ?? Number.NEGATIVE_INFINITY;
}

/**
 * Creates a connection pool that survives lost connections: a connection that the server closes, or that dies silently, is logged and replaced, and
 * never crashes the process. Throws LW514 for an invalid connection string.
 */
export function createPool(databaseUrl: string, options: PoolOptions): Pool {
  const pool = new pg.Pool({
    Client,
    connectionString: connectionString(databaseUrl),
    max: options.max ?? 10,
    min: options.min ?? 0,
    application_name: options.name ?? "legwork",
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    ...(options.queryTimeout === undefined ? {} : { query_timeout: options.queryTimeout }),
    types,
  });
  const { log, silentAfter, name = "legwork", connections = outagesOf(databaseUrl, log) } = options;
  connectionsOf.set(pool, connections);
  const gone = new WeakSet<pg.PoolClient>();
  const onError = (error: Error & { code?: string }, client: pg.PoolClient): void => {
    // One loss can cause several errors: the server's, the socket's, and for an idle client the pool's. A connection that is closed because its pool
    // ends does not count as lost.
    if (gone.has(client) || pool.ending) return;
    gone.add(client);
    // The error contains the whole client, including its secrets, so only the message is logged.
    connections.lost(name, withoutSecrets(error.message, databaseUrl), error.code);
  };
  const watch = new ConnectionWatch({ databaseUrl, log, silentAfter, secondLook: silentAfter && silentAfter / 3 });
  watches.set(pool, watch);
  pool.on("error", onError);
  pool.on("connect", (client) => {
    connections.made(client);
    client.on("error", (error) => {
      connections.closed(client);
      onError(error, client);
    });
    client.on("end", () => connections.closed(client));
    watch.add(client);
  });
  pool.on("acquire", (client) => watch.setFree(client, false));
  pool.on("release", (_error, client) => watch.setFree(client, true));
  pool.on("remove", (client) => watch.remove(client));
  if (options.waitsForConnection === true) waitForConnections(pool, log);
  if (options.settings !== undefined) {
    settingsOfPools.set(pool, options.settings);
    pool.query = ((text: string, values?: unknown[]) =>
      transaction(pool, (client) => client.query(text, values))) as Pool["query"];
  }
  return pool;
}

/**
 * Logs an error in recurring work that will be retried. While the database cannot be reached, the level is debug, because a separate line has already
 * reported the outage.
 */
export function logFault(pool: Pool, log: Logger, thrown: unknown, message: string, fields: object = {}): void {
  const error = toError(thrown);
  const connections = connectionsOf.get(pool);
  if (!isConnectionError(error)) log.warn({ ...fields, err: error }, message);
  else if (connections instanceof Outages && connections.isAway) {
    connections.lost(pool.options.application_name ?? "legwork", error.message, (error as { code?: string }).code);
    log.debug({ ...fields, reason: error.message }, message);
  } else log.warn({ ...fields, reason: error.message }, message);
}

/** Makes `connect` wait until the server is usable. Nothing is sent before there is a connection, so a retry does not run anything twice. */
function waitForConnections(pool: Pool, log: Logger): void {
  type Callback = Parameters<Pool["connect"]>[0];
  const connect = pool.connect.bind(pool) as () => Promise<PoolClient>;
  const waiting = (callback?: Callback): Promise<PoolClient> | undefined => {
    const client = onceUsable(log, async () => {
      try {
        return await connect();
      } catch (error) {
        throw exhausted(pool, toError(error)) ?? error;
      }
    });
    if (callback === undefined) return client;
    // node-postgres's own pool.query gets its connections with a callback.
    // oxlint-disable promise/no-callback-in-promise -- that is the interface
    client.then(
      (connected) => callback(undefined, connected, (release) => connected.release(release)),
      (error: unknown) => callback(toError(error), undefined, () => undefined),
    );
    // oxlint-enable promise/no-callback-in-promise
    return undefined;
  };
  pool.connect = waiting as Pool["connect"];
}

/**
 * Returns the error for a pool whose connections were all in use for too long; undefined for other errors. node-postgres reports this like an
 * unresponsive server.
 */
function exhausted({ options, totalCount, idleCount }: Pool, cause: Error): LegworkError | undefined {
  if (!cause.message.startsWith("timeout exceeded when trying to connect") || idleCount > 0 || totalCount < options.max)
    return undefined;
  const waited = durationInWords(options.connectionTimeoutMillis ?? 0);
  return new LegworkError(
    "LW503",
    `No connection in this worker's pool became free within ${waited}: running jobs hold all ${options.max}.`,
    {
      hint: "Hold connections for a shorter time, use `sql` for single statements, let fewer jobs run at a time, or give each job fewer connections.",
      cause,
    },
  );
}

/** Sets settings for the current transaction. They end with it, so that the next user of the connection does not inherit them. */
export async function setLocally(client: Queryable, settings: Readonly<Record<string, string>>): Promise<void> {
  await client.query("select set_config(name, value, true) from unnest($1::text[], $2::text[]) as s (name, value)", [
    Object.keys(settings),
    Object.values(settings),
  ]);
}

/**
 * Connects once to check that the database is usable. Throws LW503 if it cannot be reached and LW510 if it is too
 * old; the message names host, port and database, and never the password.
 */
export async function assertDatabase(pool: Pool): Promise<void> {
  let version: number;
  try {
    const { rows } = await pool.query<{ version: string }>("select current_setting('server_version_num') as version");
    version = Number(rows[0]?.version);
  } catch (error) {
    throw connectionError(pool.options, error);
  }
  if (version < MIN_SERVER_VERSION) {
    throw new LegworkError("LW510", `The database at ${describe(pool.options)} runs Postgres ${Math.floor(version / 10_000)}.`, {
      hint: "Legwork needs Postgres 15 or newer.",
    });
  }
}

function describe(options: pg.PoolOptions): string {
  const { host, port, database } = new Client({ connectionString: options.connectionString });
  return `${host}:${port}/${database ?? ""}`;
}

/**
 * Whether node-postgres changes a password before it authenticates with it. Postgres does the same, unless the password contains a control,
 * private-use or unassigned character.
 */
function isNormalized(password: unknown): boolean {
  return (
    typeof password === "string" && password.replace(/\p{Default_Ignorable_Code_Point}/gu, "").normalize("NFKC") !== password
  );
}

function connectionError(options: pg.PoolOptions, thrown: unknown): LegworkError {
  const error = toError(thrown) as Error & { code?: string; errors?: Error[] };
  const where = describe(options);
  const { user, password, host, port, database } = new Client({ connectionString: options.connectionString });
  const fail = (message: string, hint: string): LegworkError => new LegworkError("LW503", message, { hint, cause: error });
  switch (error.code) {
    case "ECONNREFUSED":
      return fail(`Nothing is listening at ${where}.`, "Start Postgres there, or correct DATABASE_URL.");
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return fail(`The host ${host} cannot be found.`, "Correct the host in DATABASE_URL.");
    case "28P01":
    case "28000":
      return fail(
        `The server at ${host}:${port} rejects user '${user}'.`,
        `Correct the user or the password in DATABASE_URL.${isNormalized(password) ? " The driver normalizes this password (Unicode's NFKC). If psql accepts it, change it to one that consists of ASCII characters." : ""}`,
      );
    case "08P01":
      if (!/statement pooling mode/.test(error.message)) break;
      return new LegworkError(
        "LW516",
        `${where} is a connection pooler in statement mode, which does not support transactions.`,
        {
          hint: "Set DATABASE_URL to the URL of Postgres itself, or of a pool in transaction or session mode; see docs/guides/poolers.md.",
          cause: error,
        },
      );
    case "53300":
      return fail(
        `The server at ${host}:${port} has no free connection: ${error.message}.`,
        "End unused sessions (`select pid, application_name, state, state_change from pg_stat_activity order by state_change`), or raise max_connections. " +
          "When run as a superuser, `legwork doctor` shows what holds the connections.",
      );
    case "3D000":
      return fail(
        `The server at ${host}:${port} has no database '${database ?? ""}'.`,
        "Create it with createdb, or correct DATABASE_URL.",
      );
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return fail(
        `The certificate of ${where} is not signed by a known authority.`,
        "Add sslrootcert=/path/to/ca.pem to DATABASE_URL, or set NODE_EXTRA_CA_CERTS to that file; sslmode=no-verify encrypts without verifying the certificate.",
      );
  }
  if (error.message === "The server does not support SSL connections") {
    return fail(
      `${where} does not support SSL connections.`,
      "Turn on ssl in the server's settings, or remove sslmode from DATABASE_URL.",
    );
  }
  const message = withoutSecrets(error.message || String(error.code), options.connectionString);
  return fail(`${where} cannot be used: ${message}.`, "Check DATABASE_URL and the server's log.");
}

/** How long to wait before retrying when the database is full, read-only or starting up (ms). */
const USABLE_WAIT_MS = 1_000;

/**
 * Runs `work`, and retries it while the server's state does not allow it (see `isSystemFault`), which is logged once. Throws all other errors of
 * `work`, and an AbortError when the signal ends the wait.
 */
export async function onceUsable<T>(log: Logger, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (let isFirst = true; ; isFirst = false) {
    try {
      return await work();
    } catch (thrown) {
      if (!isSystemFault(thrown)) throw thrown;
      const error = toError(thrown);
      if (isFirst) log.warn({ event: "database_unusable", err: error }, `Waiting for the database: ${error.message}.`);
      await delay(USABLE_WAIT_MS, undefined, { signal });
    }
  }
}

/** Runs `work` in one transaction on one client: commits when it returns, rolls back when it throws. */
export async function transaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken = false;
  try {
    // Not the database's default isolation level: a migration that has waited for another one must see the other one's changes.
    return await transactionOn(
      client,
      { begin: "begin isolation level read committed", onBroken: () => (broken = true) },
      async () => {
        const settings = settingsOfPools.get(pool);
        if (settings !== undefined) await setLocally(client, settings);
        return await work(client);
      },
    );
  } finally {
    // If the rollback failed, the connection is closed, and the server rolls back.
    client.release(broken);
  }
}

/**
 * Runs `work` in one transaction on a connection: commits when it returns, rolls back and rethrows when it throws. Calls `onBroken` when the
 * connection cannot roll back.
 */
export async function transactionOn<T>(
  client: Queryable,
  { begin, onBroken }: { begin: string; onBroken: () => unknown },
  work: () => Promise<T>,
): Promise<T> {
  try {
    await client.query(begin);
    const result = await work();
    await client.query("commit");
    return result;
  } catch (error) {
    await client.query("rollback").catch(onBroken);
    throw error;
  }
}
