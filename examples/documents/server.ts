import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { LegworkError, type Queryable } from "legwork";
import { findToken, withPrincipal } from "legwork/operations";
import type { Pool } from "pg";
import {
  executeJob,
  listDeadLetters,
  listJobs,
  readJobHealth,
  readSummary,
  redriveDeadLetter,
  registerJob,
  removeJob,
  showJob,
  switchJob,
} from "./jobs.ts";

type WithId = FastifyRequest<{ Params: { id: string } }>;

/**
 * Creates the app's routes below /api/v1/background-jobs. They accept Legwork's tokens: a viewer's for reading, an operator's for changes; the database checks
 * the role. Errors are returned with their status and `{"error": {code, message, hint}}`.
 */
export function createDocumentsServer(pool: Pool): FastifyInstance {
  const app = Fastify({ bodyLimit: 256 * 1024 });

  async function as<T>(request: FastifyRequest, work: (client: Queryable) => Promise<T>): Promise<T> {
    const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
    const found = token === undefined ? undefined : await findToken(pool, token);
    if (found === undefined)
      throw new LegworkError("LW401", "A valid token is required.", { hint: "Create one with `legwork token create`." });
    // The app's jobs belong to no tenant, so tokens that are confined to a tenant are rejected.
    if (found.tenant !== null || found.role === "enqueuer")
      throw new LegworkError("LW403", "This token is not allowed to view these jobs.");
    return await withPrincipal(
      pool,
      { subject: `token:${found.name}`, role: found.role, tenant: null, tokenId: found.id },
      "rest",
      work,
    );
  }

  app.register(
    (routes, _options, done) => {
      routes.get("/health", (request, reply) =>
        as(request, readJobHealth).then((health) => reply.code(health.status === "unhealthy" ? 503 : 200).send(health)),
      );
      routes.get("/jobs", (request) => as(request, listJobs));
      routes.get("/jobs/:id", (request: WithId) => as(request, (client) => showJob(client, request.params.id)));
      routes.put("/jobs/:id", (request: WithId, reply: FastifyReply) =>
        as(request, (client) => registerJob(client, request.params.id, request.body)).then(({ job, isNew }) =>
          reply.code(isNew ? 201 : 200).send(job),
        ),
      );
      routes.delete("/jobs/:id", (request: WithId, reply: FastifyReply) =>
        as(request, (client) => removeJob(client, request.params.id)).then(() => reply.code(204).send()),
      );
      routes.post("/jobs/:id/execute", (request: WithId, reply: FastifyReply) =>
        as(request, (client) => executeJob(client, request.params.id)).then((started) => reply.code(202).send(started)),
      );
      routes.post("/jobs/:id/enable", (request: WithId) => as(request, (client) => switchJob(client, request.params.id, true)));
      routes.post("/jobs/:id/disable", (request: WithId) => as(request, (client) => switchJob(client, request.params.id, false)));
      routes.get("/stats/summary", (request) => as(request, readSummary));
      routes.get("/dead-letters", (request) => as(request, listDeadLetters));
      routes.post("/dead-letters/:id/retry", (request: WithId, reply: FastifyReply) =>
        as(request, (client) => redriveDeadLetter(client, request.params.id)).then((retried) => reply.code(202).send(retried)),
      );
      done();
    },
    { prefix: "/api/v1/background-jobs" },
  );

  app.setErrorHandler((error, _request, reply) => {
    if (error instanceof LegworkError) {
      return reply.code(error.status).send({ error: { code: error.code, message: error.message, hint: error.hint } });
    }
    const { statusCode = 500, message } = error as Error & { statusCode?: number };
    if (statusCode < 500) return reply.code(statusCode).send({ error: { code: "LW400", message } });
    // Clients do not see the details of internal errors.
    process.stderr.write(`${(error as Error).stack ?? message}\n`);
    return reply.code(500).send({ error: { code: "LW500", message: "An internal error occurred." } });
  });
  return app;
}
