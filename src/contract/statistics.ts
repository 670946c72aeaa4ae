import { z } from "zod";
import { page } from "./page.ts";
import { at, duration, queueName, taskName, time } from "./values.ts";

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
export const seriesStepSchema = z
  .object({
    at: at.describe("When the step begins."),
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
  .loose();
export const seriesPage = page(
  seriesStepSchema,
  "The steps. Counts are text; times are seconds, by an estimate, and null where there was nothing.",
);

export const workerStartQuery = z.strictObject({
  from: time.optional().describe("From then on. A day before `until` by default."),
  until: time.optional().describe("Up to then. Now by default."),
});
export const workerStartSchema = z.object({ started_at: at, host: z.string(), workers: count.describe("How many.") });
export const workerStartPage = page(workerStartSchema, "The starts.");

export const limitTotalSchema = z.object({
  scope: z.enum(["queue", "task", "all"]),
  name: z.string(),
  kind: z.enum(["concurrency", "rate"]),
  key: z.string().nullable().describe("Where in the payload the key is; null for a limit without one."),
  max: z.int().describe("Allowed, for each key."),
  used: count.describe("In use, by all keys."),
  keys: count.describe("Keys that use it."),
  full_keys: count.describe("Keys without room."),
  sampled_at: at,
});
export const limitTotalPage = page(limitTotalSchema, "The limits.");
