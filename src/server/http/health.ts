import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Pool } from "../../db/pool.ts";
import { LegworkError, toError } from "../../errors.ts";
import { durationInWords } from "../../wording.ts";
import type { Problems } from "../../health/problems.ts";
import { readHealth } from "../../health/read-health.ts";
import type { Authenticator } from "../auth/authenticate.ts";
import { Metrics } from "./metrics.ts";
import type { Principal } from "../../access/principal.ts";

/** Adds `GET /metrics` and `GET /health/details`. Both cover all tenants, so `assertAccess` must reject clients that are restricted to one. */
export async function addHealthRoutes(
  app: FastifyInstance,
  options: { pool: Pool; assertAccess: (request: FastifyRequest) => void },
): Promise<void> {
  const { pool, assertAccess } = options;
  const metrics = new Metrics(pool);
  app.addHook("onClose", async () => metrics.stop());
  app.addHook("onRequest", async (request) => assertAccess(request));
  app.get("/metrics", async (_request, reply) => {
    const text = await metrics.read();
    return reply.type(metrics.contentType).send(text);
  });
  app.get("/health/details", async (_request, reply) => {
    const rows = await readHealth(pool);
    const status = rows.find(({ scope }) => scope === "system")?.status ?? "healthy";
    return reply.status(status === "unhealthy" ? 503 : 200).send({ status, parts: rows });
  });
}

/**
 * Checks readiness for load balancers: the database responds and is writable, and the worker in this process, if any, is working. Returns how many
 * workers are running. Throws LW503 with the reason when a check fails.
 */
export async function readReadiness(
  pool: Pool,
  options: { timeout: number; problems: Problems | undefined },
): Promise<{ status: "ready"; workers: number }> {
  const { timeout, problems } = options;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`it did not respond within ${durationInWords(timeout)}`)), timeout);
  });
  let row: { workers: number; is_read_only: boolean; faults: string[] | null };
  try {
    const { rows } = await Promise.race([pool.query(READINESS), late]);
    row = rows[0];
  } catch (error) {
    throw new LegworkError("LW503", `The database cannot be used: ${toError(error).message}.`, {
      hint: "The server recovers automatically once the database is available.",
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
  const [problem] = problems?.list() ?? [];
  if (problem !== undefined)
    throw new LegworkError("LW503", problem, { hint: "The worker recovers automatically once the cause is fixed." });
  if (row.is_read_only) {
    throw new LegworkError("LW503", "The database is read-only.", { hint: "Jobs wait until it is writable." });
  }
  const [fault] = row.faults ?? [];
  if (row.workers === 0 && fault !== undefined) {
    throw new LegworkError("LW503", `No worker is running. The last error of a worker: ${fault}`, {
      hint: "Run `legwork doctor` for details.",
    });
  }
  return { status: "ready", workers: row.workers };
}

/** Errors of workers in the last 30 seconds matter only while no worker is running. */
const READINESS = `select
    pg_is_in_recovery() or current_setting('transaction_read_only') = 'on' as is_read_only,
    (select count(*)::int from legwork.workers where not suspected and seen_at > clock_timestamp() - interval '10 seconds') as workers,
    legwork_private.last_worker_faults('30 seconds') as faults`;

/** Also accepts the metrics token, for `/metrics` only. */
export function withMetricsToken(authenticator: Authenticator, token: string | undefined): Authenticator {
  if (token === undefined) return authenticator;
  return {
    async authenticate(request) {
      const isMetrics = (request as Partial<FastifyRequest>).routeOptions?.url === "/metrics";
      return isMetrics && isBearer(request, token) ? PROMETHEUS : await authenticator.authenticate(request);
    },
  };
}

const PROMETHEUS: Principal = { subject: "metrics token", role: "viewer", tenant: null };

function isBearer({ headers }: Pick<FastifyRequest, "headers">, token: string): boolean {
  const given = /^Bearer +(.+)$/i.exec(headers.authorization ?? "")?.[1];
  return given !== undefined && timingSafeEqual(digest(given), digest(token));
}

/** All digests have the same length, which timingSafeEqual requires and which reveals nothing about the token's length. */
function digest(value: string): Buffer {
  return createHash("sha256").update(value).digest();
}
