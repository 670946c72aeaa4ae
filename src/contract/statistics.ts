import { z } from "zod";
import { row } from "./rows.ts";
import { at } from "./times.ts";
import { page } from "./page.ts";
import { duration, queueName, taskName, time } from "./values.ts";

const seconds = z.number().nullable();
const count = z.string();

export const seriesQuery = z
  .strictObject({
    period: duration.default("1h").describe("How long, 400 days at most."),
    until: time.optional().describe("The end. Now by default."),
    task: taskName.optional().describe("Of this task."),
    queue: queueName.optional().describe("Of the tasks of this queue."),
  })
  .refine(({ task, queue }) => task === undefined || queue === undefined, {
    error: "a task has one queue: give either",
    path: ["queue"],
  });
export const seriesIntervalSchema = row({
  at: at.describe("When the step begins."),
  seconds: z.int().describe("How long it is."),
  isWhole: z.boolean().describe("Whether everything that ended in it has been counted."),
  completed: count,
  failed: count,
  cancelled: count,
  expired: count,
  failedAttempts: count,
  retried: count,
  waitP50: seconds,
  waitP95: seconds,
  waitP99: seconds,
  runP50: seconds,
  runP95: seconds,
  runP99: seconds,
});
export const seriesPage = page(
  seriesIntervalSchema,
  "The steps. Counts are text; times are seconds, by an estimate, and null where there was nothing.",
);

export const workerStartQuery = z.strictObject({
  from: time.optional().describe("From then on. A day before `until` by default."),
  until: time.optional().describe("Up to then. Now by default."),
});
export const workerStartSchema = z.object({ startedAt: at, host: z.string(), workers: count.describe("How many.") });
export const workerStartPage = page(workerStartSchema, "The starts.");

export const limitTotalSchema = z.object({
  scope: z.enum(["queue", "task", "all"]),
  name: z.string(),
  kind: z.enum(["concurrency", "rate"]),
  key: z.string().nullable().describe("Where in the payload the key is; null for a limit without one."),
  max: z.int().describe("Allowed, for each key."),
  used: count.describe("In use, by all keys."),
  keys: count.describe("Keys that use it."),
  fullKeys: count.describe("Keys without a free slot."),
  sampledAt: at,
});
export const limitTotalPage = page(limitTotalSchema, "The limits.");
