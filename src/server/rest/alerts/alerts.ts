import type { FastifyInstance } from "fastify";
import { z } from "zod";
import {
  acknowledgeBody,
  acknowledgedSchema,
  alertPage,
  alertQuery,
  endedSilenceSchema,
  healthPage,
  silenceBody,
  silencePage,
  startedSilenceSchema,
  taskStatisticsPage,
  taskStatisticsQuery,
} from "../../../contract/alerts.ts";
import { jobId } from "../../../contract/values.ts";
import { acknowledgeAlert } from "../../../health/acknowledge-alert.ts";
import { listAlerts } from "../../../health/list-alerts.ts";
import { readHealth } from "../../../health/read-health.ts";
import { readTaskStatistics } from "../../../health/read-statistics.ts";
import { endSilence, listSilences, silenceAlerts } from "../../../health/silence-alerts.ts";
import { addAlertRuleRoutes } from "./alert-rules.ts";
import { addRoute, type RestContext } from "../route.ts";

/** Alerts, health and what became of the jobs of each task: of every tenant, and so for nobody who acts for one. */
export function addAlertRoutes(app: FastifyInstance, context: RestContext): void {
  const viewing = { method: "GET", tag: "alerts", role: "viewer", everybody: true } as const;
  const acting = { method: "POST", tag: "alerts", role: "operator", everybody: true } as const;

  addRoute(
    app,
    context,
    {
      ...viewing,
      url: "/alerts",
      summary: "List alerts, newest first",
      query: alertQuery,
      answer: alertPage,
    },
    async ({ client, query }) => ({ items: await listAlerts(client, query), nextCursor: null }),
  );
  addRoute(
    app,
    context,
    {
      ...acting,
      url: "/alerts/:id/acknowledge",
      summary: "Say that somebody looks after an alert",
      description: "Nobody is told of it again before it is resolved.",
      params: z.object({ id: jobId }),
      body: acknowledgeBody,
      answer: acknowledgedSchema,
      problems: ["LW404", "LW409"],
    },
    async ({ client, params: { id }, body, principal }) => {
      await acknowledgeAlert(client, id, { note: body?.note, by: principal.subject });
      return { acknowledged: true };
    },
  );
  addRoute(
    app,
    context,
    {
      ...viewing,
      url: "/silences",
      summary: "List the silences that hold, the one that ends first first",
      answer: silencePage,
    },
    async ({ client }) => ({ items: await listSilences(client), nextCursor: null }),
  );
  addAlertRuleRoutes(app, context);
  addRoute(
    app,
    context,
    {
      ...acting,
      url: "/silences",
      summary: "Tell nobody of alerts for some time",
      description: "They are raised and resolved all the same.",
      body: silenceBody,
      status: 201,
      answer: startedSilenceSchema,
      problems: ["LW404"],
    },
    async ({ client, body: { duration: length, ...of } }) => ({ id: await silenceAlerts(client, length, of) }),
  );
  addRoute(
    app,
    context,
    {
      ...acting,
      url: "/silences/:id/end",
      summary: "End a silence before its time",
      params: z.object({ id: jobId }),
      answer: endedSilenceSchema,
    },
    async ({ client, params: { id } }) => ({ ended: await endSilence(client, id) }),
  );
  addRoute(
    app,
    context,
    {
      ...viewing,
      url: "/health",
      summary: "See how the system, its tasks, queues, schedules and hosts are",
      answer: healthPage,
    },
    async ({ client }) => ({ items: await readHealth(client), nextCursor: null }),
  );
  addRoute(
    app,
    context,
    {
      ...viewing,
      url: "/task-statistics",
      summary: "See what became of each task's jobs lately, and how long they waited and ran",
      description: "From the metrics, which are counted by the minute: nothing of the history is read.",
      query: taskStatisticsQuery,
      answer: taskStatisticsPage,
    },
    async ({ client, query: { period } }) => ({ items: await readTaskStatistics(client, period), nextCursor: null }),
  );
}
