import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { cancelJobs } from "../../jobs/cancel-job.ts";
import { discardJobs } from "../../jobs/discard-job.ts";
import { type FailedFilter, listFailedGroups } from "../../jobs/failed-jobs.ts";
import { retryJobs } from "../../jobs/retry-job.ts";
import { failedFilterSchema, liveFilterSchema } from "./job-schemas.ts";
import { addRoute, type RestContext } from "./route.ts";
import { page, text } from "./values.ts";

/** Jobs that one request changes at most. */
const MAX_CHUNK = 10_000;

const howMany = {
  dry_run: z.boolean().default(true).describe("Only say what would be done. True unless given: look first, then send false."),
  at_most: z.int().min(1).max(MAX_CHUNK).default(1_000).describe("Jobs changed by this request."),
};

const bulkSchema = z
  .object({
    dry_run: z.boolean(),
    changed: z.int().describe("Jobs that were changed: 0 of a dry run."),
    left: z
      .int()
      .describe(
        `Jobs that still fit, counted up to ${MAX_CHUNK.toLocaleString("en")}. While there are any, send the request again.`,
      ),
    left_is_capped: z.boolean().describe("Whether there are more than `left` says."),
    ids: z.array(z.string()).describe("Which were changed; of a dry run, the first `at_most` that would be."),
  })
  .meta({
    description: "What was done, and what is left to do.",
    examples: [{ dry_run: false, changed: 1000, left: 234, left_is_capped: false, ids: ["42", "43"] }],
  });

interface Chunk {
  dry_run: boolean;
  at_most: number;
}

/** The same with every job that fits: a chunk at a time, oldest first, each request in a transaction of its own. */
async function inChunk(
  { dry_run, at_most }: Chunk,
  run: (options: { preview: boolean; atMost: number }) => Promise<string[]>,
): Promise<z.output<typeof bulkSchema>> {
  const changed = dry_run ? [] : await run({ preview: false, atMost: at_most });
  const left = await run({ preview: true, atMost: MAX_CHUNK + 1 });
  return {
    dry_run,
    changed: changed.length,
    left: Math.min(left.length, MAX_CHUNK),
    left_is_capped: left.length > MAX_CHUNK,
    ids: dry_run ? left.slice(0, at_most) : changed,
  };
}

function toFailedFilter({ failed_after, failed_before, ...filter }: z.output<typeof failedFilterSchema>): FailedFilter {
  return { ...filter, failedAfter: failed_after, failedBefore: failed_before };
}

/** What is done with every job that fits a filter, and the groups that failed jobs fall into. */
export function addBulkRoutes(app: FastifyInstance, context: RestContext): void {
  const description =
    "A dry run says how many jobs fit. Otherwise each request changes `at_most` of them, oldest first, and says how many are left: send it again " +
    "until `left` is 0. A request that is cut off has done nothing, or all that it would have answered.";
  const failedBody = z
    .strictObject({ filter: failedFilterSchema.describe("Which failed jobs; {} is all of them."), ...howMany })
    .meta({ examples: [{ filter: { task: "notify/email", error: "ECONNREFUSED" }, dry_run: false }] });

  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/jobs/retry",
      tag: "bulk",
      role: "operator",
      summary: "Retry every failed job that fits",
      description,
      body: failedBody,
      answer: bulkSchema,
      problems: ["LW404"],
    },
    async ({ client, body }) => await inChunk(body, (options) => retryJobs(client, toFailedFilter(body.filter), options)),
  );

  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/jobs/discard",
      tag: "bulk",
      role: "operator",
      summary: "Give up every failed job that fits",
      description,
      body: failedBody,
      answer: bulkSchema,
      problems: ["LW404"],
    },
    async ({ client, body }) => await inChunk(body, (options) => discardJobs(client, toFailedFilter(body.filter), options)),
  );

  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/jobs/cancel",
      tag: "bulk",
      role: "operator",
      summary: "Cancel every job that fits and has not ended",
      description,
      body: z
        .strictObject({
          filter: liveFilterSchema.describe("Which jobs that have not ended; {} is all of them."),
          reason: text(1_000).optional(),
          ...howMany,
        })
        .meta({ examples: [{ filter: { queue: "mail", state: "pending" }, reason: "wrong recipients", dry_run: false }] }),
      answer: bulkSchema,
      problems: ["LW404"],
    },
    async ({ client, body }) => {
      const { correlation_id, parent_id, created_after, created_before, ...filter } = body.filter;
      const live = {
        ...filter,
        correlationId: correlation_id,
        parentId: parent_id,
        createdAfter: created_after,
        createdBefore: created_before,
      };
      return await inChunk(body, (options) => cancelJobs(client, live, { ...options, reason: body.reason }));
    },
  );

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/failed-groups",
      tag: "bulk",
      role: "viewer",
      summary: "Group the failed jobs that can be retried by what went wrong, the largest group first",
      answer: page(
        z.object({
          fingerprint: z.string().nullable().describe("Names the group; POST /jobs/retry and /jobs/discard take it."),
          task: z.string(),
          queue: z.string(),
          jobs: z.string().describe("How many, as text."),
          first_at: z.iso.datetime(),
          last_at: z.iso.datetime(),
          last_id: z.string(),
          last_error: z.string().nullable(),
        }),
        "The groups.",
      ),
    },
    async ({ client }) => ({ items: await listFailedGroups(client), next_cursor: null }),
  );
}
