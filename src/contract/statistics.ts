import { z } from "zod";
import { countText, row } from "./rows.ts";
import { at } from "./times.ts";
import { page } from "./page.ts";
import { duration, queueName, taskName, time } from "./values.ts";

const seconds = z.number().nullable();

export const seriesQuery = z
  .strictObject({
    period: duration.default("1h").describe("The length of the series, at most 400 days."),
    until: time.optional().describe("The end of the series; now by default."),
    task: taskName.optional().describe("Only this task."),
    queue: queueName.optional().describe("Only tasks in this queue."),
  })
  .refine(({ task, queue }) => task === undefined || queue === undefined, {
    error: "a task has only one queue: specify task or queue, not both",
    path: ["queue"],
  });
export const seriesIntervalSchema = row({
  at: at.describe("When the interval begins."),
  seconds: z.int().describe("The length of the interval."),
  isWhole: z.boolean().describe("Whether all attempts and jobs that ended in it have been counted."),
  completed: countText(),
  failed: countText(),
  cancelled: countText(),
  expired: countText(),
  failedAttempts: countText(),
  retried: countText(),
  waitP50: seconds,
  waitP95: seconds,
  waitP99: seconds,
  runP50: seconds,
  runP95: seconds,
  runP99: seconds,
  pending: countText()
    .nullable()
    .describe(
      "The highest number of jobs that were due and free to start; null in the series of one task, and in intervals in which no worker counted the backlog.",
    ),
  held: countText().nullable().describe("The highest number of blocked or paused jobs; null whenever `pending` is."),
  running: countText().nullable().describe("The highest number of running jobs; null whenever `pending` is."),
  oldestSeconds: seconds.describe("The longest time that a pending job had been due; null whenever `pending` is."),
});
export const seriesPage = page(
  seriesIntervalSchema,
  "The intervals. Counts are text. Times are estimates in seconds; null for an interval without data.",
);

export const workerStartQuery = z.strictObject({
  from: time.optional().describe("The start of the period; a day before `until` by default."),
  until: time.optional().describe("The end of the period; now by default."),
});
export const workerStartSchema = z.object({
  startedAt: at,
  host: z.string(),
  workers: countText("The number of workers that started."),
  versions: z.array(z.string()).nullable().describe("Their versions of Legwork; null if unknown."),
});
export const workerStartPage = page(workerStartSchema, "Worker starts.");

export const limitTotalSchema = z.object({
  scope: z.enum(["queue", "task", "all"]),
  name: z.string(),
  kind: z.enum(["concurrency", "rate"]),
  key: z.string().nullable().describe("The path of the key in the payload; null for a limit without a key."),
  max: z.int().describe("The limit for each key."),
  used: countText("Slots in use, across all keys."),
  keys: countText("The number of keys in use."),
  fullKeys: countText("The number of keys without a free slot."),
  sampledAt: at,
});
export const limitTotalPage = page(limitTotalSchema, "The limits.");
