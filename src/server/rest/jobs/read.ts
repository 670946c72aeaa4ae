import type { FastifyInstance } from "fastify";
import { z } from "zod";
import {
  jobCursor,
  jobPage,
  jobQuery,
  jobWithAttemptsSchema,
  logCursor,
  logPage,
  logQuery,
  progressSchema,
  reasonPage,
  stepPage,
} from "../../../contract/jobs.ts";
import { MAX_LOOKED_AT } from "../../../bounds.ts";
import { toPage } from "../../../contract/page.ts";
import { jobId } from "../../../contract/values.ts";
import { explainJob } from "../../../jobs/explain-job.ts";
import { getJob, listJobs, searchPayloads } from "../../../jobs/read-jobs.ts";
import { logsAfter } from "../../../jobs/read-logs.ts";
import { listSteps } from "../../../jobs/read-steps.ts";
import { addJobActionRoutes } from "./actions.ts";
import { addRoute, type RestContext } from "../route.ts";

const oneJob = z.object({ id: jobId });

/** Reading jobs, and what can be done with one. */
export function addJobRoutes(app: FastifyInstance, context: RestContext): void {
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/jobs",
      tag: "jobs",
      role: "viewer",
      summary: "List jobs, newest first",
      description:
        "Waiting, running and finished jobs. All filters that are given must hold. A combination that no index serves is refused with LW400, " +
        "which says what to add: `priority` and `error` need a state other than completed, a correlation id, a parent or a job key.",
      query: jobQuery,
      answer: jobPage,
    },
    async ({ client, query }) => {
      const { cursor, limit, ...filter } = query;
      // A page is the first rows in the order of an index. Sorting would compute every column of every live job first.
      await client.query("set local enable_sort = off");
      const begins = filter.order === "oldest" ? "after" : "before";
      const asked = { ...filter, [begins]: cursor ?? filter[begins], limit: limit + 1 };
      if (filter.payload === undefined) return toPage(await listJobs(client, asked), limit, ({ id }) => jobCursor.make(id));
      const { rows, looked_at, looked_to } = await searchPayloads(client, asked, filter.payload);
      const found = toPage(rows, limit, ({ id }) => jobCursor.make(id));
      if (found.nextCursor === null && looked_to !== null && looked_at === MAX_LOOKED_AT)
        found.nextCursor = jobCursor.make(looked_to);
      return { ...found, lookedAt: looked_at, lookedTo: looked_to };
    },
  );

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/jobs/:id",
      tag: "jobs",
      role: "viewer",
      summary: "Get one job with its attempts",
      params: oneJob,
      answer: jobWithAttemptsSchema,
      problems: ["LW404"],
      etag: true,
    },
    async ({ client, params }) => await getJob(client, params.id),
  );

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/jobs/:id/progress",
      tag: "jobs",
      role: "viewer",
      summary: "See how far a job is",
      description: "Small enough to be asked for often: with `If-None-Match` the answer is 304 while nothing has changed.",
      params: oneJob,
      answer: progressSchema,
      problems: ["LW404"],
      etag: true,
    },
    async ({ client, params }) => {
      const { id, state, attempts, progress, progress_message } = await getJob(client, params.id);
      return { id, state, attempts, progress, progress_message };
    },
  );

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/jobs/:id/logs",
      tag: "jobs",
      role: "viewer",
      summary: "Read what a job has logged, oldest line first",
      description: "To follow a job that runs, ask again with the cursor `nextCursor`, or with the last one while that is null.",
      params: oneJob,
      query: logQuery,
      answer: logPage,
      problems: ["LW404"],
    },
    async ({ client, params, query }) => {
      const rows = await logsAfter(client, params.id, query.cursor ?? query.after, query.limit + 1);
      // No lines may also mean that there is no job.
      if (rows.length === 0) await getJob(client, params.id);
      return toPage(rows, query.limit, ({ id }) => logCursor.make(id));
    },
  );

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/jobs/:id/steps",
      tag: "jobs",
      role: "viewer",
      summary: "See the steps of a job, in the order in which they began",
      params: oneJob,
      answer: stepPage,
      problems: ["LW404"],
    },
    async ({ client, params }) => {
      // Also says when there is no such job, or it is another tenant's.
      await getJob(client, params.id);
      return { items: await listSteps(client, params.id), nextCursor: null };
    },
  );

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/jobs/:id/explain",
      tag: "jobs",
      role: "viewer",
      summary: "Say why a job does not run",
      params: oneJob,
      answer: reasonPage,
      problems: ["LW404"],
    },
    async ({ client, params }) => ({ items: await explainJob(client, params.id), nextCursor: null }),
  );

  addJobActionRoutes(app, context);
}
