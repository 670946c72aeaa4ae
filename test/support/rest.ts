import { startServer, type Server, type ServerOptions } from "../../src/server/server.ts";
import { type TestDatabase, testLog } from "./database.ts";

export const restToken = "a token of the test";

/** A server that does not maintain metrics and alerts, because that would interfere with tests that empty tables. */
export async function startRest(database: TestDatabase, options: Partial<ServerOptions> = {}): Promise<Server> {
  await database.pool.query("update legwork_private.duties set due_at = 'infinity'");
  return await startServer({ databaseUrl: database.url, host: "127.0.0.1", port: 0, token: restToken, log: testLog, ...options });
}

/** A token with this role, for one tenant or for all. */
export async function makeToken(database: TestDatabase, role: string, tenant: string | null = null): Promise<string> {
  const { rows } = await database.pool.query("select legwork.create_token($1, $2, $3) as token", [
    `${role} ${tenant}`,
    role,
    tenant,
  ]);
  return rows[0].token;
}

export interface RestAnswer {
  status: number;
  headers: Headers;
  text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- the response of any route
  body: any;
}

/** Sends a request to a path below /api/v1. A body is sent as JSON, or unchanged if it is a string. */
export async function rest(
  server: Server,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<RestAnswer> {
  const response = await fetch(`${server.url}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${restToken}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: text.startsWith("{") ? JSON.parse(text) : undefined };
}
