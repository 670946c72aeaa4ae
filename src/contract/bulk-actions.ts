import { z } from "zod";
import { failedFilterSchema, finishedFilterSchema, liveFilterSchema } from "./jobs.ts";
import { cursorOver, page, pageLimit } from "./page.ts";
import { type Answer, countText, row } from "./rows.ts";
import { at } from "./times.ts";
import { jobId, text } from "./values.ts";

const BULK_ACTION_STATES = ["running", "completed", "stopped", "failed"] as const;

const id = z.string().describe("The bulk action's id.");

const actionSchema = z.discriminatedUnion("action", [
  z.strictObject({ action: z.enum(["retry", "discard"]), filter: failedFilterSchema }),
  z.strictObject({
    action: z.literal("cancel"),
    filter: liveFilterSchema,
    reason: text(1_000).optional().describe("The reason, recorded in the jobs' history."),
  }),
  z.strictObject({ action: z.literal("rerun"), filter: finishedFilterSchema }),
  z.strictObject({
    action: z.literal("priority"),
    filter: liveFilterSchema,
    priority: z.int().min(-32_768).max(32_767).describe("Smaller numbers run first."),
  }),
]);

/** The request to start a bulk action, or to preview it. */
export const bulkActionBody = actionSchema.meta({
  description:
    "The action and its jobs: failed jobs for retry and discard, ended jobs for rerun, jobs that have not ended for cancel and priority.",
  examples: [{ action: "retry", filter: { task: "notify/email", failedSince: "1h" } }],
});

export const startedBulkActionSchema = z
  .object({ id })
  .meta({ description: "The bulk action, which has been started.", examples: [{ id: "7" }] });

/** A row of `legwork.bulk_actions`, as JSON. */
export const bulkActionSchema = row({
  id,
  action: z.enum(["retry", "discard", "cancel", "rerun", "priority"]),
  filter: z
    .record(z.string(), z.unknown())
    .describe(
      "The filter that selects the jobs, with the field names of SQL. Relative periods were replaced by times when it started.",
    ),
  priority: z.int().nullable().describe("The new priority, for the action priority."),
  reason: z.string().nullable(),
  actor: z.string().describe("Who started it."),
  tenant: z.string().nullable().describe("The only tenant whose jobs it changes; null for all tenants."),
  state: z
    .enum(BULK_ACTION_STATES)
    .describe("stopped: a user stopped it. failed: it can no longer be carried out; lastError says why."),
  total: countText().nullable().describe("How many jobs matched, as text, counted up to a million; null until they are counted."),
  changed: countText("How many jobs it has changed, as text."),
  skipped: countText("How many matching jobs it could not change, as text."),
  skipReasons: z.record(z.string(), z.int()).describe("How many jobs it could not change, by reason."),
  lastError: z.string().nullable().describe("Why the last chunk could not be processed, or why the action failed."),
  startedAt: at,
  workedAt: at
    .nullable()
    .describe(
      "When the last chunk was processed. If this is long ago while the action is running, no worker or server is running.",
    ),
  finishedAt: at.nullable().describe("When it ended; null while it is running."),
}).describe("An action on all jobs that match a filter, carried out by workers and servers: a row of legwork.bulk_actions.");

export const bulkActionCursor = cursorOver("bulk-actions", jobId);
export const bulkActionQuery = z.strictObject({ cursor: bulkActionCursor.schema.optional(), limit: pageLimit });
export const bulkActionPage = page(bulkActionSchema, "A page of bulk actions.");

export const stoppedBulkActionSchema = z
  .object({ id, state: z.enum(BULK_ACTION_STATES).describe("stopped, or the state in which it had already ended.") })
  .meta({ description: "The state of the bulk action after the request.", examples: [{ id: "7", state: "stopped" }] });

export const bulkPreviewSchema = z
  .object({
    jobs: z.int().describe("How many jobs it would change, counted up to 10,000."),
    isCapped: z.boolean().describe("Whether it would change more jobs than were counted."),
    byTask: z.array(z.object({ task: z.string(), jobs: z.int() })).describe("The tasks with the most of these jobs, at most 20."),
    samples: z
      .array(
        z.object({
          id: z.string(),
          task: z.string(),
          state: z.string(),
          error: z.string().nullable(),
          createdAt: z.string(),
          finishedAt: z.string().nullable(),
        }),
      )
      .describe("Five of the jobs, from the oldest to the newest."),
  })
  .describe("What a bulk action would do now.");

/** An action on all jobs that match a filter. */
export type BulkAction = Answer<typeof bulkActionSchema>;
/** What a bulk action would do. */
export type BulkPreview = Answer<typeof bulkPreviewSchema>;
