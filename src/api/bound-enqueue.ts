import type { z } from "zod";
import type { Queryable } from "../db/pool.ts";
import { jobOf, type NamedTask, type Task } from "../jobs/define-task.ts";
import { enqueue, type EnqueueOptions } from "../jobs/enqueue.ts";
import type { PayloadOf, TaskName, WithPayload } from "../jobs/task-registry.ts";

/** `enqueue` with its connection already bound. */
export interface BoundEnqueue {
  <P extends z.ZodType, R extends z.ZodType>(
    task: NamedTask<P, R>,
    ...rest: WithPayload<z.input<P>, [options?: EnqueueOptions]>
  ): Promise<string>;
  <Name extends TaskName>(task: Name, ...rest: WithPayload<PayloadOf<Name>, [options?: EnqueueOptions]>): Promise<string>;
}

export function bindEnqueue(client: Queryable): BoundEnqueue {
  return async (target: string | Task, given?: unknown, options?: EnqueueOptions) => {
    const { task, payload } = jobOf(target, given);
    return await enqueue(client, task, payload, options);
  };
}
