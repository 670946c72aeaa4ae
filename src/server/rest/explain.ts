import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { fixInWordsOf } from "../../action.ts";
import { reasonPage } from "../../contract/jobs.ts";
import { scheduleName } from "../../contract/schedules.ts";
import { jobId, queueName, text } from "../../contract/values.ts";
import type { Reason } from "../../jobs/explain-job.ts";
import { explainQueue } from "../../queues/explain-queue.ts";
import { explainWorker } from "../../queues/explain-worker.ts";
import { explainSchedule } from "../../schedules/explain-schedule.ts";
import { explainWorkflow } from "../../workflows/explain-workflow.ts";
import { REQUESTS } from "../request-wording.ts";
import { addRoute, type RestContext } from "./route.ts";

/** Adds the routes that explain queues, schedules, workflows and workers. The route that explains a job is with the other routes for one job. */
export function addExplainRoutes(app: FastifyInstance, context: RestContext): void {
  const route = { method: "GET", role: "viewer", answer: reasonPage, problems: ["LW404"] } as const;
  addRoute(
    app,
    context,
    {
      ...route,
      url: "/queues/:name/explain",
      tag: "queues",
      summary: "Explain why a queue is stuck or falling behind",
      params: z.object({ name: queueName }),
    },
    async ({ client, params }) => asPage(await explainQueue(client, params.name)),
  );
  addRoute(
    app,
    context,
    {
      ...route,
      url: "/schedules/:name/explain",
      tag: "schedules",
      summary: "Explain why a schedule has not fired, and what happened to its last occurrences",
      params: z.object({ name: scheduleName }),
    },
    async ({ client, params }) => asPage(await explainSchedule(client, params.name)),
  );
  addRoute(
    app,
    context,
    {
      ...route,
      url: "/workflows/:id/explain",
      tag: "workflows",
      summary: "Explain why a workflow does not progress, or how it ended",
      params: z.object({ id: jobId }),
    },
    async ({ client, params }) => asPage(await explainWorkflow(client, params.id)),
  );
  addRoute(
    app,
    context,
    {
      ...route,
      url: "/workers/:id/explain",
      tag: "workers",
      everybody: true,
      summary: "Explain what is wrong with a worker",
      params: z.object({ id: text(200) }),
    },
    async ({ client, params }) => asPage(await explainWorker(client, params.id)),
  );
}

function asPage(reasons: readonly Reason[]): { items: Reason[]; nextCursor: null } {
  return { items: reasons.map((reason) => ({ ...reason, fix: fixInWordsOf(REQUESTS, reason) })), nextCursor: null };
}
