import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from "fastify";
import { z } from "zod";
import { keepDigits } from "../../db/exact-json.ts";
import { ReadBudget, readWithin } from "../../db/read-within.ts";
import type { ResultWaits } from "../../jobs/result-waits.ts";
import type { JobLinks } from "../../job-links.ts";
import type { Pool, PoolClient } from "../../db/pool.ts";
import { ERRORS, type ErrorCode, LegworkError } from "../../errors.ts";
import { assertRole, type Principal, type Role, withPrincipal } from "../../access/principal.ts";
import { problemSchema } from "../../contract/problem.ts";
import { fromRow } from "../../contract/rows.ts";

/** The longest time that one statement of a reading route may take (ms). */
const READ_TIMEOUT_MS = 5_000;
/** The longest time that one statement of a route that changes something may take (ms). */
const WRITE_TIMEOUT_MS = 30_000;

/** How much one request may read from the database (bytes). Pages end after 5 MB, so only values without another limit can reach this one. */
const READ_BYTES = 20_000_000;
const READ_HINT = "Use a smaller `limit`, or `brief=true` if the list supports it. SQL has no such limit.";

/** The errors that any request may return. */
const COMMON_PROBLEMS = ["LW400", "LW401", "LW403", "LW413", "LW429", "LW500", "LW503", "LW504"] as const satisfies ErrorCode[];

/** The resources that all routes share. */
export interface RestContext {
  pool: Pool;
  /** Links from a job to other systems. */
  jobLinks?: JobLinks | undefined;
  /** The requests of this server's clients that are waiting for jobs to end. */
  waits: ResultWaits;
  /** Called when a bulk action has been started through this server. */
  onBulkAction?: (() => void) | undefined;
}

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;

/** The argument of a handler: a connection in a transaction on the client's behalf, and the request as parsed by its schemas. */
export interface Call<P, Q, B> {
  client: PoolClient;
  principal: Principal;
  params: P;
  query: Q;
  body: B;
  request: FastifyRequest;
  reply: FastifyReply;
}

export interface Route<P, Q, B> {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** The path below /api/v1. */
  url: string;
  tag: string;
  /** One line in the imperative, without a full stop. */
  summary: string;
  description?: string;
  /** The role that the client needs; `any` for every client with a token. */
  role: Role | "any";
  /** Whether it concerns all tenants, so that clients that are restricted to one are rejected. */
  everybody?: boolean;
  params?: P;
  query?: Q;
  body?: B;
  headers?: z.ZodType;
  /** The longest body (bytes). Default: the server's. */
  bodyLimit?: number;
  /** The schema of a successful response. */
  answer: z.ZodType;
  status?: 200 | 201;
  /** The errors that the route may return, in addition to the common ones. */
  problems?: readonly ErrorCode[];
  /** Whether this is the old URL of another route. It still works and is marked as deprecated in the documentation. */
  deprecated?: boolean;
  /** Whether responses have an ETag, with 304 when the client's copy is current. */
  etag?: boolean;
}

/**
 * Adds a route. The client is authenticated and its role is checked before the request is parsed. `work` runs in one transaction on the client's
 * behalf, which is read-only for GET and commits before the response is sent.
 */
export function addRoute<P extends z.ZodType | undefined, Q extends z.ZodType | undefined, B extends z.ZodType | undefined>(
  app: FastifyInstance,
  context: RestContext,
  route: Route<P, Q, B>,
  work: (call: Call<Parsed<P>, Parsed<Q>, Parsed<B>>) => Promise<unknown>,
  /** Called with the result of `work`, outside its transaction and without a connection. If it resolves to true, `work` runs once more. */
  waitFor?: (given: unknown, request: { query: Parsed<Q>; reply: FastifyReply; signal: AbortSignal }) => Promise<boolean>,
): void {
  const isReading = route.method === "GET";
  const { params, query, body, headers } = route;
  app.route({
    method: route.method,
    url: route.url,
    ...(route.bodyLimit === undefined ? {} : { bodyLimit: route.bodyLimit }),
    schema: {
      tags: [route.tag],
      summary: route.summary,
      ...(route.description === undefined ? {} : { description: route.description }),
      operationId: operationId(route.method, route.url),
      ...(route.deprecated === true ? { deprecated: true } : {}),
      security: [{ token: [] }],
      // For readers and tests: the role that the token needs, and whether a token that is restricted to a tenant is rejected.
      "x-role": route.role,
      ...(route.everybody === true ? { "x-all-tenants": true } : {}),
      ...(params === undefined ? {} : { params }),
      ...(query === undefined ? {} : { querystring: query }),
      ...(body === undefined ? {} : { body }),
      ...(headers === undefined ? {} : { headers }),
      response: responses(route),
    } as FastifySchema,
    onRequest: async ({ principal }) => {
      if (route.role !== "any") assertRole(principal!, route.role);
      if (route.everybody === true && principal!.tenant !== null) {
        throw new LegworkError("LW403", "This route covers all tenants, but your token is restricted to one.", {
          hint: "Use a token that is not restricted to a tenant.",
        });
      }
    },
    handler: async (request, reply) => {
      const principal = request.principal!;
      const query = request.query as Parsed<Q>;
      const once = (): Promise<unknown> =>
        withPrincipal(
          context.pool,
          principal,
          // The dashboard's requests arrive here, too. The header only identifies them and grants no rights.
          request.headers["x-legwork-surface"] === "dashboard" ? "dashboard" : "rest",
          (client) =>
            work({
              client: keepDigits(isReading ? readWithin(client, new ReadBudget(READ_BYTES, READ_HINT)) : client),
              principal,
              params: request.params as Parsed<P>,
              query,
              body: request.body as Parsed<B>,
              request,
              reply,
            }),
          { readOnly: isReading, statementTimeout: isReading ? READ_TIMEOUT_MS : WRITE_TIMEOUT_MS },
        );
      let given = await once();
      if (waitFor !== undefined) {
        const left = new AbortController();
        const onClose = (): void => left.abort(new Error("The client has closed the connection."));
        reply.raw.once("close", onClose);
        if (await waitFor(given, { query, reply, signal: left.signal })) given = await once();
        reply.raw.off("close", onClose);
      }
      const answer = fromRow(route.answer, given as never);
      // A response for one token must not be stored in a shared cache.
      reply.header("cache-control", "private, no-cache");
      if (route.etag === true && isFresh(request, reply, answer)) return reply.code(304).send();
      return reply.code(route.status ?? 200).send(answer);
    },
  });
}

/** Sets the response's ETag, and returns whether the client's copy is current. */
function isFresh(request: FastifyRequest, reply: FastifyReply, answer: unknown): boolean {
  const etag = `"${createHash("sha1").update(JSON.stringify(answer)).digest("base64url")}"`;
  reply.header("etag", etag);
  const known = request.headers["if-none-match"];
  if (known === undefined) return false;
  return known.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag || tag.trim() === "*");
}

/** `POST /jobs/:id/cancel` → `post_jobs_id_cancel`. */
function operationId(method: string, url: string): string {
  return [method.toLowerCase(), ...url.split("/").map((part) => part.replace(":", "").replaceAll("-", "_"))]
    .filter((part) => part !== "")
    .join("_");
}

/** The responses by status: the successful one, and the problems that may be returned instead. */
function responses(route: Pick<Route<unknown, unknown, unknown>, "answer" | "status" | "problems" | "etag">): object {
  const codes = [...COMMON_PROBLEMS, ...(route.problems ?? [])];
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set<ErrorCode>(codes)) {
    byStatus.set(ERRORS[code].status, [...(byStatus.get(ERRORS[code].status) ?? []), code]);
  }
  return {
    [route.status ?? 200]: {
      description: route.answer.description ?? "Done.",
      content: { "application/json": { schema: route.answer } },
    },
    ...(route.etag === true ? { 304: z.null().describe("Unchanged since the ETag in If-None-Match.") } : {}),
    ...Object.fromEntries(
      [...byStatus].map(([status, of]) => [
        status,
        {
          description: of.map((code) => `${code}: ${ERRORS[code].title}`).join("; "),
          content: { "application/problem+json": { schema: problemSchema } },
        },
      ]),
    ),
  };
}
