import type { FastifyInstance } from "fastify";
import { limitTotalPage, seriesPage, seriesQuery, workerStartPage, workerStartQuery } from "../../contract/statistics.ts";
import { listWorkerStarts, readSeries } from "../../health/read-series.ts";
import { listLimitUse } from "../../queues/limits.ts";
import { addRoute, type RestContext } from "./route.ts";

/** Adds the routes for metrics over time. They cover all tenants, so clients that are restricted to one are rejected. */
export function addStatisticsRoutes(app: FastifyInstance, context: RestContext): void {
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/statistics/series",
      tag: "alerts",
      role: "viewer",
      everybody: true,
      summary: "Show how jobs ended over time, and how long they waited and ran",
      description:
        "Returns at most about 200 intervals of equal length, oldest first. They are computed from counts per minute where these are still kept (two days), and from counts per hour before that. " +
        "There are no intervals before the first count. The data comes from the metrics; the history is not read.",
      query: seriesQuery,
      answer: seriesPage,
    },
    async ({ client, query }) => ({ items: await readSeries(client, query), nextCursor: null }),
  );
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/statistics/worker-starts",
      tag: "workers",
      role: "viewer",
      everybody: true,
      summary: "List the starts of workers",
      description: "Returns at most 500 starts, newest first. Starts on one machine within a minute are combined.",
      query: workerStartQuery,
      answer: workerStartPage,
    },
    async ({ client, query: { from, until = new Date() } }) => ({
      items: await listWorkerStarts(client, from ?? new Date(until.getTime() - 86_400_000), until),
      nextCursor: null,
    }),
  );
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/statistics/limits",
      tag: "queues",
      role: "viewer",
      everybody: true,
      summary: "Show how much of each limit is in use",
      description: "Returns the last sample. Samples are taken every ten seconds, or less often with very many unfinished jobs.",
      answer: limitTotalPage,
    },
    async ({ client }) => ({ items: await listLimitUse(client), nextCursor: null }),
  );
}
