import { readFile } from "node:fs/promises";
import helmet from "@fastify/helmet";
import Fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import { LegworkError, type Queryable } from "legwork";
import { withPrincipal } from "legwork/operations";
import type { Pool } from "pg";
import {
  jobsHealth,
  jobStatus,
  listProjects,
  projectJobs,
  queueStatus,
  refreshProject,
  removeJob,
  retryFailedJob,
} from "./jobs.ts";
import { type Caller, callerOf } from "./users.ts";

/** The page's files: path, file name and content type. */
const PAGE = [
  ["/", "index.html", "text/html; charset=utf-8"],
  ["/page.js", "page.js", "text/javascript; charset=utf-8"],
  ["/page.css", "page.css", "text/css; charset=utf-8"],
] as const;

type WithId = { Params: { id: string } };

/**
 * Creates the app's routes and serves its page. Each request carries a user's token and runs in a transaction that the database confines to that
 * user's jobs. Errors are returned with their status and `{"error": {code, message, hint}}`.
 */
export async function createProjectsServer(pool: Pool): Promise<FastifyInstance> {
  const app = Fastify({ bodyLimit: 64 * 1024 });
  // The page may run only its own script and connect only to its own server.
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
  });

  /** Does the work on behalf of the user to whom the request's token belongs. */
  async function asUser<T>(request: FastifyRequest, work: (client: Queryable, caller: Caller) => Promise<T>): Promise<T> {
    const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
    const caller = await callerOf(pool, token);
    return await withPrincipal(pool, caller.principal, "rest", (client) => work(client, caller));
  }

  app.get("/projects", (request) => asUser(request, (client, { userId }) => listProjects(client, userId)));
  app.post<WithId>("/projects/:id/refresh", async (request, reply) => {
    const accepted = await asUser(request, (client, caller) => refreshProject(client, caller, request.params.id));
    return await reply.code(202).send(accepted);
  });
  app.get<WithId>("/projects/:id/jobs", (request) =>
    asUser(request, (client, { userId }) => projectJobs(client, userId, request.params.id)),
  );
  app.get("/jobs/queue-status", (request) => asUser(request, (client, { userId }) => queueStatus(client, userId)));
  app.get<WithId>("/jobs/:id/status", (request) =>
    asUser(request, (client, { userId }) => jobStatus(client, userId, request.params.id)),
  );
  app.post<WithId>("/jobs/:id/retry", async (request, reply) => {
    const accepted = await asUser(request, (client, { userId }) => retryFailedJob(client, userId, request.params.id));
    return await reply.code(202).send(accepted);
  });
  app.delete<WithId>("/jobs/:id", async (request, reply) => {
    const answer = await asUser(request, (client, { userId }) => removeJob(client, userId, request.params.id));
    return await reply.code(answer.status === "cancelled" ? 200 : 202).send(answer);
  });
  // For monitoring: needs no token and returns no user's data.
  app.get("/health/jobs", async (_request, reply) => {
    const health = await jobsHealth(pool);
    return await reply.code(health.status === "unhealthy" ? 503 : 200).send(health);
  });
  for (const [path, file, type] of PAGE) {
    app.get(path, async (_request, reply) =>
      reply.type(type).send(await readFile(new URL(`page/${file}`, import.meta.url), "utf8")),
    );
  }

  app.setErrorHandler((error, _request, reply) => {
    if (error instanceof LegworkError) {
      if (error.retryAt !== undefined) {
        reply.header("retry-after", Math.max(1, Math.ceil((error.retryAt.getTime() - Date.now()) / 1_000)));
      }
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
