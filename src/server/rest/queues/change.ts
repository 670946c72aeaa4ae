import type { FastifyInstance } from "fastify";
import { z } from "zod";
import {
  limitBody,
  limitKey,
  limitUsePage,
  limitUseQuery,
  pauseBody,
  queueSchema,
  retryPolicyBody,
  taskSchema,
} from "../../../contract/queues.ts";
import { queueName, taskName } from "../../../contract/values.ts";
import { dropLimit, limitConcurrency, limitRate, type LimitTarget, resetLimits } from "../../../queues/limits.ts";
import { limitUse } from "../../../queues/limit-use.ts";
import { pauseQueue, pauseTask, resumeQueue, resumeTask } from "../../../queues/pause.ts";
import { getQueue, getTask } from "../../../queues/read-queues.ts";
import { dropRetryPolicy, setRetryPolicy } from "../../../queues/retry-policy.ts";
import { addRoute, type RestContext } from "../route.ts";

/** What can be paused, limited and given a retry policy: queues and tasks. */
const TARGETS = {
  queue: {
    path: "queues",
    tag: "queues",
    name: queueName,
    row: queueSchema,
    get: getQueue,
    pause: pauseQueue,
    resume: resumeQueue,
  },
  task: { path: "tasks", tag: "tasks", name: taskName, row: taskSchema, get: getTask, pause: pauseTask, resume: resumeTask },
} as const;

/** Adds the routes for pauses, limits and retry policies of queues or tasks. Each returns the new state of the queue or task. */
export function addQueueChangeRoutes(app: FastifyInstance, context: RestContext, scope: keyof typeof TARGETS): void {
  const { path, tag, name, row, get, pause, resume } = TARGETS[scope];
  const target = (of: string): LimitTarget => (scope === "queue" ? { queue: of } : { task: of });
  const common = {
    tag,
    role: "operator",
    everybody: true,
    params: z.object({ name }),
    answer: row,
    problems: ["LW404"],
  } as const;

  addRoute(
    app,
    context,
    {
      ...common,
      method: "POST",
      url: `/${path}/:name/pause`,
      summary: `Pause a ${scope}: waiting jobs do not start, running jobs finish`,
      description:
        "Takes effect on every worker at most 300 ms after the response. Jobs can still be enqueued, and no jobs are lost.",
      body: pauseBody,
    },
    async ({ client, params, body }) => {
      await pause(client, params.name, body?.reason);
      return await get(client, params.name);
    },
  );

  addRoute(
    app,
    context,
    { ...common, method: "POST", url: `/${path}/:name/resume`, summary: `Resume a ${scope}` },
    async ({ client, params }) => {
      await resume(client, params.name);
      return await get(client, params.name);
    },
  );

  addRoute(
    app,
    context,
    {
      ...common,
      method: "PUT",
      url: `/${path}/:name/limits`,
      summary: `Set a limit of a ${scope}`,
      description: "Replaces the limit of the same kind with the same key, if there is one. Other limits are kept.",
      body: limitBody,
    },
    async ({ client, params, body }) => {
      const where = { ...target(params.name), ...(body.key === undefined ? {} : { key: body.key }) };
      if (body.kind === "rate") await limitRate(client, body.max, body.per, where);
      else await limitConcurrency(client, body.max, where);
      return await get(client, params.name);
    },
  );

  addRoute(
    app,
    context,
    {
      ...common,
      method: "GET",
      url: `/${path}/:name/limits/use`,
      role: "viewer",
      summary: `Show which key values use up the limits of a ${scope}, longest lines first`,
      query: limitUseQuery,
      answer: limitUsePage,
    },
    async ({ client, params, query }) => ({
      items: await limitUse(client, scope === "queue" ? { queue: params.name } : { task: params.name }, query.atMost),
      nextCursor: null,
    }),
  );

  addRoute(
    app,
    context,
    {
      ...common,
      method: "DELETE",
      url: `/${path}/:name/limits/:kind`,
      summary: `Remove a limit from a ${scope}`,
      params: z.object({ name, kind: z.enum(["concurrency", "rate"]) }),
      query: z.strictObject({ key: limitKey.optional() }),
    },
    async ({ client, params, query }) => {
      await dropLimit(client, params.kind, { ...target(params.name), ...(query.key === undefined ? {} : { key: query.key }) });
      return await get(client, params.name);
    },
  );

  if (scope === "task") {
    addRoute(
      app,
      context,
      {
        ...common,
        method: "POST",
        url: "/tasks/:name/limits/reset",
        summary: "Reset a task's limits to those that its definition declares",
      },
      async ({ client, params }) => {
        await resetLimits(client, params.name);
        return await get(client, params.name);
      },
    );
  }

  addRoute(
    app,
    context,
    {
      ...common,
      method: "PUT",
      url: `/${path}/:name/retry-policy`,
      summary: `Set the retry policy of a ${scope}`,
      description: "Replaces the previous policy and applies starting with the next failure.",
      body: retryPolicyBody,
    },
    async ({ client, params, body }) => {
      const where = scope === "queue" ? { queue: params.name } : { task: params.name };
      await setRetryPolicy(client, body, where);
      return await get(client, params.name);
    },
  );

  addRoute(
    app,
    context,
    {
      ...common,
      method: "DELETE",
      url: `/${path}/:name/retry-policy`,
      summary: `Remove the retry policy that was set for a ${scope}`,
    },
    async ({ client, params }) => {
      await dropRetryPolicy(client, scope === "queue" ? { queue: params.name } : { task: params.name });
      return await get(client, params.name);
    },
  );
}
