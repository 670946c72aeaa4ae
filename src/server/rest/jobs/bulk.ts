import type { FastifyInstance } from "fastify";
import type { z } from "zod";
import {
  bulkSchema,
  cancelBody,
  failedBody,
  failedGroupPage,
  MAX_CHUNK,
  priorityManyBody,
  priorityManySchema,
  rerunManyBody,
  rerunManySchema,
} from "../../../contract/bulk.ts";
import { cancelJobs } from "../../../jobs/cancel-job.ts";
import { discardJobs } from "../../../jobs/discard-job.ts";
import { listFailedGroups } from "../../../jobs/failed-jobs.ts";
import { rerunJobs } from "../../../jobs/rerun-job.ts";
import { retryJobs } from "../../../jobs/retry-job.ts";
import { setPriorities } from "../../../jobs/set-priority.ts";
import { addRoute, type RestContext } from "../route.ts";

interface Chunk {
  dryRun: boolean;
  atMost: number;
}

/** The same with every job that fits: a chunk at a time, oldest first, each request in a transaction of its own. */
async function inChunk(
  { dryRun, atMost }: Chunk,
  run: (options: { preview: boolean; atMost: number }) => Promise<string[]>,
): Promise<z.output<typeof bulkSchema>> {
  const changed = dryRun ? [] : await run({ preview: false, atMost });
  const left = await run({ preview: true, atMost: MAX_CHUNK + 1 });
  return {
    dryRun,
    changed: changed.length,
    left: Math.min(left.length, MAX_CHUNK),
    leftIsCapped: left.length > MAX_CHUNK,
    ids: dryRun ? left.slice(0, atMost) : changed,
  };
}

/** What is done with every job that fits a filter, and the groups that failed jobs fall into. */
export function addBulkRoutes(app: FastifyInstance, context: RestContext): void {
  const description =
    "A dry run says how many jobs fit. Otherwise each request changes `atMost` of them, oldest first, and says how many are left: send it again " +
    "until `left` is 0. A request that is cut off has done nothing, or all that it would have answered.";
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
    async ({ client, body }) => await inChunk(body, (options) => retryJobs(client, body.filter, options)),
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
    async ({ client, body }) => await inChunk(body, (options) => discardJobs(client, body.filter, options)),
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
      body: cancelBody,
      answer: bulkSchema,
      problems: ["LW404"],
    },
    async ({ client, body }) => {
      return await inChunk(body, (options) => cancelJobs(client, body.filter, { ...options, reason: body.reason }));
    },
  );

  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/jobs/rerun",
      tag: "bulk",
      role: "operator",
      summary: "Run every job that fits and has ended again, each as a new job",
      description:
        `${description} The old jobs stay as they are, so each request after the first says since when it goes: \`asOf\`, from the answer before. Jobs made later are left ` +
        "alone. LW409, with nothing done, when the history has not the whole payload of one of them; POST /jobs/:id/rerun takes one.",
      body: rerunManyBody,
      answer: rerunManySchema,
      problems: ["LW404", "LW409"],
    },
    async ({ client, body }) => {
      const asOf = body.asOf ?? new Date((await client.query("select clock_timestamp() as now")).rows[0].now);
      const chunk = await inChunk(body, (options) => rerunJobs(client, body.filter, { ...options, asOf }));
      return { ...chunk, asOf };
    },
  );

  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/jobs/priority",
      tag: "bulk",
      role: "operator",
      summary: "Change the priority of every job that fits and has not ended",
      description: `${description} Jobs that have this priority already are not counted.`,
      body: priorityManyBody,
      answer: priorityManySchema,
      problems: ["LW404"],
    },
    async ({ client, body }) => {
      const before = new Map<number, string[]>();
      const chunk = await inChunk(body, async (options) => {
        const changed = await setPriorities(client, body.filter, body.priority, options);
        if (!options.preview) {
          for (const { id, was } of changed) {
            const ids = before.get(was);
            if (ids === undefined) before.set(was, [id]);
            else ids.push(id);
          }
        }
        return changed.map(({ id }) => id);
      });
      return { ...chunk, before: [...before].map(([priority, ids]) => ({ priority, ids })) };
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
      answer: failedGroupPage,
    },
    async ({ client }) => ({ items: await listFailedGroups(client), nextCursor: null }),
  );
}
