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

/** A connection whose transaction survives failed statements: the doctor reports missing privileges as findings. */
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

/** Adds the routes for the whole system: overview, emergency stop, audit log, doctor. */
export function addSystemRoutes(app: FastifyInstance, context: RestContext): void {
  // Every open dashboard requests the counts every few seconds.
  const counts = new SharedReadings<Counts>();
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/me",
      tag: "system",
      role: "any",
      summary: "Show the subject and role of the request's token",
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
        summary: "Show how many jobs are waiting, running and failed",
        ...(url === "/stats" ? { deprecated: true, description: "The old URL of `/overview`, until version 0.2.0." } : {}),
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
      summary: "Stop everything: no more jobs start, running jobs finish",
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
      description: "Queues and tasks that were paused individually stay paused.",
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
      summary: "List the audit log, newest first",
      description:
        "Contains all changes to jobs, rules, tokens and settings, through every interface. A tenant's admin sees the changes that concern the tenant.",
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
      summary: "Check the installation and show how to fix what is wrong",
      answer: findingPage,
    },
    async ({ client }) => {
      // The doctor checks the settings of the login, not those of this transaction.
      await client.query("set local statement_timeout to default");
      return { items: await diagnose(forgiving(client), { pool: context.pool }), nextCursor: null };
    },
  );
}
