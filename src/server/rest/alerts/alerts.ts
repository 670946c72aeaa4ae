import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { acknowledgeAlert } from "../../../health/acknowledge-alert.ts";
import { listAlerts } from "../../../health/list-alerts.ts";
import { readHealth } from "../../../health/read-health.ts";
import { readTaskStatistics } from "../../../health/read-statistics.ts";
import { endSilence, listSilences, silenceAlerts } from "../../../health/silence-alerts.ts";
import { addAlertRuleRoutes } from "./alert-rules.ts";
import { addRoute, type RestContext } from "../route.ts";
import { duration, jobId, page, pageLimit, text } from "../values.ts";

const at = z.iso.datetime();

/** A row of `legwork.alerts`, as JSON. */
export const alertSchema = z
  .object({
    id: z.string(),
    rule: z.string(),
    kind: z.string(),
    target: z.string().describe("The task, queue, schedule or host that it is about; empty for the whole."),
    state: z.enum(["open", "acknowledged", "resolved"]),
    severity: z.enum(["warning", "critical"]),
    message: z.string(),
    value: z.number(),
    threshold: z.number(),
    raised_at: at,
    resolved_at: at.nullable(),
    acknowledged_at: at.nullable(),
    acknowledged_by: z.string().nullable(),
    note: z.string().nullable(),
    silenced: z.boolean(),
  })
  .loose()
  .describe("An alert: a row of legwork.alerts.");

const numberOrNull = z.number().nullable();

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
      query: z.strictObject({
        all: z.stringbool().default(false).describe("Also those that are resolved."),
        limit: pageLimit,
      }),
      answer: page(alertSchema, "The alerts."),
    },
    async ({ client, query }) => ({ items: await listAlerts(client, query), next_cursor: null }),
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
      body: z
        .strictObject({ note: text(1_000).optional() })
        .optional()
        .meta({ examples: [{ note: "the provider is down" }] }),
      answer: z.object({ acknowledged: z.literal(true) }),
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
      answer: page(
        z
          .object({
            id: z.string(),
            rule: z.string().nullable().describe("Null for every rule."),
            target: z.string().nullable().describe("Null for everything."),
            until: at,
            reason: z.string().nullable(),
            silenced_by: z.string(),
            silenced_at: at,
          })
          .loose(),
        "The silences.",
      ),
    },
    async ({ client }) => ({ items: await listSilences(client), next_cursor: null }),
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
      body: z
        .strictObject({
          duration,
          rule: text(128).optional(),
          target: text(512).optional(),
          reason: text(1_000).optional(),
        })
        .meta({ examples: [{ duration: "30m", reason: "planned work" }] }),
      status: 201,
      answer: z.object({ id: z.string() }).describe("The silence."),
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
      answer: z.object({ ended: z.boolean().describe("Whether there was one.") }),
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
      answer: page(
        z.object({
          scope: z.string(),
          name: z.string(),
          status: z.enum(["healthy", "degraded", "unhealthy"]),
          reasons: z.array(z.string()),
        }),
        "What is healthy and what is not.",
      ),
    },
    async ({ client }) => ({ items: await readHealth(client), next_cursor: null }),
  );
  addRoute(
    app,
    context,
    {
      ...viewing,
      url: "/task-statistics",
      summary: "See what became of each task's jobs lately, and how long they waited and ran",
      description: "From the metrics, which are counted by the minute: nothing of the history is read.",
      query: z.strictObject({ period: duration.default("1h").describe("How far back.") }),
      answer: page(
        z
          .object({
            task: z.string(),
            completed: z.string(),
            failed: z.string(),
            error_rate: numberOrNull,
            wait_p95: numberOrNull,
            run_p95: numberOrNull,
          })
          .loose(),
        "The tasks whose jobs ended in that time. Counts are text; times are seconds.",
      ),
    },
    async ({ client, query: { period } }) => ({ items: await readTaskStatistics(client, period), next_cursor: null }),
  );
}
