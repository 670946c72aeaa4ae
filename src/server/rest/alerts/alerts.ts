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

/** Adds the routes for alerts, health and task statistics. They cover all tenants, so clients that are restricted to one are rejected. */
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
      summary: "Acknowledge an alert",
      description: "No further notifications are sent until the alert is resolved.",
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
      summary: "List active silences, earliest end first",
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
      summary: "Silence alerts for a period",
      description: "Alerts are still raised and resolved, but not sent.",
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
      summary: "End a silence early",
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
      summary: "Show the health of the system, its tasks, queues, schedules and hosts",
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
      summary: "Show how each task's jobs ended recently, and how long they waited and ran",
      description: "The data comes from metrics that are counted per minute; the history is not read.",
      query: taskStatisticsQuery,
      answer: taskStatisticsPage,
    },
    async ({ client, query: { period } }) => ({ items: await readTaskStatistics(client, period), nextCursor: null }),
  );
}
