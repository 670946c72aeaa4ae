import { z } from "zod";
import { type Answer, countText, row } from "./rows.ts";
import { at } from "./times.ts";
import { cursorOver, page, pageLimit } from "./page.ts";
import { ROLES } from "./roles.ts";
import { jobId, text, time } from "./values.ts";

export const meSchema = z
  .object({
    subject: z.string().describe("Your name in the audit log."),
    role: z.enum(ROLES),
    tenant: z.string().nullable().describe("The only tenant whose rows you can see and change; null for all tenants."),
    expiresAt: at.nullable(),
    version: z.string().describe("The server's version."),
  })
  .describe("The authenticated client.");

export const overviewSchema = z
  .object({
    running: countText(),
    pending: countText(),
    blocked: countText(),
    paused: countText(),
    later: countText(),
    oldest: at.nullable().describe("When the job that has been waiting the longest became due."),
    failed: countText("Failed jobs that can be retried."),
    countedAt: at
      .nullable()
      .describe(
        "When the jobs were counted, if there are more than 2,000 of them; null if they were counted within the last second.",
      ),
    queues: z.int(),
    tasks: z.int(),
    workers: z.int(),
    concurrency: z.int().describe("The maximum number of jobs that all running workers together run at a time."),
    stoppedAt: at.nullable().describe("When the emergency stop began; null if none is active."),
    stoppedBy: z.string().nullable(),
    stopReason: z.string().nullable(),
  })
  .describe("The state of the whole system.");

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
    target: text(512).optional().describe("With targetType: the target's id or name."),
    operation: text(64).optional().describe("The operation, such as cancel_job, pause or limit."),
    actor: text(256).optional().describe("The actor: a token's subject or a database login."),
    tenant: text(256).optional(),
    since: time.optional().describe("Only operations at or after this time."),
    before: jobId.optional().describe("Only entries with a smaller id: the next page."),
    cursor: auditCursor.schema.optional(),
    limit: pageLimit,
  })
  // The index begins with the target type.
  .refine(({ targetType, target }) => target === undefined || targetType !== undefined, {
    error: "a target is identified by its type and name: add targetType",
    path: ["target"],
  });
export const auditLineSchema = row({
  id: z.string(),
  occurredAt: at,
  actor: z.string().nullable().describe("Who did it: for requests to the server, the token's subject."),
  databaseRole: z.string(),
  surface: z.string().describe("sql, cli, rest, graphql, dashboard or worker."),
  operation: z.string(),
  targetType: z.string(),
  target: z.string().nullable(),
  tenant: z.string().nullable(),
  count: countText("The number of rows changed by a bulk operation, as text.").nullable(),
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
export const findingPage = page(findingSchema, "The findings, most severe first.");

/** A line of the audit log. */
export type AuditLine = Answer<typeof auditLineSchema>;
/** The state of the whole system. */
export type Overview = Answer<typeof overviewSchema>;
