import { enqueue, type EnqueueOptions, type Queryable } from "legwork";
import { cancelJob, pauseQueue as pause, resumeQueue as resume } from "legwork/operations";
import type { QueueName } from "./config.ts";

/** A job in this app's format. */
export interface ChatJob {
  id: string;
  task: string;
  state: string;
  attempts: number;
  result: unknown;
  error: string | null;
}

export interface QueueStats {
  waiting: number;
  active: number;
  completed: number;
  failed: number;
  delayed: number;
  paused: boolean;
}

/** Adds a job and returns its id. Throws a PayloadError (LW422) that names the field if the data is not valid. */
export async function addJob(
  client: Queryable,
  queue: QueueName,
  data: Record<string, unknown>,
  options: EnqueueOptions = {},
): Promise<string> {
  return await enqueue(client, `chat/${queue}`, data, options);
}

/** Returns a queue's job by id, or null if it does not exist. */
export async function getJob(client: Queryable, queue: QueueName, id: string): Promise<ChatJob | null> {
  const { rows } = await client.query(
    "select id, task, state, attempts, result, error from legwork.jobs where id = $1 and queue = $2",
    [id, queue],
  );
  return rows[0] ?? null;
}

/** Cancels a job: a waiting job never starts, a running job gets the abort signal. Returns whether the job exists. */
export async function removeJob(client: Queryable, queue: QueueName, id: string): Promise<boolean> {
  if ((await getJob(client, queue, id)) === null) return false;
  await cancelJob(client, id, "Removed from its queue");
  return true;
}

export async function pauseQueue(client: Queryable, queue: QueueName): Promise<void> {
  await pause(client, queue);
}

export async function resumeQueue(client: Queryable, queue: QueueName): Promise<void> {
  await resume(client, queue);
}

/** Counts a queue's waiting and running jobs, and its completed and failed jobs in the history. */
export async function getQueueStats(client: Queryable, queue: QueueName): Promise<QueueStats> {
  const { rows } = await client.query(
    `select
       count(*) filter (where state in ('pending', 'blocked', 'paused') and run_at <= now())::int as waiting,
       count(*) filter (where state = 'running')::int as active,
       count(*) filter (where state = 'completed')::int as completed,
       count(*) filter (where state = 'failed')::int as failed,
       count(*) filter (where finished_at is null and run_at > now())::int as delayed,
       (select q.paused_at is not null from legwork.queues q where q.name = $1) as paused
     from legwork.jobs where queue = $1`,
    [queue],
  );
  return rows[0] as QueueStats;
}
