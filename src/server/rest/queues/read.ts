import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { toPage } from "../../../contract/page.ts";
import {
  queuePage,
  queueSchema,
  taskCursor,
  taskPage,
  taskQuery,
  taskSchema,
  workerPage,
  workerSchema,
} from "../../../contract/queues.ts";
import { queueName, taskName, text } from "../../../contract/values.ts";
import { LegworkError } from "../../../errors.ts";
import type { Queryable } from "../../../db/pool.ts";
import { drainWorker, quietWorker, resumeWorker } from "../../../queues/quiet-worker.ts";
import { getQueue, getTask, listQueues, listTasks, listWorkers, type WorkerRow } from "../../../queues/read-queues.ts";
import { addRoute, type RestContext } from "../route.ts";
import { addQueueChangeRoutes } from "./change.ts";

const workerParams = z.object({ id: text(300).describe("The worker's id or its name, host:pid.") });

/** The operations on a worker. Each returns its new state. */
const CHANGES = [
  {
    url: "/workers/:id/quiet",
    change: quietWorker,
    summary: "Make a worker quiet: it takes no new jobs",
    description:
      "Takes effect within a second. Jobs that it has fetched but not started return to the queue; running jobs continue. A restarted process is not quiet.",
  },
  {
    url: "/workers/:id/drain",
    change: drainWorker,
    summary: "Drain a worker: it takes no new jobs and stops when its running jobs have ended",
    description: "Until it has stopped, it can be resumed.",
  },
  {
    url: "/workers/:id/resume",
    change: resumeWorker,
    summary: "Make a quiet or draining worker take jobs again",
    description: "Takes effect within about a second.",
  },
] as const;

async function findWorker(client: Queryable, worker: string): Promise<WorkerRow> {
  const workers = await listWorkers(client);
  const found = workers.find(({ id }) => id === worker) ?? workers.findLast(({ name }) => name === worker);
  if (found !== undefined) return found;
  throw new LegworkError("LW404", `There is no running worker named '${worker}'.`, { action: { do: "list_workers" } });
}

/** Adds the routes for queues, tasks and workers. */
export function addQueueRoutes(app: FastifyInstance, context: RestContext): void {
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/queues",
      tag: "queues",
      role: "viewer",
      summary: "List queues with their job counts",
      answer: queuePage,
    },
    async ({ client }) => ({ items: await listQueues(client), nextCursor: null }),
  );
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/queues/:name",
      tag: "queues",
      role: "viewer",
      summary: "Get a queue",
      params: z.object({ name: queueName }),
      answer: queueSchema,
      problems: ["LW404"],
      etag: true,
    },
    async ({ client, params }) => await getQueue(client, params.name),
  );
  addQueueChangeRoutes(app, context, "queue");

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/tasks",
      tag: "tasks",
      role: "viewer",
      summary: "List the tasks that a worker has registered or that a job was enqueued for",
      query: taskQuery,
      answer: taskPage,
    },
    async ({ client, query: { queue, cursor, after, limit } }) =>
      toPage(await listTasks(client, { queue, after: cursor ?? after, limit: limit + 1 }), limit, ({ name }) =>
        taskCursor.make(name),
      ),
  );
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/tasks/:name",
      tag: "tasks",
      role: "viewer",
      summary: "Get a task",
      description: "Write a slash in the name as %2F: /tasks/notify%2Femail.",
      params: z.object({ name: taskName }),
      answer: taskSchema,
      problems: ["LW404"],
      etag: true,
    },
    async ({ client, params }) => await getTask(client, params.name),
  );
  addQueueChangeRoutes(app, context, "task");

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/workers",
      tag: "workers",
      role: "viewer",
      summary: "List running Legwork workers with their jobs",
      answer: workerPage,
    },
    async ({ client }) => ({ items: await listWorkers(client), nextCursor: null }),
  );
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/workers/:id",
      tag: "workers",
      role: "viewer",
      summary: "Get a worker",
      params: workerParams,
      answer: workerSchema,
      problems: ["LW404"],
    },
    async ({ client, params }) => await findWorker(client, params.id),
  );
  for (const { url, summary, description, change } of CHANGES) {
    addRoute(
      app,
      context,
      {
        method: "POST",
        url,
        tag: "workers",
        role: "operator",
        everybody: true,
        summary,
        description,
        params: workerParams,
        answer: workerSchema,
        problems: ["LW404"],
      },
      async ({ client, params }) => {
        await change(client, params.id);
        return await findWorker(client, params.id);
      },
    );
  }
}
