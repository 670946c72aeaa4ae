import type { FastifyInstance } from "fastify";
import type { z } from "zod";
import {
  bulkSchema,
  cancelBody,
  failedBody,
  failedGroupPage,
  failedGroupQuery,
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

/** Changes one chunk of the matching jobs, oldest first, in the request's transaction, and counts the jobs that are left. */
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

/** Adds the routes for actions on all jobs that match a filter, and for the groups of failed jobs. */
export function addBulkRoutes(app: FastifyInstance, context: RestContext): void {
  const description =
    "A dry run returns how many jobs match. Otherwise each request changes up to `atMost` of them, oldest first, and returns how many are left. Repeat " +
    "it until `left` is 0. An interrupted request has either changed nothing or everything that its response would have listed.";
  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/jobs/retry",
      tag: "bulk",
      role: "operator",
      summary: "Retry all failed jobs that match",
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
      summary: "Discard all failed jobs that match",
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
      summary: "Cancel all unfinished jobs that match",
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
      summary: "Run all ended jobs that match again, each as a new job",
      description:
        `${description} The old jobs remain unchanged, so every request after the first must pass \`asOf\` from the first response: jobs created later are ` +
        "ignored. Fails with LW409, changing nothing, if the history lacks parts of a job's payload; POST /jobs/:id/rerun accepts a payload.",
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
      summary: "Change the priority of all unfinished jobs that match",
      description: `${description} Jobs that already have this priority are not counted.`,
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
      summary: "List failed jobs that can be retried, grouped by error, largest group first",
      description:
        "With `failedSince=10m`, only jobs whose last attempt failed in the last ten minutes are counted, whenever they were created.",
      query: failedGroupQuery,
      answer: failedGroupPage,
      problems: ["LW404"],
    },
    async ({ client, query }) => ({ items: await listFailedGroups(client, query), nextCursor: null }),
  );
}
