import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { diagnose } from "../../db/diagnose.ts";
import { emergencyStop, resumeAll } from "../../queues/pause.ts";
import { readOverview } from "../../queues/overview.ts";
import { addRoute, type RestContext } from "./route.ts";
import { page, text } from "./values.ts";

const at = z.iso.datetime();
const count = z.string().describe("A number, as text.");

const overviewSchema = z
  .object({
    running: count,
    pending: count,
    blocked: count,
    paused: count,
    later: count,
    oldest: at.nullable().describe("Since when the job that has waited longest could have started."),
    failed: count.describe("Failed jobs that can be retried."),
    queues: z.int(),
    tasks: z.int(),
    workers: z.int(),
    concurrency: z.int().describe("Jobs that all living workers together run at a time."),
    stopped_at: at.nullable().describe("Since when everything is stopped; null when it is not."),
    stopped_by: z.string().nullable(),
    stop_reason: z.string().nullable(),
  })
  .describe("How the whole system is.");

/** What concerns everything: the overview, the emergency stop, the doctor. */
export function addSystemRoutes(app: FastifyInstance, context: RestContext): void {
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/stats",
      tag: "system",
      role: "viewer",
      summary: "See how everything is, at a glance",
      answer: overviewSchema,
    },
    async ({ client }) => await readOverview(client),
  );
  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/emergency-stop",
      tag: "system",
      role: "operator",
      summary: "Stop everything: no job starts, what runs finishes",
      body: z
        .strictObject({ reason: text(1_000).optional() })
        .optional()
        .meta({ examples: [{ reason: "wrong mails are going out" }] }),
      answer: overviewSchema,
    },
    async ({ client, body }) => {
      await emergencyStop(client, body?.reason);
      return await readOverview(client);
    },
  );
  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/resume-all",
      tag: "system",
      role: "operator",
      summary: "End an emergency stop",
      description: "Queues and tasks that were paused for themselves stay paused.",
      answer: overviewSchema,
    },
    async ({ client }) => {
      await resumeAll(client);
      return await readOverview(client);
    },
  );
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/doctor",
      tag: "system",
      role: "admin",
      summary: "Say what is wrong with the job system and what to do about it",
      answer: page(
        z.object({
          check: z.string(),
          severity: z.enum(["critical", "warning", "ok"]),
          finding: z.string(),
          remedy: z.string().nullable(),
          detail: z.unknown(),
        }),
        "What was looked at, the worst first.",
      ),
    },
    async ({ client }) => ({ items: await diagnose(client), next_cursor: null }),
  );
}
