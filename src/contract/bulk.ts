import { z } from "zod";
import { countText } from "./rows.ts";
import { formatNumber } from "../wording.ts";
import type { Answer } from "./rows.ts";
import { at } from "./times.ts";
import { failedFilterSchema, finishedFilterSchema, liveFilterSchema } from "./jobs.ts";
import { page } from "./page.ts";
import { text, time } from "./values.ts";

/** The maximum number of jobs that one request changes. */
export const MAX_CHUNK = 10_000;

const howMany = {
  dryRun: z
    .boolean()
    .default(true)
    .describe("Report what would change, and change nothing. True by default: check the result first, then send false."),
  atMost: z.int().min(1).max(MAX_CHUNK).default(1_000).describe("The maximum number of jobs that this request changes."),
};

/** The result of an action on all jobs that match a filter. */
export const bulkSchema = z
  .object({
    dryRun: z.boolean(),
    changed: z.int().describe("The number of jobs that were changed; 0 in a dry run."),
    left: z
      .int()
      .describe(`Jobs that still match, counted up to ${formatNumber(MAX_CHUNK)}. Send the request again until this is 0.`),
    leftIsCapped: z.boolean().describe("Whether more jobs match than `left` counts."),
    ids: z.array(z.string()).describe("The jobs that were changed; in a dry run, the first `atMost` jobs that would be."),
  })
  .meta({
    description: "The changed jobs, and the number of jobs that are left to change.",
    examples: [{ dryRun: false, changed: 1000, left: 234, leftIsCapped: false, ids: ["42", "43"] }],
  });

/** The request to retry or discard failed jobs. */
export const failedBody = z
  .strictObject({ filter: failedFilterSchema.describe("Selects failed jobs; {} selects all of them."), ...howMany })
  .meta({ examples: [{ filter: { task: "notify/email", error: "ECONNREFUSED" }, dryRun: false }] });

export const cancelBody = z
  .strictObject({
    filter: liveFilterSchema.describe("Selects jobs that have not ended; {} selects all of them."),
    reason: text(1_000).optional(),
    ...howMany,
  })
  .meta({ examples: [{ filter: { queue: "mail", state: "pending" }, reason: "wrong recipients", dryRun: false }] });

export const rerunManyBody = z
  .strictObject({
    filter: finishedFilterSchema.describe(
      "Selects jobs that have ended. It must be narrow enough to exclude most of the history.",
    ),
    asOf: time
      .optional()
      .describe("When the rerun began. Now by default; in later requests, send the `asOf` of the previous response."),
    ...howMany,
  })
  .meta({ examples: [{ filter: { task: "report/daily", createdAfter: "2026-11-01T00:00:00Z" }, dryRun: true }] });
export const rerunManySchema = bulkSchema
  .extend({ asOf: at.describe("Send this with the next request.") })
  .meta({ description: "The reruns, and the number of jobs that are left to rerun. `ids` are the original jobs." });

export const priorityManyBody = z
  .strictObject({
    filter: liveFilterSchema.describe("Selects jobs that have not ended; {} selects all of them."),
    priority: z.int().min(-32_768).max(32_767).describe("Smaller numbers run first."),
    ...howMany,
  })
  .meta({ examples: [{ filter: { queue: "mail", state: "pending" }, priority: -10, dryRun: false }] });
export const priorityManySchema = bulkSchema
  .extend({
    before: z
      .array(z.object({ priority: z.int(), ids: z.array(z.string()) }))
      .describe("The previous priorities of the changed jobs, to undo the change."),
  })
  .meta({ description: "The changed jobs, and the number of jobs that are left to change." });

/** A group of retryable failed jobs with the same task, queue and error fingerprint. */
export const failedGroupSchema = z.object({
  fingerprint: z.string().nullable().describe("Identifies the group in filters of POST /jobs/retry and POST /jobs/discard."),
  task: z.string(),
  queue: z.string(),
  jobs: countText("The number of jobs, as text."),
  firstAt: at,
  lastAt: at,
  lastId: z.string(),
  lastError: z.string().nullable(),
  counts: z
    .array(z.int())
    .describe("How many of the jobs failed in each of the equally long intervals between countedFrom and countedTo."),
  countedFrom: at,
  countedTo: at,
});
export const failedGroupPage = page(failedGroupSchema, "The groups, at most 500.");
export const failedGroupQuery = failedFilterSchema.pick({
  task: true,
  queue: true,
  tenant: true,
  fingerprint: true,
  error: true,
  failedAfter: true,
  failedBefore: true,
  failedSince: true,
});

/** A group of failed jobs that can be retried and failed with the same error. */
export type FailedGroup = Answer<typeof failedGroupSchema>;
