import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { explainJob } from "../../../jobs/explain-job.ts";
import { getJob, JOB_STATES, listAttempts, listJobsWithin, MAX_LOOKED_AT, searchPayloads } from "../../../jobs/read-jobs.ts";
import { logsAfter } from "../../../jobs/read-logs.ts";
import { listStepsWithin } from "../../../jobs/read-steps.ts";
import { attemptSchema, jobSchema, jobWithAttemptsSchema, logLineSchema, reasonSchema } from "./job-schemas.ts";
import { addJobActionRoutes } from "./actions.ts";
import { addRoute, type RestContext } from "../route.ts";
import {
  cursorOver,
  jobId,
  MAX_PAGE_BYTES,
  page,
  pageLimit,
  queueName,
  taskName,
  text,
  time,
  toPage,
  wholeNumber,
} from "../values.ts";

const jobCursor = cursorOver("jobs", jobId);
const logCursor = cursorOver("logs", jobId);
const position = z.string().regex(/^\d{1,9}$/);
const attemptCursor = cursorOver("attempts", position);
const stepCursor = cursorOver("steps", position);
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
      query: z.strictObject({
        state: z.enum(JOB_STATES).optional(),
        task: taskName.optional(),
        queue: queueName.optional(),
        tenant: text(256).optional(),
        correlation_id: text(256).optional(),
        parent_id: jobId.optional().describe("Only what that job has enqueued."),
        job_key: text(512).optional(),
        priority: wholeNumber(-32_768, 32_767).optional(),
        error: text(1_000).optional().describe("A part of the error's message, in upper or lower case."),
        payload: text(1_000)
          .regex(/^[^:]+:/, "expected a path and a value, such as user.id:42")
          .optional()
          .describe(
            `A path in the payload and what stands there, such as user.id:42. Reads the payloads of ${MAX_LOOKED_AT.toLocaleString("en")} jobs that the other ` +
              "filters leave, at most; `looked_at` says of how many. A page may be empty and have a next one, which looks further.",
          ),
        brief: z.stringbool().optional().describe("Without payload and result, which are null then and may be large."),
        created_after: time.optional().describe("Created then or later."),
        created_before: time.optional(),
        order: z.enum(["newest", "oldest"]).default("newest").describe("Which come first."),
        cursor: jobCursor.schema.optional(),
        limit: pageLimit,
      }),
      answer: page(jobSchema, "A page of jobs.")
        .extend({
          looked_at: z.int().optional().describe("Of a search in payloads: how many were read for this page."),
          looked_to: z.string().nullable().optional().describe("Of a search in payloads: the last job whose payload was read."),
        })
        .describe("A page of jobs."),
    },
    async ({ client, query }) => {
      const { cursor, limit, correlation_id, parent_id, job_key, created_after, created_before, ...filter } = query;
      // A page is the first rows in the order of an index. Sorting would compute every column of every live job first.
      await client.query("set local enable_sort = off");
      const asked = {
        ...filter,
        correlationId: correlation_id,
        parentId: parent_id,
        jobKey: job_key,
        createdAfter: created_after,
        createdBefore: created_before,
        [filter.order === "oldest" ? "after" : "before"]: cursor,
        limit: limit + 1,
      };
      const cursorOf = ({ id }: { id: string }): string => jobCursor.make(id);
      if (filter.payload === undefined) {
        const { rows, isMore } = await listJobsWithin(client, asked, MAX_PAGE_BYTES);
        return toPage(rows, limit, cursorOf, isMore);
      }
      const { rows, isMore, looked_at, looked_to } = await searchPayloads(client, asked, filter.payload, MAX_PAGE_BYTES);
      const found = toPage(rows, limit, cursorOf, isMore);
      if (found.next_cursor === null && looked_to !== null && looked_at === MAX_LOOKED_AT)
        found.next_cursor = jobCursor.make(looked_to);
      return { ...found, looked_at, looked_to };
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
      url: "/jobs/:id/attempts",
      tag: "jobs",
      role: "viewer",
      summary: "List a job's attempts, oldest first",
      params: oneJob,
      query: z.strictObject({ cursor: attemptCursor.schema.optional(), limit: pageLimit }),
      answer: page(attemptSchema, "A page of attempts."),
      problems: ["LW404"],
    },
    async ({ client, params, query: { cursor, limit } }) => {
      // Also says when there is no such job, or it is another tenant's.
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
      summary: "See how far a job is",
      description: "Small enough to be asked for often: with `If-None-Match` the answer is 304 while nothing has changed.",
      params: oneJob,
      answer: z
        .object({
          id: z.string(),
          state: z.enum(JOB_STATES),
          attempts: z.int(),
          progress: z.number().nullable(),
          progress_message: z.string().nullable(),
        })
        .describe("How far the job is, by its task's own account."),
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
      description: "To follow a job that runs, ask again with the cursor `next_cursor`, or with the last one while that is null.",
      params: oneJob,
      query: z.strictObject({ cursor: logCursor.schema.optional(), limit: pageLimit }),
      answer: page(logLineSchema, "A page of log lines."),
      problems: ["LW404"],
    },
    async ({ client, params, query }) => {
      const rows = await logsAfter(client, params.id, query.cursor, query.limit + 1);
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
      query: z.strictObject({
        cursor: stepCursor.schema.optional(),
        limit: pageLimit.default(500).describe("Steps of the page."),
      }),
      answer: page(
        z
          .object({
            kind: z.enum(["run", "wait", "sleep"]),
            name: z.string(),
            state: z.enum(["completed", "timed_out", "waiting"]),
            result: z.unknown(),
            attempt: z.int(),
            started_at: z.iso.datetime(),
            finished_at: z.iso.datetime().nullable(),
            deadline: z.iso.datetime().nullable().describe("Until when it waits; null for ever, and for what does not wait."),
          })
          .loose(),
        "The steps.",
      ),
      problems: ["LW404"],
    },
    async ({ client, params, query: { cursor, limit } }) => {
      // Also says when there is no such job, or it is another tenant's.
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
      url: "/jobs/:id/explain",
      tag: "jobs",
      role: "viewer",
      summary: "Say why a job does not run",
      params: oneJob,
      answer: page(reasonSchema, "Every reason, in the order in which they hold the job back."),
      problems: ["LW404"],
    },
    async ({ client, params }) => ({ items: await explainJob(client, params.id), next_cursor: null }),
  );

  addJobActionRoutes(app, context);
}
