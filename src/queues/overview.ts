import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";

/** How the whole system is, at a glance. Counts are strings: they may be larger than a number holds. */
export interface Overview {
  /** Jobs that have not ended, by what they do. */
  running: string;
  pending: string;
  blocked: string;
  paused: string;
  later: string;
  /** Since when the job that has waited longest could have started; null when none waits. */
  oldest: Date | null;
  /** Failed jobs that can be retried. */
  failed: string;
  /** When the jobs were counted, where so many live that they are not counted for each answer; null for now, or from a server within the last second. */
  counted_at: Date | null;
  queues: number;
  tasks: number;
  workers: number;
  /** Jobs that all living workers together run at a time. */
  concurrency: number;
  /** Of an emergency stop; null when there is none. */
  stopped_at: Date | null;
  stopped_by: string | null;
  stop_reason: string | null;
}

/** The part of an overview that takes long where very many jobs live. */
export type Counts = Pick<
  Overview,
  "running" | "pending" | "blocked" | "paused" | "later" | "oldest" | "failed" | "counted_at" | "queues"
>;

/** Counts what lives and what failed, never the whole history. */
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
 * `counts`: what was counted a moment ago, where somebody has it; counted now otherwise.
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
