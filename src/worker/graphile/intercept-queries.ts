import type { PoolClient } from "../../db/pool.ts";
import type { Statement } from "./fetch-statement.ts";

/** Sends a statement over the connection without interception. */
// oxlint-disable-next-line typescript/no-explicit-any -- the result depends on the statement
export type Send = (statement: Statement) => Promise<any>;

/**
 * Passes every named statement of a connection to `intercept`, whose promise becomes the statement's result. Only graphile-worker names its
 * statements, because it prepares them; all other queries are sent unchanged. If a connection is intercepted twice, the later interceptor receives
 * each statement first, and its `send` calls the earlier interceptor. Returns a function that sends a statement without this interceptor.
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
