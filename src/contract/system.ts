import { z } from "zod";
import { type Answer, row } from "./rows.ts";
import { at } from "./times.ts";
import { cursorOver, page, pageLimit } from "./page.ts";
import { ROLES } from "./roles.ts";
import { count, jobId, text, time } from "./values.ts";

export const meSchema = z
  .object({
    subject: z.string().describe("How the audit log names you."),
    role: z.enum(ROLES),
    tenant: z.string().nullable().describe("The only tenant whose rows you see and touch; null for all."),
    expiresAt: at.nullable(),
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
    countedAt: at.nullable().describe("When the jobs were counted, where more than 2,000 live; null for within the last second."),
    queues: z.int(),
    tasks: z.int(),
    workers: z.int(),
    concurrency: z.int().describe("Jobs that all living workers together run at a time."),
    stoppedAt: at.nullable().describe("Since when everything is stopped; null when it is not."),
    stoppedBy: z.string().nullable(),
    stopReason: z.string().nullable(),
  })
  .describe("How the whole system is.");

export const stopBody = z
  .strictObject({ reason: text(1_000).optional() })
  .optional()
  .meta({ examples: [{ reason: "wrong mails are going out" }] });

export const auditCursor = cursorOver("audit", jobId);
export const auditQuery = z
  .strictObject({
    targetType: text(64)
      .optional()
      .describe("job, jobs, queue, task, all, schedule, workflow, alert, alert_rule, silence, token, login or setting."),
    target: text(512).optional().describe("With targetType: its id or name."),
    operation: text(64).optional().describe("What was done: cancel_job, pause, limit …"),
    actor: text(256).optional().describe("Who did it: a token's subject or a database login."),
    tenant: text(256).optional(),
    since: time.optional().describe("From then on."),
    before: jobId.optional().describe("Only lines with a smaller id: the next page."),
    cursor: auditCursor.schema.optional(),
    limit: pageLimit,
  })
  // The index begins with the kind.
  .refine(({ targetType, target }) => target === undefined || targetType !== undefined, {
    error: "a target is found by its kind and its name together: add targetType",
    path: ["target"],
  });
export const auditLineSchema = row({
  id: z.string(),
  occurredAt: at,
  actor: z.string().nullable().describe("The token's subject, for what came through the server."),
  databaseRole: z.string(),
  surface: z.string().describe("sql, cli, rest, graphql, dashboard or worker."),
  operation: z.string(),
  targetType: z.string(),
  target: z.string().nullable(),
  tenant: z.string().nullable(),
  count: z.string().nullable().describe("To how many, for what is done to many, as text."),
  before: z.unknown(),
  after: z.unknown(),
});
export const auditPage = page(auditLineSchema, "A page of the audit log.");

export const findingSchema = z.object({
  check: z.string(),
  severity: z.enum(["critical", "warning", "ok"]),
  finding: z.string(),
  fix: z.string().nullable(),
  detail: z.unknown(),
});
export const findingPage = page(findingSchema, "What was looked at, the worst first.");

/** How the whole system is. */
export type Overview = Answer<typeof overviewSchema>;
