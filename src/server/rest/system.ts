import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { diagnose } from "../../health/doctor.ts";
import type { Queryable } from "../../db/pool.ts";
import { emergencyStop, resumeAll } from "../../queues/pause.ts";
import { listAuditLog } from "../../access/audit-log.ts";
import { type Counts, readCounts, readOverview } from "../../queues/overview.ts";
import { VERSION } from "../../version.ts";
import { ROLES } from "../../access/principal.ts";
import { SharedReadings } from "./shared-readings.ts";
import { addRoute, type RestContext } from "./route.ts";
import { cursorOver, jobId, page, pageLimit, text, time, toPage } from "./values.ts";

const at = z.iso.datetime();
const auditCursor = cursorOver("audit", jobId);
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

/** The same connection, whose transaction goes on after a statement that fails: what may not be seen is a finding. */
function forgiving(client: Queryable): Queryable {
  return {
    async query(text, values) {
      await client.query("savepoint statement");
      try {
        return await client.query(text, values);
      } catch (error) {
        await client.query("rollback to savepoint statement");
        throw error;
      }
    },
  };
}

/** What concerns everything: the overview, the emergency stop, the doctor. */
export function addSystemRoutes(app: FastifyInstance, context: RestContext): void {
  // Every open dashboard asks for them every few seconds.
  const counts = new SharedReadings<Counts>();
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/me",
      tag: "system",
      role: "any",
      summary: "See whose token this is and what it may do",
      answer: z
        .object({
          subject: z.string().describe("How the audit log names you."),
          role: z.enum(ROLES),
          tenant: z.string().nullable().describe("The only tenant whose rows you see and touch; null for all."),
          expires_at: at.nullable(),
          version: z.string().describe("The server's."),
        })
        .describe("You."),
    },
    async ({ principal: { subject, role, tenant, expiresAt } }) => ({
      subject,
      role,
      tenant,
      expires_at: expiresAt ?? null,
      version: VERSION,
    }),
  );
  for (const url of ["/overview", "/stats"]) {
    addRoute(
      app,
      context,
      {
        method: "GET",
        url,
        tag: "system",
        role: "viewer",
        summary: "See what waits, runs and has failed, at a glance",
        ...(url === "/stats" ? { deprecated: true, description: "The old address of `/overview`, until 0.2.0." } : {}),
        answer: overviewSchema,
      },
      async ({ client, principal }) => await readOverview(client, await counts.read(principal.tenant, () => readCounts(client))),
    );
  }
  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/emergency-stop",
      tag: "system",
      role: "operator",
      everybody: true,
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
      everybody: true,
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
      url: "/audit-log",
      tag: "system",
      role: "admin",
      summary: "See who did what, newest first",
      description:
        "Whatever changed jobs, rules, tokens and settings, by whichever way. A tenant's admin sees what was done to what is that tenant's.",
      query: z
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
        }),
      answer: page(
        z
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
          .loose(),
        "A page of the audit log.",
      ),
    },
    async ({ client, query: { cursor, limit, target_type: targetType, ...filter } }) =>
      toPage(await listAuditLog(client, { ...filter, targetType, before: cursor, limit: limit + 1 }), limit, ({ id }) =>
        auditCursor.make(id),
      ),
  );
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/doctor",
      tag: "system",
      role: "admin",
      everybody: true,
      summary: "Say what is wrong with the job system and what to do about it",
      answer: page(
        z.object({
          check: z.string(),
          severity: z.enum(["critical", "warning", "ok"]),
          finding: z.string(),
          fix: z.string().nullable(),
          detail: z.unknown(),
        }),
        "What was looked at, the worst first.",
      ),
    },
    async ({ client }) => {
      // The doctor looks at the settings of this login, and would find ours.
      await client.query("set local statement_timeout to default");
      return { items: await diagnose(forgiving(client), { pool: context.pool }), next_cursor: null };
    },
  );
}
