import { type Pool, type PoolClient, type Queryable, transactionOn } from "./pool.ts";

/**
 * Runs a statement. Interpolated values become parameters and are never part of the text.
 *
 * ```ts
 * const rows = await sql`select name from users where id = ${id}`;
 * ```
 *
 * Returns the rows; an empty array if the statement returns no rows.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- the caller knows what it selects
export type SqlTag = <Row = any>(strings: TemplateStringsArray, ...values: unknown[]) => Promise<Row[]>;

export interface Sql extends SqlTag {
  /** Runs a statement whose text is built at run time; it refers to its values as `$1`, `$2` …. */
  // oxlint-disable-next-line typescript/no-explicit-any -- the caller knows what it selects
  query<Row = any>(text: string, values?: unknown[]): Promise<Row[]>;
  /** Runs `work` in one transaction: commits when it returns, rolls back when it throws. */
  transaction<T>(work: (sql: SqlTag, client: PoolClient) => Promise<T>): Promise<T>;
}

/** Returns the tag for one connection, or for a pool, where each statement may run on a different connection. */
function sqlTag(target: Queryable): SqlTag {
  return async (strings, ...values) => {
    const text = strings.reduce((left, right, index) => `${left}$${index}${right}`);
    const { rows } = await target.query(text, values);
    return rows;
  };
}

/**
 * Creates the tag for a pool, with transactions. `settings` returns settings that each connection has while it is in use. From them, triggers such as
 * one that enqueues a job can read which job ran the statement.
 */
export function createSql(pool: Pool, settings: () => Readonly<Record<string, string>> = () => ({})): Sql {
  // Set for the session, because vacuum cannot run in a transaction, and `set transaction` must be the first statement in one. The pool belongs to a
  // worker, whose connections are always Postgres sessions.
  const withClient = async <T>(work: (client: PoolClient, onBroken: () => void) => Promise<T>): Promise<T> => {
    const client = await pool.connect();
    const context = settings();
    let broken = false;
    try {
      await setContext(client, context);
      return await work(client, () => (broken = true));
    } finally {
      // The next user of the connection must not inherit the context. A connection that cannot be reset is closed.
      await setContext(client, Object.fromEntries(Object.keys(context).map((name) => [name, ""]))).catch(() => (broken = true));
      client.release(broken);
    }
  };
  const tag: SqlTag = (strings, ...values) => withClient((client) => sqlTag(client)(strings, ...values));
  return Object.assign(tag, {
    query: (text: string, values: unknown[] = []) => withClient(async (client) => (await client.query(text, values)).rows),
    transaction: <T>(work: (sql: SqlTag, client: PoolClient) => Promise<T>): Promise<T> =>
      withClient((client, onBroken) => transactionOn(client, { begin: "begin", onBroken }, () => work(sqlTag(client), client))),
  });
}

async function setContext(client: PoolClient, context: Readonly<Record<string, string>>): Promise<void> {
  const names = Object.keys(context);
  if (names.length === 0) return;
  await client.query("select set_config(name, value, false) from unnest($1::text[], $2::text[]) as s (name, value)", [
    names,
    Object.values(context),
  ]);
}
