import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { jobResultSchema, resultQuery } from "../../../contract/jobs.ts";
import { jobId } from "../../../contract/values.ts";
import { parseDuration } from "../../../duration.ts";
import { LegworkError } from "../../../errors.ts";
import { readResult, type ResultRow } from "../../../jobs/job-result.ts";
import { addRoute, type RestContext } from "../route.ts";

/** The maximum number of jobs that a server's clients wait for at a time. Each costs memory, but no database connection. */
const MOST_WAITS = 20_000;

/** Adds the route that waits for a job's result. */
export function addResultRoute(app: FastifyInstance, context: RestContext): void {
  const { waits } = context;
  // When the server stops, open requests get a response with the current state of their jobs.
  app.addHook("preClose", () => waits.stop());
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/jobs/:id/result",
      tag: "jobs",
      role: "viewer",
      summary: "Get a job's result, and wait for it",
      description:
        "Always returns 200: `finishedAt` says whether the job has ended, and `state` says how. With `wait`, the response is sent when the job has ended or this time has passed. " +
        "To wait longer, repeat the request. Waiting uses no database connection.",
      params: z.object({ id: jobId }),
      query: resultQuery,
      answer: jobResultSchema,
      problems: ["LW404"],
    },
    async ({ client, params }) => await readResult(client, params.id),
    async (given, { query, reply, signal }) => {
      const { id, finished_at: finishedAt } = given as ResultRow;
      const wait = parseDuration(query.wait) ?? 0;
      if (finishedAt !== null || wait === 0) return false;
      if (waits.size >= MOST_WAITS) {
        throw new LegworkError("LW429", `This server is already waiting for ${MOST_WAITS} jobs.`, {
          hint: "Repeat the request later, or without wait.",
          retryAt: new Date(Date.now() + 1_000),
        });
      }
      const timer = new AbortController();
      const handle = setTimeout(() => timer.abort(), wait);
      try {
        await waits.ended(id, AbortSignal.any([signal, timer.signal]));
      } catch {
        // Whatever ended the wait, the response reports the job's current state, or that the job no longer exists.
      } finally {
        clearTimeout(handle);
      }
      // A stopping server waits for its connections to close.
      if (waits.isStopped) reply.header("connection", "close");
      return true;
    },
  );
}
