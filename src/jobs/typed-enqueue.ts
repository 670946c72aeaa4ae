import type { z } from "zod";
import { toQueryable, type TransactionClient } from "../db/transaction-client.ts";
import { jobOf, type NamedTask, type Task } from "./define-task.ts";
import {
  enqueue,
  enqueueMany,
  enqueueOn,
  type EnqueueOnOptions,
  type EnqueueOptions,
  type JobSpec as EnqueueJobSpec,
} from "./enqueue.ts";
import { allThroughEnqueue, installedMiddleware, throughEnqueue } from "./enqueue-middleware.ts";
import type { PayloadOf, TaskName, WithPayload } from "./task-registry.ts";

/** A job of `enqueueMany`. */
export type JobSpec = {
  [Name in TaskName]: EnqueueOptions & { task: Name } & ({} extends PayloadOf<Name>
      ? { payload?: PayloadOf<Name> }
      : { payload: PayloadOf<Name> });
}[TaskName];

/**
 * Enqueues a job on the caller's connection, within its open transaction if there is one, and returns the job's id. Identify the task by its name, or
 * by its definition if that contains the name. With a task registry (`legwork types`), a wrong name or payload does not compile.
 *
 * The payload is checked first: against the definition, if that is given, and against the schema that a worker registered. Throws LW422, naming the
 * field, for a payload that does not match; LW404 for an unknown task; LW409 when a job with the same key cannot be replaced; LW400 for options that
 * cannot be combined; LW429 over the rate limit.
 *
 * @example
 * import { enqueue } from "legwork";
 *
 * await client.query("begin");
 * await client.query("insert into users (id, email) values (4, 'ann@example.com')");
 * await enqueue(client, "notify/welcome", { userId: 4 }, { jobKey: "welcome:4", runAt: new Date(Date.now() + 60_000) });
 * await client.query("commit");  // the job exists from here on
 */
export function enqueueTyped<P extends z.ZodType, R extends z.ZodType>(
  client: TransactionClient,
  task: NamedTask<P, R>,
  ...rest: WithPayload<z.input<P>, [options?: EnqueueOptions]>
): Promise<string>;
export function enqueueTyped<Name extends TaskName>(
  client: TransactionClient,
  task: Name,
  ...rest: WithPayload<PayloadOf<Name>, [options?: EnqueueOptions]>
): Promise<string>;
export async function enqueueTyped(
  client: TransactionClient,
  target: string | Task,
  given?: unknown,
  options?: EnqueueOptions,
): Promise<string> {
  const { task, payload, ...rest } = await throughEnqueue(installedMiddleware(), { ...options, ...jobOf(target, given) });
  return await enqueue(toQueryable(client), task, payload, rest);
}

/**
 * Enqueues any number of jobs in one statement, either all or none, and returns their ids in the same order.
 * Throws like `enqueue`.
 *
 * @example
 * import { enqueueMany } from "legwork";
 *
 * const [first, second] = await enqueueMany(client, [
 *   { task: "notify/welcome", payload: { userId: 3 } },
 *   { task: "notify/welcome", payload: { userId: 4 }, priority: -1 },
 * ]);
 */
export async function enqueueManyTyped(client: TransactionClient, jobs: readonly JobSpec[]): Promise<string[]> {
  return await enqueueMany(toQueryable(client), await allThroughEnqueue<EnqueueJobSpec>(installedMiddleware(), jobs));
}

/**
 * Creates a trigger on `table` that enqueues `task` in the transaction of each change. Calling it again replaces the trigger.
 * Throws LW404 for an unknown task, LW400 for an unknown event or column.
 *
 * @example
 * import { enqueueOn } from "legwork";
 *
 * // Every insert of a user, from any language, enqueues a job in the same transaction.
 * await enqueueOn(client, "users", ["insert"], "notify/welcome", { payload: { userId: "id" } });
 */
export async function enqueueOnTyped(
  client: TransactionClient,
  table: string,
  events: readonly ("insert" | "update" | "delete")[],
  task: TaskName,
  options?: EnqueueOnOptions,
): Promise<void> {
  await enqueueOn(toQueryable(client), table, events, task, options);
}
