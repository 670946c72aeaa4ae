import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from "fastify";
import { z } from "zod";
import { keepDigits } from "../../db/exact-json.ts";
import type { Pool, PoolClient } from "../../db/pool.ts";
import { ERRORS, type ErrorCode, LegworkError } from "../../errors.ts";
import { assertRole, type Principal, type Role, withPrincipal } from "../../access/principal.ts";
import { problemSchema } from "../../contract/problem.ts";
import { fromRow } from "../../contract/rows.ts";

/** The longest that one statement of a reading route may take (ms). */
const READ_TIMEOUT_MS = 5_000;
/** The longest that one statement of a route that changes something may take (ms). */
const WRITE_TIMEOUT_MS = 30_000;

/** What any request may be answered with. */
const COMMON_PROBLEMS = ["LW400", "LW401", "LW403", "LW429", "LW500", "LW503", "LW504"] as const satisfies ErrorCode[];

/** What the routes stand on. */
export interface RestContext {
  pool: Pool;
}

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;

/** What a handler is given: a connection in a transaction on behalf of whoever asks, and the request as its schemas read it. */
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
  /** Below /api/v1. */
  url: string;
  tag: string;
  /** One line; a whole sentence without its full stop. */
  summary: string;
  description?: string;
  /** Whose request it must be; `any` is whoever has a token. */
  role: Role | "any";
  /** Whether it concerns every tenant, so that who acts for one may not. */
  everybody?: boolean;
  params?: P;
  query?: Q;
  body?: B;
  headers?: z.ZodType;
  /** The longest body (bytes); the server's by default. */
  bodyLimit?: number;
  /** What is answered when all is well. */
  answer: z.ZodType;
  status?: 200 | 201;
  /** What else may be wrong. */
  problems?: readonly ErrorCode[];
  /** An old address of another route: it still works, and the documentation says not to use it. */
  deprecated?: boolean;
  /** Answers carry an ETag, and 304 when the client has that one. */
  etag?: boolean;
}

/**
 * Adds a route. Whoever asks is known and has the role before anything of the request is read; `work` runs in one transaction that is
 * theirs, which only reads if the method is GET, and commits before the answer is sent.
 */
export function addRoute<P extends z.ZodType | undefined, Q extends z.ZodType | undefined, B extends z.ZodType | undefined>(
  app: FastifyInstance,
  context: RestContext,
  route: Route<P, Q, B>,
  work: (call: Call<Parsed<P>, Parsed<Q>, Parsed<B>>) => Promise<unknown>,
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
      // For people and for tests: what the token must have, and whether one of a tenant will not do.
      "x-role": route.role,
      ...(route.everybody === true ? { "x-everybody": true } : {}),
      ...(params === undefined ? {} : { params }),
      ...(query === undefined ? {} : { querystring: query }),
      ...(body === undefined ? {} : { body }),
      ...(headers === undefined ? {} : { headers }),
      response: responses(route),
    } as FastifySchema,
    onRequest: async ({ principal }) => {
      if (route.role !== "any") assertRole(principal!, route.role);
      if (route.everybody === true && principal!.tenant !== null) {
        throw new LegworkError("LW403", "This concerns every tenant, and you act for one.", {
          hint: "Somebody whose token is not confined to a tenant may do it.",
        });
      }
    },
    handler: async (request, reply) => {
      const principal = request.principal!;
      const given = await withPrincipal(
        context.pool,
        principal,
        // What people do in the dashboard comes in here as well; the header only says so, and gives no rights.
        request.headers["x-legwork-surface"] === "dashboard" ? "dashboard" : "rest",
        (client) =>
          work({
            client: keepDigits(client),
            principal,
            params: request.params as Parsed<P>,
            query: request.query as Parsed<Q>,
            body: request.body as Parsed<B>,
            request,
            reply,
          }),
        { readOnly: isReading, statementTimeout: isReading ? READ_TIMEOUT_MS : WRITE_TIMEOUT_MS },
      );
      const answer = fromRow(route.answer, given as never);
      // What belongs to one token is not for a cache between.
      reply.header("cache-control", "private, no-cache");
      if (route.etag === true && isFresh(request, reply, answer)) return reply.code(304).send();
      return reply.code(route.status ?? 200).send(answer);
    },
  });
}

/** Whether the client has this very answer; sets its ETag. */
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

/** By status: the answer, and the problems that may come in its place. */
function responses(route: Pick<Route<unknown, unknown, unknown>, "answer" | "status" | "problems" | "etag" | "body">): object {
  const codes = [...COMMON_PROBLEMS, ...(route.body === undefined ? [] : (["LW413"] as const)), ...(route.problems ?? [])];
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set<ErrorCode>(codes)) {
    byStatus.set(ERRORS[code].status, [...(byStatus.get(ERRORS[code].status) ?? []), code]);
  }
  return {
    [route.status ?? 200]: {
      description: route.answer.description ?? "Done.",
      content: { "application/json": { schema: route.answer } },
    },
    ...(route.etag === true ? { 304: z.null().describe("It is as the ETag in If-None-Match says.") } : {}),
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
