import type { PoolClient } from "../../db/pool.ts";
import type { Statement } from "./fetch-statement.ts";

/** Sends a statement over the connection, past the interception. */
// oxlint-disable-next-line typescript/no-explicit-any -- what comes back depends on the statement
export type Send = (statement: Statement) => Promise<any>;

/**
 * Hands every named statement of a connection to `intercept`, whose promise is the answer to whoever sent it. graphile-worker prepares its statements
 * under names, so that those are the ones; all other queries go unchanged. Where a connection is intercepted twice, the later one sees a statement
 * first, and its `send` leads to the earlier one. Returns what leads past this one.
 */
export function interceptQueries(client: PoolClient, intercept: (statement: Statement, send: Send) => Promise<unknown>): Send {
  // oxlint-disable-next-line typescript/no-explicit-any -- node-postgres overloads query in a dozen ways
  const query = client.query.bind(client) as (...parameters: any[]) => any;
  // oxlint-disable-next-line typescript/no-explicit-any
  client.query = (statement: any, ...rest: any[]) =>
    isNamed(statement) ? intercept(statement, (changed) => query(changed, ...rest)) : query(statement, ...rest);
  return query;
}

function isNamed(query: unknown): query is Statement {
  return query !== null && typeof query === "object" && "name" in query && typeof query.name === "string";
}
