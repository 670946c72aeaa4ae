import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { fixInWordsOf } from "../../../action.ts";
import {
  attemptCursor,
  attemptPage,
  attemptQuery,
  jobCountPage,
  jobCountQuery,
  jobCursor,
  jobPage,
  jobQuery,
  jobWithAttemptsSchema,
  logCursor,
  logPage,
  logQuery,
  progressSchema,
  reasonPage,
  stepCursor,
  stepPage,
  stepQuery,
} from "../../../contract/jobs.ts";
import { MAX_LOOKED_AT } from "../../../bounds.ts";
import { MAX_PAGE_BYTES, toPage } from "../../../contract/page.ts";
import { jobId } from "../../../contract/values.ts";
import { linksOf } from "../../../job-links.ts";
import { timelinePage } from "../../../contract/timeline.ts";
import { countJobs } from "../../../jobs/count-jobs.ts";
import { explainJob } from "../../../jobs/explain-job.ts";
import { getJob, isByEnd, listAttempts, listJobsWithin, searchPayloads } from "../../../jobs/read-jobs.ts";
import { logsAfter } from "../../../jobs/read-logs.ts";
import { listStepsWithin } from "../../../jobs/read-steps.ts";
import { readTimeline } from "../../../jobs/read-timeline.ts";
import { addJobActionRoutes } from "./actions.ts";
import { addResultRoute } from "./result.ts";
import { REQUESTS } from "../../request-wording.ts";
import { addRoute, type RestContext } from "../route.ts";

const oneJob = z.object({ id: jobId });

/** Adds the routes that read jobs and those that act on a job. */
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
        "Returns waiting, running and finished jobs that match all given filters. A combination of filters that no index supports fails with LW400, " +
        "and the error says what to add: `priority` and `error` require a state other than completed, a correlation id, a parent or a job key.",
      query: jobQuery,
      answer: jobPage,
    },
    async ({ client, query }) => {
      const { cursor, limit, ...filter } = query;
      // A page consists of the first rows in an index's order. Sorting would first compute every column of every unfinished job. Jobs that ended
      // within a period are found through another index.
      if (!isByEnd(filter)) await client.query("set local enable_sort = off");
      const begins = filter.order === "oldest" ? "after" : "before";
      const asked = { ...filter, [begins]: cursor ?? filter[begins], limit: limit + 1 };
      const cursorOf = ({ id }: { id: string }): string => jobCursor.make(id);
      if (filter.payload === undefined) {
        const { rows, isMore } = await listJobsWithin(client, asked, MAX_PAGE_BYTES);
        const page = toPage(rows, limit, cursorOf, isMore);
        return filter.order === "longest" ? { ...page, nextCursor: null } : page;
      }
      const { rows, isMore, looked_at, looked_to } = await searchPayloads(client, asked, filter.payload, MAX_PAGE_BYTES);
      const found = toPage(rows, limit, cursorOf, isMore);
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
      url: "/job-counts",
      tag: "jobs",
      role: "viewer",
      summary: "Count jobs by state, task, queue, tenant or worker",
      description:
        "Counts the jobs that match all given filters. The counts of a field ignore the filter on that field, so they show what each of its values would " +
        "match. At most 10,000 jobs are counted for each value. With more than 2,000 unfinished jobs, their counts are a few seconds old.",
      query: jobCountQuery,
      answer: jobCountPage,
    },
    async ({ client, query: { by, ...filter } }) => ({ items: await countJobs(client, filter, by), nextCursor: null }),
  );

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/jobs/:id",
      tag: "jobs",
      role: "viewer",
      summary: "Get a job with its attempts",
      params: oneJob,
      answer: jobWithAttemptsSchema,
      problems: ["LW404"],
      etag: true,
    },
    async ({ client, params }) => {
      const job = await getJob(client, params.id);
      const { id: jobId, trace_id: traceId, correlation_id: correlationId, task, queue, tenant } = job;
      return { ...job, links: linksOf(context.jobLinks ?? {}, { jobId, traceId, correlationId, task, queue, tenant }) };
    },
  );

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/jobs/:id/attempts",
      tag: "jobs",
      role: "viewer",
      summary: "List a job's attempts, oldest first",
      params: oneJob,
      query: attemptQuery,
      answer: attemptPage,
      problems: ["LW404"],
    },
    async ({ client, params, query: { cursor, limit } }) => {
      // Throws LW404 if the job does not exist or is another tenant's.
      await getJob(client, params.id);
      const after = Number(cursor ?? 0);
      const rows = await listAttempts(client, params.id, { after, limit: limit + 1 });
      return toPage(rows, limit, (last) => attemptCursor.make(String(after + rows.indexOf(last) + 1)));
    },
  );

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/jobs/:id/progress",
      tag: "jobs",
      role: "viewer",
      summary: "Show a job's progress",
      description:
        "The response is small enough for frequent polling. With `If-None-Match`, it is 304 while nothing has changed.",
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

  addResultRoute(app, context);

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/jobs/:id/logs",
      tag: "jobs",
      role: "viewer",
      summary: "List a job's log lines, oldest first",
      description:
        "To follow a running job, repeat the request with `nextCursor` as the cursor, or with the previous cursor while `nextCursor` is null.",
      params: oneJob,
      query: logQuery,
      answer: logPage,
      problems: ["LW404"],
    },
    async ({ client, params, query }) => {
      const rows = await logsAfter(client, params.id, query.cursor ?? query.after, query.limit + 1);
      // If the job does not exist, it has no lines either.
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
      summary: "List a job's steps in the order in which they started",
      params: oneJob,
      query: stepQuery,
      answer: stepPage,
      problems: ["LW404"],
    },
    async ({ client, params, query: { cursor, limit } }) => {
      // Throws LW404 if the job does not exist or is another tenant's.
      await getJob(client, params.id);
      const after = Number(cursor ?? 0);
      const { rows, isMore } = await listStepsWithin(client, params.id, { after, limit: limit + 1, maxBytes: MAX_PAGE_BYTES });
      return toPage(rows, limit, (last) => stepCursor.make(String(after + rows.indexOf(last) + 1)), isMore);
    },
  );

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/jobs/:id/timeline",
      tag: "jobs",
      role: "viewer",
      summary: "List what happened to a job, and why it waited",
      params: oneJob,
      answer: timelinePage,
      problems: ["LW404"],
    },
    async ({ client, params }) => ({ items: await readTimeline(client, params.id), nextCursor: null }),
  );

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/jobs/:id/explain",
      tag: "jobs",
      role: "viewer",
      summary: "Explain why a job is not running",
      params: oneJob,
      answer: reasonPage,
      problems: ["LW404"],
    },
    async ({ client, params }) => {
      const reasons = await explainJob(client, params.id);
      for (const reason of reasons) reason.fix = fixInWordsOf(REQUESTS, reason);
      return { items: reasons, nextCursor: null };
    },
  );

  addJobActionRoutes(app, context);
}
