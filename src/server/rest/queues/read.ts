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
import { getQueue, getTask, listQueues, listTasks, listWorkers } from "../../../queues/read-queues.ts";
import { addRoute, type RestContext } from "../route.ts";
import { addQueueChangeRoutes } from "./change.ts";

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
      summary: "List queues with their numbers of jobs",
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
      summary: "List the tasks that a worker has registered or a job was enqueued for",
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
      params: z.object({ id: text(200) }),
      answer: workerSchema,
      problems: ["LW404"],
    },
    async ({ client, params }) => {
      const worker = (await listWorkers(client)).find(({ id }) => id === params.id);
      if (worker !== undefined) return worker;
      throw new LegworkError("LW404", `No worker has the id '${params.id}'.`, {
        hint: "GET /workers lists the running workers.",
      });
    },
  );
}
