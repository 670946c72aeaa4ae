import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { listWorkerStarts, readSeries } from "../../health/read-series.ts";
import { listLimitUse } from "../../queues/limits.ts";
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
      query: z.strictObject({
        from: time.optional().describe("From then on. A day before `until` by default."),
        until: time.optional().describe("Up to then. Now by default."),
      }),
      answer: page(
        z.object({ started_at: z.iso.datetime(), host: z.string(), workers: count.describe("How many.") }),
        "The starts.",
      ),
    },
    async ({ client, query: { from, until = new Date() } }) => ({
      items: await listWorkerStarts(client, from ?? new Date(until.getTime() - 86_400_000), until),
      next_cursor: null,
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
      answer: page(
        z.object({
          scope: z.enum(["queue", "task", "all"]),
          name: z.string(),
          kind: z.enum(["concurrency", "rate"]),
          key: z.string().nullable().describe("Where in the payload the key is; null for a limit without one."),
          max: z.int().describe("Allowed, for each key."),
          used: count.describe("In use, by all keys."),
          keys: count.describe("Keys that use it."),
          full_keys: count.describe("Keys without room."),
          sampled_at: z.iso.datetime(),
        }),
        "The limits.",
      ),
    },
    async ({ client }) => ({ items: await listLimitUse(client), next_cursor: null }),
  );
}
