import type { FastifyInstance } from "fastify";
import { z } from "zod";
import {
  doneSchema,
  priorityBody,
  prioritySchema,
  reasonBody,
  rerunBody,
  rerunPage,
  rerunSchema,
  signalBody,
  signalSchema,
} from "../../../contract/jobs.ts";
import { jobId, text } from "../../../contract/values.ts";
import { cancelJob } from "../../../jobs/cancel-job.ts";
import { discardJob } from "../../../jobs/discard-job.ts";
import { getJob } from "../../../jobs/read-jobs.ts";
import { listReruns, rerunJob } from "../../../jobs/rerun-job.ts";
import { retryJob } from "../../../jobs/retry-job.ts";
import { sendSignal } from "../../../jobs/send-signal.ts";
import { setPriority } from "../../../jobs/set-priority.ts";
import { idempotencyHeaders, once } from "../idempotency.ts";
import { addRoute, type RestContext } from "../route.ts";

const oneJob = z.object({ id: jobId });
/** Ending, retrying and re-running a job, sending it a signal, and changing when its turn comes. */
export function addJobActionRoutes(app: FastifyInstance, context: RestContext): void {
  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/jobs/:id/signals/:name",
      tag: "jobs",
      role: "operator",
      summary: "Send a job a signal that its task waits for, now or later",
      description: "Of each name the first one counts.",
      params: z.object({ id: jobId, name: text(200) }),
      body: signalBody,
      answer: signalSchema,
      problems: ["LW404", "LW409", "LW413"],
    },
    async ({ client, params, body }) => {
      await getJob(client, params.id);
      return { counts: await sendSignal(client, params.id, params.name, body?.payload) };
    },
  );

  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/jobs/:id/cancel",
      tag: "jobs",
      role: "operator",
      summary: "Cancel a job",
      description:
        "One that waits never starts. One that runs is told to stop, within a second, and is not retried; the answer then says `running`.",
      params: oneJob,
      body: reasonBody,
      answer: doneSchema,
      problems: ["LW404", "LW409"],
    },
    async ({ client, params, body }) => ({ id: params.id, state: await cancelJob(client, params.id, body?.reason) }),
  );

  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/jobs/:id/retry",
      tag: "jobs",
      role: "operator",
      summary: "Let a job start now",
      description:
        "A failed one gets all its attempts again, a waiting one does not wait for its time. Limits and pauses still hold it back.",
      params: oneJob,
      answer: doneSchema,
      problems: ["LW404", "LW409"],
    },
    async ({ client, params }) => ({ id: params.id, state: await retryJob(client, params.id) }),
  );

  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/jobs/:id/discard",
      tag: "jobs",
      role: "operator",
      summary: "Give up a failed job",
      description: "It cannot be retried any more and stays in the history as failed.",
      params: oneJob,
      answer: doneSchema,
      problems: ["LW404", "LW409"],
    },
    async ({ client, params }) => {
      await discardJob(client, params.id);
      return { id: params.id, state: "failed" };
    },
  );

  addRoute(
    app,
    context,
    {
      method: "DELETE",
      url: "/jobs/:id",
      tag: "jobs",
      role: "operator",
      summary: "Take a job out, whether it waits, runs or has failed",
      description:
        "Discards a failed job and cancels any other. What has ended otherwise stays as it is: LW409. The history keeps the job.",
      params: oneJob,
      answer: doneSchema,
      problems: ["LW404", "LW409"],
    },
    async ({ client, params }) => {
      const { id, state } = await getJob(client, params.id);
      if (state !== "failed") return { id, state: await cancelJob(client, id) };
      await discardJob(client, id);
      return { id, state };
    },
  );

  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/jobs/:id/rerun",
      tag: "jobs",
      role: "operator",
      summary: "Run a job again that has ended, as a new job",
      description:
        "With its task, payload, priority, serial key, attempts, tenant and correlation id, and the old job as its parent; not with its job key, time, expiry and dependencies. " +
        'LW409 while it has not ended, and where the history has not the whole payload because its task redacts parts of it: then send it whole. `"[redacted]"` in it ' +
        "stays what it was as long as the job is kept for a retry.",
      params: oneJob,
      headers: idempotencyHeaders,
      body: rerunBody,
      status: 201,
      answer: rerunSchema,
      problems: ["LW404", "LW409", "LW422"],
    },
    async (call) => await once(call, async () => ({ id: await rerunJob(call.client, call.params.id, call.body ?? {}) })),
  );

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/jobs/:id/reruns",
      tag: "jobs",
      role: "viewer",
      summary: "See what a job is a re-run of, and the re-runs of it",
      params: oneJob,
      answer: rerunPage,
      problems: ["LW404"],
    },
    async ({ client, params }) => ({ items: await listReruns(client, params.id), nextCursor: null }),
  );

  addRoute(
    app,
    context,
    {
      method: "PUT",
      url: "/jobs/:id/priority",
      tag: "jobs",
      role: "operator",
      summary: "Change when a job's turn comes",
      description:
        "Smaller runs first. Of a running job it holds for its next attempt; one that a worker has fetched ahead keeps its turn.",
      params: oneJob,
      body: priorityBody,
      answer: prioritySchema,
      problems: ["LW404", "LW409"],
    },
    async ({ client, params, body }) => ({
      id: params.id,
      priority: body.priority,
      was: await setPriority(client, params.id, body.priority),
    }),
  );
}
