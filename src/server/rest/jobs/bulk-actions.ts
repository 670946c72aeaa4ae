import type { FastifyInstance } from "fastify";
import { z } from "zod";
import {
  bulkActionBody,
  bulkActionCursor,
  bulkActionPage,
  bulkActionQuery,
  bulkActionSchema,
  bulkPreviewSchema,
  startedBulkActionSchema,
  stoppedBulkActionSchema,
} from "../../../contract/bulk-actions.ts";
import { toPage } from "../../../contract/page.ts";
import { jobId } from "../../../contract/values.ts";
import {
  getBulkAction,
  listBulkActions,
  previewBulkAction,
  startBulkAction,
  stopBulkAction,
} from "../../../jobs/bulk-actions.ts";
import { addRoute, type RestContext } from "../route.ts";

/** The longest body (bytes), sufficient for a filter with 10,000 ids. */
const BODY_LIMIT = 500_000;

/** Adds the routes for actions that workers and servers carry out on all jobs that match a filter. */
export function addBulkActionRoutes(app: FastifyInstance, context: RestContext): void {
  const one = { tag: "bulk", params: z.object({ id: jobId }) } as const;
  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/bulk-actions",
      tag: "bulk",
      role: "operator",
      summary: "Start an action on all jobs that match",
      description:
        "Workers and servers carry it out in small transactions, with the rights of this token. Jobs that are created, fail or end later are not affected.",
      body: bulkActionBody,
      bodyLimit: BODY_LIMIT,
      status: 201,
      answer: startedBulkActionSchema,
      problems: ["LW404", "LW409"],
    },
    async ({ client, reply, body: { action, filter, ...options } }) => {
      // The response is sent after the transaction has committed.
      reply.raw.once("finish", () => context.onBulkAction?.());
      return { id: await startBulkAction(client, action, filter, options) };
    },
  );
  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/bulk-actions/preview",
      tag: "bulk",
      role: "operator",
      summary: "Show what a bulk action would do",
      description: "Changes nothing.",
      body: bulkActionBody,
      bodyLimit: BODY_LIMIT,
      answer: bulkPreviewSchema,
      problems: ["LW404"],
    },
    async ({ client, body: { action, filter, ...options } }) =>
      await previewBulkAction(client, action, filter, "priority" in options ? options : {}),
  );
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/bulk-actions",
      tag: "bulk",
      role: "viewer",
      summary: "List bulk actions, newest first",
      query: bulkActionQuery,
      answer: bulkActionPage,
    },
    async ({ client, query: { cursor, limit } }) => {
      const rows = await listBulkActions(client, { before: cursor, limit: limit + 1 });
      return toPage(rows, limit, ({ id }) => bulkActionCursor.make(id));
    },
  );
  addRoute(
    app,
    context,
    {
      ...one,
      method: "GET",
      url: "/bulk-actions/:id",
      role: "viewer",
      summary: "Get a bulk action and its progress",
      answer: bulkActionSchema,
      problems: ["LW404"],
      etag: true,
    },
    async ({ client, params: { id } }) => await getBulkAction(client, id),
  );
  addRoute(
    app,
    context,
    {
      ...one,
      method: "POST",
      url: "/bulk-actions/:id/stop",
      role: "operator",
      summary: "Stop a bulk action",
      description: "It ends after its current chunk. Changes made so far remain.",
      answer: stoppedBulkActionSchema,
      problems: ["LW404"],
    },
    async ({ client, params: { id } }) => ({ id, state: await stopBulkAction(client, id) }),
  );
}
