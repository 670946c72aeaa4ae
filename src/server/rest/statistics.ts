import type { FastifyInstance } from "fastify";
import { limitTotalPage, seriesPage, seriesQuery, workerStartPage, workerStartQuery } from "../../contract/statistics.ts";
import { listWorkerStarts, readSeries } from "../../health/read-series.ts";
import { listLimitUse } from "../../queues/limits.ts";
import { addRoute, type RestContext } from "./route.ts";

/** Metrics over time: of every tenant, and so for nobody who acts for one. */
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
      summary: "See what became of jobs over time, and how long they waited and ran",
      description:
        "In some 200 steps of equal length at most, oldest first; by minutes where they are kept (two days), by hours before. " +
        "Nothing is said of times before anything was counted. From the metrics: nothing of the history is read.",
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
      summary: "See when workers started",
      description:
        "Those of one machine within a minute are one; the newest first, 500 at most. Of which version they are, workers do not say.",
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
      summary: "See how much of each limit is in use",
      description: "At the last look, which is every ten seconds or, where very many jobs live, less often.",
      answer: limitTotalPage,
    },
    async ({ client }) => ({ items: await listLimitUse(client), nextCursor: null }),
  );
}
