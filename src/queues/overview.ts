import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";

/** The state of the whole system, in numbers. Counts are strings, because they may exceed what a number holds exactly. */
export interface Overview {
  /** The numbers of jobs that have not ended, by state. `later` counts scheduled and retrying jobs. */
  running: string;
  pending: string;
  blocked: string;
  paused: string;
  later: string;
  /** When the job that has been waiting the longest became due; null if no job is waiting. */
  oldest: Date | null;
  /** The number of failed jobs that can be retried. */
  failed: string;
  /** When the jobs were counted, if there are too many to count them every time. Null means now or, from a server, within the last second. */
  counted_at: Date | null;
  queues: number;
  tasks: number;
  workers: number;
  /** The number of jobs that all running workers together run at a time. */
  concurrency: number;
  /** The emergency stop; null if none is active. */
  stopped_at: Date | null;
  stopped_by: string | null;
  stop_reason: string | null;
}

/** The part of an overview that is slow when there are very many jobs. */
export type Counts = Pick<
  Overview,
  "running" | "pending" | "blocked" | "paused" | "later" | "oldest" | "failed" | "counted_at" | "queues"
>;

/** Counts the jobs that have not ended and those that failed, never the whole history. */
export async function readCounts(client: Queryable): Promise<Counts> {
  const rows = await selectRows(
    client,
    `select coalesce(sum(q.running), 0)::text as running, coalesce(sum(q.pending), 0)::text as pending,
       coalesce(sum(q.blocked), 0)::text as blocked, coalesce(sum(q.paused), 0)::text as paused, coalesce(sum(q.later), 0)::text as later,
       coalesce(sum(q.failed), 0)::text as failed, min(q.oldest) as oldest, count(*)::int as queues, min(q.counted_at) as counted_at
     from legwork.queues q`,
  );
  return rows[0];
}

/**
 * Returns the numbers of jobs, queues, tasks and workers, and any emergency stop. `counts`: recent counts, if the caller has them; by default the
 * jobs are counted now.
 *
 * @example
 * import { readOverview } from "legwork/operations";
 *
 * const { pending, running, failed, stopped_at } = await readOverview(client);
 */
export async function readOverview(client: Queryable, counts?: Counts): Promise<Overview> {
  const counted = counts ?? (await readCounts(client));
  const rows = await selectRows(
    client,
    `select (select count(*)::int from legwork.tasks) as tasks, w.*, p.*
     from (select count(*)::int as workers, coalesce(sum(w.concurrency), 0)::int as concurrency from legwork.workers w) w
     left join legwork_private.emergency_stop_details() p on true`,
  );
  return { ...counted, ...rows[0] };
}
