import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Pool } from "../db/pool.ts";
import { LegworkError } from "../errors.ts";
import { readHealth } from "../health/read-health.ts";
import { Metrics } from "./metrics.ts";

/**
 * Adds `GET /metrics` and `GET /health/details`. Both tell of all tenants, so `assertAccess` must let in only who may see all of them; with
 * `metricsToken`, a Prometheus may use that token for `/metrics` and for nothing else.
 */
export async function addHealthRoutes(
  app: FastifyInstance,
  options: { pool: Pool; metricsToken: string | undefined; assertAccess: (request: FastifyRequest) => void | Promise<void> },
): Promise<void> {
  const { pool, metricsToken, assertAccess } = options;
  const metrics = new Metrics(pool);
  app.addHook("onClose", async () => metrics.stop());
  app.get(
    "/metrics",
    { onRequest: async (request) => (isBearer(request, metricsToken) ? undefined : await assertAccess(request)) },
    async (_request, reply) => {
      const text = await metrics.read();
      return reply.type(metrics.contentType).send(text);
    },
  );
  app.get("/health/details", { onRequest: async (request) => await assertAccess(request) }, async (_request, reply) => {
    const rows = await readHealth(pool);
    const status = rows.find(({ scope }) => scope === "system")?.status ?? "healthy";
    return reply.status(status === "unhealthy" ? 503 : 200).send({ status, parts: rows });
  });
}

/** What a load balancer asks: whether the database answers, and how many workers live. Throws LW503 when it does not answer in time. */
export async function readReadiness(pool: Pool, timeout: number): Promise<{ status: "ready"; workers: number }> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeout / 1_000} s`)), timeout);
  });
  try {
    const answer = pool.query(
      "select count(*)::int as workers from legwork.workers where not suspected and seen_at > clock_timestamp() - interval '10 seconds'",
    );
    const { rows } = await Promise.race([answer, late]);
    return { status: "ready", workers: rows[0]?.workers ?? 0 };
  } catch (error) {
    throw new LegworkError("LW503", "The database does not answer.", {
      hint: "The server goes on by itself when it does.",
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

function isBearer(request: FastifyRequest, token: string | undefined): boolean {
  const given = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? "")?.[1];
  return given !== undefined && token !== undefined && timingSafeEqual(digest(given), digest(token));
}

/** Digests have one length, which timingSafeEqual needs and which tells nothing of the token's. */
function digest(value: string): Buffer {
  return createHash("sha256").update(value).digest();
}
