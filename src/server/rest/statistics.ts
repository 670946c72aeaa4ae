import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { readSeries } from "../../health/read-series.ts";
import { addRoute, type RestContext } from "./route.ts";
import { duration, page, queueName, taskName, time } from "./values.ts";

const seconds = z.number().nullable();
const count = z.string();

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
      query: z
        .strictObject({
          period: duration.default("1h").describe("How long, 400 days at most."),
          until: time.optional().describe("The end. Now by default."),
          task: taskName.optional().describe("Of this task."),
          queue: queueName.optional().describe("Of the tasks of this queue."),
        })
        .refine(({ task, queue }) => task === undefined || queue === undefined, {
          error: "a task has one queue: give either",
          path: ["queue"],
        }),
      answer: page(
        z
          .object({
            at: z.iso.datetime().describe("When the step begins."),
            seconds: z.int().describe("How long it is."),
            is_whole: z.boolean().describe("Whether everything that ended in it has been counted."),
            completed: count,
            failed: count,
            cancelled: count,
            expired: count,
            failed_attempts: count,
            retried: count,
            wait_p50: seconds,
            wait_p95: seconds,
            wait_p99: seconds,
            run_p50: seconds,
            run_p95: seconds,
            run_p99: seconds,
          })
          .loose(),
        "The steps. Counts are text; times are seconds, by an estimate, and null where there was nothing.",
      ),
    },
    async ({ client, query }) => ({ items: await readSeries(client, query), next_cursor: null }),
  );
}
