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

/** Adds the routes for actions on a job: cancel, retry, discard, rerun, signal, and change its priority. */
export function addJobActionRoutes(app: FastifyInstance, context: RestContext): void {
  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/jobs/:id/signals/:name",
      tag: "jobs",
      role: "operator",
      summary: "Send a signal to a job whose task waits for it, now or later",
      description: "Only the first signal of each name counts.",
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
        "A waiting job never starts. A running job gets its abort signal within a second and is not retried; the state in the response is still `running`.",
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
      summary: "Retry a failed job, or start a waiting job now",
      description: "A failed job gets all its attempts again. A waiting job becomes due now. Limits and pauses still apply.",
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
      summary: "Discard a failed job",
      description: "The job can no longer be retried, but stays in the history as failed.",
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
      summary: "Discard a failed job, or cancel a waiting or running job",
      description: "Fails with LW409 for a job that has ended in another state. The job stays in the history.",
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
      summary: "Run an ended job again as a new job",
      description:
        "The new job has the old job's task, payload, priority, serial key, maximum attempts, tenant and correlation id, and the old job as its parent, but not the old job's job key, time, expiry or dependencies. " +
        "Fails with LW409 if the job has not ended, or if the history lacks parts of the payload because the task redacts them; then send the whole payload. " +
        'In a payload that you send, `"[redacted]"` keeps the old value as long as the job can be retried.',
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
      summary: "List a job's reruns, and the job that it is itself a rerun of",
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
      summary: "Change a job's priority",
      description:
        "Smaller numbers run first. For a running job, the priority applies to the next attempt. A job that a worker has already fetched keeps its position.",
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
