import type { FastifyInstance } from "fastify";
import { toPage } from "../../contract/page.ts";
import { auditCursor, auditPage, auditQuery, findingPage, meSchema, overviewSchema, stopBody } from "../../contract/system.ts";
import { diagnose } from "../../health/doctor.ts";
import type { Queryable } from "../../db/pool.ts";
import { emergencyStop, resumeAll } from "../../queues/pause.ts";
import { listAuditLog } from "../../access/audit-log.ts";
import { type Counts, readCounts, readOverview } from "../../queues/overview.ts";
import { VERSION } from "../../version.ts";
import { SharedReadings } from "./shared-readings.ts";
import { addRoute, type RestContext } from "./route.ts";

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
      answer: meSchema,
    },
    async ({ principal: { subject, role, tenant, expiresAt } }) => ({
      subject,
      role,
      tenant,
      expiresAt: expiresAt ?? null,
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
      body: stopBody,
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
      query: auditQuery,
      answer: auditPage,
    },
    async ({ client, query: { cursor, limit, before, ...filter } }) =>
      toPage(await listAuditLog(client, { ...filter, before: cursor ?? before, limit: limit + 1 }), limit, ({ id }) =>
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
      answer: findingPage,
    },
    async ({ client }) => {
      // The doctor looks at the settings of this login, and would find ours.
      await client.query("set local statement_timeout to default");
      return { items: await diagnose(forgiving(client), { pool: context.pool }), nextCursor: null };
    },
  );
}
