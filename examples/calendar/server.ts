import Fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import { LegworkError, type Queryable } from "legwork";
import { withPrincipal } from "legwork/operations";
import type { Pool } from "pg";
import { archiveHealth, archiveStatus, removeArchives, scheduleArchive, type ScheduleRequest, triggerArchive } from "./jobs.ts";
import { actingFor, callerOf } from "./users.ts";

/**
 * Creates the app's routes. Each request carries a user's token and runs in a transaction that the database confines to that user's jobs and
 * schedules. Errors are returned with their status and `{"error": {code, message, hint}}`.
 */
export function createCalendarServer(pool: Pool): FastifyInstance {
  const app = Fastify({ bodyLimit: 64 * 1024 });

  /** Does the work on behalf of the user to whom the request's token belongs. */
  async function asUser<T>(request: FastifyRequest, work: (client: Queryable, userId: number) => Promise<T>): Promise<T> {
    const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
    const caller = await callerOf(pool, token);
    const { userId } = caller;
    if (userId === undefined)
      throw new LegworkError("LW403", "An admin has no calendar. Use a user's token, or the command line.");
    return await withPrincipal(pool, actingFor(caller, userId), "rest", (client) => work(client, userId));
  }

  app.post("/jobs/schedule", async (request, reply) => {
    const job = await asUser(request, (client, userId) => scheduleArchive(client, userId, request.body as ScheduleRequest));
    return await reply.code(job.replaced ? 200 : 201).send(job);
  });
  app.post("/jobs/trigger", async (request, reply) => {
    const job = await asUser(request, (client, userId) => triggerArchive(client, userId, request.body));
    return await reply.code(202).send(job);
  });
  app.get("/jobs/status", (request) => asUser(request, archiveStatus));
  app.post("/jobs/remove", (request) => asUser(request, (client, userId) => removeArchives(client, userId, request.body)));
  // For monitoring: needs no token and returns no user's data.
  app.get("/jobs/health", async (_request, reply) => {
    const health = await archiveHealth(pool);
    return await reply.code(health.status === "unhealthy" ? 503 : 200).send(health);
  });

  app.setErrorHandler((error, _request, reply) => {
    if (error instanceof LegworkError) {
      return reply.code(error.status).send({ error: { code: error.code, message: error.message, hint: error.hint } });
    }
    const { statusCode = 500, message } = error as Error & { statusCode?: number };
    // Clients do not see the details of internal errors.
    if (statusCode < 500) return reply.code(statusCode).send({ error: { code: "LW400", message } });
    process.stderr.write(`${(error as Error).stack ?? message}\n`);
    return reply.code(500).send({ error: { code: "LW500", message: "An internal error occurred." } });
  });
  return app;
}
