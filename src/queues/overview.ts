import type { Queryable } from "../db/pool.ts";

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

/** Counts what lives and what failed, never the whole history. */
export async function readOverview(client: Queryable): Promise<Overview> {
  const { rows } = await client.query(
    `select q.*, g.failed, (select count(*)::int from legwork.tasks) as tasks, w.*, p.*
     from (
       select coalesce(sum(q.running), 0)::text as running, coalesce(sum(q.pending), 0)::text as pending,
         coalesce(sum(q.blocked), 0)::text as blocked, coalesce(sum(q.paused), 0)::text as paused, coalesce(sum(q.later), 0)::text as later,
         min(q.oldest) as oldest, count(*)::int as queues
       from legwork.queues q
     ) q
     cross join (select coalesce(sum(f.jobs), 0)::text as failed from legwork.failed_groups f) g
     cross join (select count(*)::int as workers, coalesce(sum(w.concurrency), 0)::int as concurrency from legwork.workers w) w
     left join legwork.stopped() p on true`,
  );
  return rows[0];
}
