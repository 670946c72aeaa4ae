import type { z } from "zod";
import type { Queryable } from "../db/pool.ts";
import { jobOf, type NamedTask, type Task } from "../jobs/define-task.ts";
import { type Enqueued, enqueue, type EnqueueOptions, enqueueWithOutcome } from "../jobs/enqueue.ts";
import { throughEnqueue } from "../jobs/enqueue-middleware.ts";
import type { Middleware } from "../jobs/middleware.ts";
import type { PayloadOf, TaskName, WithPayload } from "../jobs/task-registry.ts";

/** `enqueue` with its connection already bound. */
export interface BoundEnqueue<Returned = string> {
  <P extends z.ZodType, R extends z.ZodType>(
    task: NamedTask<P, R>,
    ...rest: WithPayload<z.input<P>, [options?: EnqueueOptions]>
  ): Promise<Returned>;
  <Name extends TaskName>(task: Name, ...rest: WithPayload<PayloadOf<Name>, [options?: EnqueueOptions]>): Promise<Returned>;
}

export function bindEnqueue(client: Queryable, middleware: readonly Middleware[]): BoundEnqueue {
  return async (target: string | Task, given?: unknown, options?: EnqueueOptions) => {
    const { task, payload, ...rest } = await throughEnqueue(middleware, { ...options, ...jobOf(target, given) });
    return await enqueue(client, task, payload, rest);
  };
}

export function bindEnqueueWithOutcome(client: Queryable, middleware: readonly Middleware[]): BoundEnqueue<Enqueued> {
  return async (target: string | Task, given?: unknown, options?: EnqueueOptions) => {
    const { task, payload, ...rest } = await throughEnqueue(middleware, { ...options, ...jobOf(target, given) });
    return await enqueueWithOutcome(client, task, payload, rest);
  };
}
