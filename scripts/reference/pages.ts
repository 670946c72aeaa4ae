import { readFile } from "node:fs/promises";
import type { Queryable } from "../../src/db/pool.ts";
import type { OpenApi } from "../../test/support/openapi.ts";
import { commandLine } from "./command-line.ts";
import { configuration } from "./configuration.ts";
import { errors } from "./errors.ts";
import { graphql, type Introspection, INTROSPECTION } from "./graphql.ts";
import { withGenerated } from "./markdown.ts";
import { metrics } from "./metrics.ts";
import { rest } from "./rest.ts";
import { sql } from "./sql.ts";
import { typescript } from "./typescript.ts";

export const REFERENCE = new URL("../../docs/reference/", import.meta.url);

/** A server on a migrated database, from which the pages on SQL, REST and metrics are generated. */
export interface Running {
  readonly client: Queryable;
  readonly httpUrl: string;
  readonly token: string;
}

/** Returns the pages of docs/reference with up-to-date generated parts. The rest of each page is unchanged. */
export async function referencePages({ client, httpUrl, token }: Running): Promise<Map<string, string>> {
  const get = async (path: string, body?: unknown): Promise<Response> => {
    const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "content-type": "application/json" }) };
    const answer = await fetch(`${httpUrl}${path}`, {
      headers,
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer;
  };
  const { views, functions: sqlFunctions } = await sql(client);
  const { functions, tree } = await typescript();
  const parts: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    "cli.md": { commands: await commandLine() },
    "configuration.md": { settings: await configuration() },
    "errors.md": { codes: errors() },
    "graphql.md": {
      schema: graphql(((await (await get("/graphql", { query: INTROSPECTION })).json()) as { data: Introspection }).data),
    },
    "metrics.md": { metrics: metrics(await (await get("/metrics")).text()) },
    "rest.md": { routes: rest((await (await get("/docs/json")).json()) as OpenApi) },
    "sql.md": { functions: sqlFunctions, views },
    "typescript.md": { functions, tree },
  };
  const pages = new Map<string, string>();
  for (const [name, generated] of Object.entries(parts)) {
    let page = await readFile(new URL(name, REFERENCE), "utf8");
    for (const [part, text] of Object.entries(generated)) page = withGenerated(page, part, text);
    pages.set(name, page);
  }
  return pages;
}
