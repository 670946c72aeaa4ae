import type { Duplex, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Sql } from "legwork";
import type { PoolClient } from "pg";
import { from, to } from "pg-copy-streams";

/** Sets the transaction's formats so that the same rows give the same text, regardless of the server's and the role's defaults. */
export async function setPortableText(client: PoolClient): Promise<void> {
  await client.query(`
    set local datestyle = 'ISO, MDY'; set local intervalstyle = 'postgres'; set local timezone = 'UTC'; set local bytea_output = 'hex';
    set local extra_float_digits = 1; set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0;
    set local row_security = off`);
}

/**
 * Returns the number of rows and a checksum that does not depend on their order: the sum of the first 60 bits of each row's MD5.
 * Copied rows have the same checksum. The checksum detects mistakes, not deliberately forged rows.
 */
export async function contentsOf(
  client: PoolClient,
  table: string,
  columns: string,
): Promise<{ rows: number; contents: string }> {
  const { rows } = await client.query<{ rows: number; contents: string }>(
    `select count(*)::float8 as rows,
       coalesce(sum(('x' || left(md5(row(${columns})::text), 15))::bit(60)::bigint), 0)::text as contents
     from ${table}`,
  );
  return rows[0] ?? { rows: 0, contents: "0" };
}

/** Streams the output of COPY … TO STDOUT through two streams to `write`. Cancels the statement in the database when the signal aborts. */
export async function copyOut(
  { sql, signal }: { sql: Sql; signal: AbortSignal },
  client: PoolClient,
  statement: string,
  [first, second]: [Duplex, Duplex],
  write: (chunks: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  const stopCancelling = await cancelOnAbort(sql, signal, client);
  const source = client.query(to(statement));
  const ended = new Promise<void>((resolve, reject) => {
    source.once("end", resolve);
    source.once("error", reject);
  });
  ended.catch((error: unknown) => first.destroy(error as Error));
  source.pipe(first);
  try {
    await pipeline(first, second, write, { signal });
    await ended;
  } catch (error) {
    // The connection is usable again only after the server has sent everything: cancel the statement and discard the rest.
    source.unpipe(first);
    source.resume();
    await stopCancelling.cancel();
    await ended.catch(() => undefined);
    signal.throwIfAborted();
    throw error;
  } finally {
    stopCancelling.done();
  }
}

/** Streams into COPY … FROM STDIN; resolves to the number of rows that Postgres has counted. */
export async function copyIn(
  { sql, signal }: { sql: Sql; signal: AbortSignal },
  client: PoolClient,
  statement: string,
  streams: [Readable, ...Duplex[]],
): Promise<number> {
  const stopCancelling = await cancelOnAbort(sql, signal, client);
  const target = client.query(from(statement));
  try {
    await pipeline([...streams, target], { signal });
    return target.rowCount;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    stopCancelling.done();
  }
}

/** When the signal aborts, cancels the connection's current statement, which may be waiting for a lock, through another connection. */
async function cancelOnAbort(
  sql: Sql,
  signal: AbortSignal,
  client: PoolClient,
): Promise<{ cancel: () => Promise<void>; done: () => void }> {
  signal.throwIfAborted();
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  const cancel = async (): Promise<void> => {
    await sql`select pg_cancel_backend(${rows[0]?.pid})`.catch(() => undefined);
  };
  const onAbort = (): void => void cancel();
  signal.addEventListener("abort", onAbort, { once: true });
  return { cancel, done: () => signal.removeEventListener("abort", onAbort) };
}
