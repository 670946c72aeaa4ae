import { z } from "zod";
import { cursorOver, page, pageLimit } from "./page.ts";
import { ROLES } from "./roles.ts";
import { at, count, jobId, text, time } from "./values.ts";

export const meSchema = z
  .object({
    subject: z.string().describe("How the audit log names you."),
    role: z.enum(ROLES),
    tenant: z.string().nullable().describe("The only tenant whose rows you see and touch; null for all."),
    expires_at: at.nullable(),
    version: z.string().describe("The server's."),
  })
  .describe("You.");

export const overviewSchema = z
  .object({
    running: count,
    pending: count,
    blocked: count,
    paused: count,
    later: count,
    oldest: at.nullable().describe("Since when the job that has waited longest could have started."),
    failed: count.describe("Failed jobs that can be retried."),
    counted_at: at
      .nullable()
      .describe("When the jobs were counted, where more than 2,000 live; null for within the last second."),
    queues: z.int(),
    tasks: z.int(),
    workers: z.int(),
    concurrency: z.int().describe("Jobs that all living workers together run at a time."),
    stopped_at: at.nullable().describe("Since when everything is stopped; null when it is not."),
    stopped_by: z.string().nullable(),
    stop_reason: z.string().nullable(),
  })
  .describe("How the whole system is.");

export const stopBody = z
  .strictObject({ reason: text(1_000).optional() })
  .optional()
  .meta({ examples: [{ reason: "wrong mails are going out" }] });

export const auditCursor = cursorOver("audit", jobId);
export const auditQuery = z
  .strictObject({
    target_type: text(64)
      .optional()
      .describe("job, jobs, queue, task, all, schedule, workflow, alert, alert_rule, silence, token, login or setting."),
    target: text(512).optional().describe("With target_type: its id or name."),
    operation: text(64).optional().describe("What was done: cancel_job, pause, limit …"),
    actor: text(256).optional().describe("Who did it: a token's subject or a database login."),
    tenant: text(256).optional(),
    since: time.optional().describe("From then on."),
    cursor: auditCursor.schema.optional(),
    limit: pageLimit,
  })
  // The index begins with the kind.
  .refine(({ target_type, target }) => target === undefined || target_type !== undefined, {
    error: "a target is found by its kind and its name together: add target_type",
    path: ["target"],
  });
export const auditLineSchema = z
  .object({
    id: z.string(),
    occurred_at: at,
    actor: z.string().nullable().describe("The token's subject, for what came through the server."),
    database_role: z.string(),
    surface: z.string().describe("sql, cli, rest, graphql, dashboard or worker."),
    operation: z.string(),
    target_type: z.string(),
    target: z.string().nullable(),
    tenant: z.string().nullable(),
    count: z.string().nullable().describe("To how many, for what is done to many, as text."),
    before: z.unknown(),
    after: z.unknown(),
  })
  .loose();
export const auditPage = page(auditLineSchema, "A page of the audit log.");

export const findingSchema = z.object({
  check: z.string(),
  severity: z.enum(["critical", "warning", "ok"]),
  finding: z.string(),
  fix: z.string().nullable(),
  detail: z.unknown(),
});
export const findingPage = page(findingSchema, "What was looked at, the worst first.");
