import { z } from "zod";
import type { Answer } from "./rows.ts";
import { at } from "./times.ts";
import { failedFilterSchema, finishedFilterSchema, liveFilterSchema } from "./jobs.ts";
import { page } from "./page.ts";
import { text, time } from "./values.ts";

/** Jobs that one request changes at most. */
export const MAX_CHUNK = 10_000;

const howMany = {
  dryRun: z.boolean().default(true).describe("Only say what would be done. True unless given: look first, then send false."),
  atMost: z.int().min(1).max(MAX_CHUNK).default(1_000).describe("Jobs changed by this request."),
};

/** What was done with the jobs that fit a filter. */
export const bulkSchema = z
  .object({
    dryRun: z.boolean(),
    changed: z.int().describe("Jobs that were changed: 0 of a dry run."),
    left: z
      .int()
      .describe(
        `Jobs that still fit, counted up to ${MAX_CHUNK.toLocaleString("en")}. While there are any, send the request again.`,
      ),
    leftIsCapped: z.boolean().describe("Whether there are more than `left` says."),
    ids: z.array(z.string()).describe("Which were changed; of a dry run, the first `atMost` that would be."),
  })
  .meta({
    description: "What was done, and what is left to do.",
    examples: [{ dryRun: false, changed: 1000, left: 234, leftIsCapped: false, ids: ["42", "43"] }],
  });

/** Retrying and discarding. */
export const failedBody = z
  .strictObject({ filter: failedFilterSchema.describe("Which failed jobs; {} is all of them."), ...howMany })
  .meta({ examples: [{ filter: { task: "notify/email", error: "ECONNREFUSED" }, dryRun: false }] });

export const cancelBody = z
  .strictObject({
    filter: liveFilterSchema.describe("Which jobs that have not ended; {} is all of them."),
    reason: text(1_000).optional(),
    ...howMany,
  })
  .meta({ examples: [{ filter: { queue: "mail", state: "pending" }, reason: "wrong recipients", dryRun: false }] });

export const rerunManyBody = z
  .strictObject({
    filter: finishedFilterSchema.describe("Which jobs that have ended; it must leave out most of the history."),
    asOf: time.optional().describe("When this began: the one of the answer before. Now by default."),
    ...howMany,
  })
  .meta({ examples: [{ filter: { task: "report/daily", createdAfter: "2026-11-01T00:00:00Z" }, dryRun: true }] });
export const rerunManySchema = bulkSchema
  .extend({ asOf: at.describe("To send with the next request.") })
  .meta({ description: "What was done, and what is left to do; `ids` are those of the old jobs." });

export const priorityManyBody = z
  .strictObject({
    filter: liveFilterSchema.describe("Which jobs that have not ended; {} is all of them."),
    priority: z.int().min(-32_768).max(32_767).describe("Smaller runs first."),
    ...howMany,
  })
  .meta({ examples: [{ filter: { queue: "mail", state: "pending" }, priority: -10, dryRun: false }] });
export const priorityManySchema = bulkSchema
  .extend({
    before: z
      .array(z.object({ priority: z.int(), ids: z.array(z.string()) }))
      .describe("What the priorities of the changed jobs were, to take it back."),
  })
  .meta({ description: "What was done, and what is left to do." });

/** Failed jobs that can be retried, by what went wrong. */
export const failedGroupSchema = z.object({
  fingerprint: z.string().nullable().describe("Names the group; POST /jobs/retry and /jobs/discard take it."),
  task: z.string(),
  queue: z.string(),
  jobs: z.string().describe("How many, as text."),
  firstAt: at,
  lastAt: at,
  lastId: z.string(),
  lastError: z.string().nullable(),
});
export const failedGroupPage = page(failedGroupSchema, "The groups.");

/** Failed jobs that can be retried, by what went wrong. */
export type FailedGroup = Answer<typeof failedGroupSchema>;
