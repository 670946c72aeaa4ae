import type pg from "pg";

/** A connection or a pool for graphile-worker's statements. */
type Queryable = Pick<pg.ClientBase, "query">;

/** A job as graphile-worker's fetch statement returns it. */
export interface FetchedJob {
  readonly id: string;
  readonly task: string;
}

/**
 * A plain graphile-worker that a test operates step by step. Each step is graphile-worker's own statement, and nothing runs in between, so that a
 * test can control what happens concurrently.
 */
export class HandWorker {
  readonly id: string;

  constructor(id: string) {
    this.id = id;
  }

  async fetch(client: Queryable, count = 1): Promise<FetchedJob[]> {
    const { rows } = await client.query(
      `with j_raw as (
        select jobs.job_queue_id, jobs.priority, jobs.run_at, jobs.id
        from graphile_worker._private_jobs as jobs
        where jobs.is_available = true and run_at <= now()
          and (jobs.job_queue_id is null or jobs.job_queue_id in (
            select id from graphile_worker._private_job_queues as job_queues
            where job_queues.is_available = true for update skip locked))
        order by priority asc, run_at asc limit ${count} for update skip locked
      ), j as (
        select distinct on (job_queue_id, case when job_queue_id is null then id end) job_queue_id, priority, run_at, id
        from j_raw order by job_queue_id, case when job_queue_id is null then id end, priority asc, run_at asc
      ), q as (
        update graphile_worker._private_job_queues as job_queues set locked_by = $1::text, locked_at = now()
        from j where job_queues.id = j.job_queue_id
      )
      update graphile_worker._private_jobs as jobs set attempts = jobs.attempts + 1, locked_by = $1::text, locked_at = now()
      from j where jobs.id = j.id
      returning jobs.id, (select identifier from graphile_worker._private_tasks t where t.id = jobs.task_id) as task`,
      [this.id],
    );
    return rows;
  }

  async complete(client: Queryable, jobIds: readonly string[]): Promise<void> {
    await client.query(
      `with j as (
        delete from graphile_worker._private_jobs as jobs using unnest($1::bigint[]) n(n) where id = n returning *
      )
      update graphile_worker._private_job_queues as job_queues set locked_by = null, locked_at = null
      from j where job_queues.id = j.job_queue_id and job_queues.locked_by = $2::text`,
      [jobIds, this.id],
    );
  }

  async fail(client: Queryable, jobIds: readonly string[], message = "It failed."): Promise<void> {
    await client.query(
      `with j as (
        update graphile_worker._private_jobs as jobs set last_error = $2::text,
          run_at = greatest(now(), run_at) + (exp(least(attempts, 10)) * interval '1 second'), locked_by = null, locked_at = null
        where id = any($1::bigint[]) and locked_by = $3::text
        returning *
      )
      update graphile_worker._private_job_queues as job_queues set locked_by = null, locked_at = null
      from j where job_queues.id = j.job_queue_id and job_queues.locked_by = $3::text`,
      [jobIds, message, this.id],
    );
  }

  /** Returns jobs that were fetched ahead, but not started, to the queue. */
  async giveBack(client: Queryable, jobIds: readonly string[]): Promise<void> {
    await client.query(
      `with j as (
        update graphile_worker._private_jobs as jobs set attempts = greatest(0, attempts - 1), locked_by = null, locked_at = null
        where id = any($2::bigint[]) and locked_by = $1::text
        returning *
      )
      update graphile_worker._private_job_queues as job_queues set locked_by = null, locked_at = null
      from j where job_queues.id = j.job_queue_id and job_queues.locked_by = $1::text`,
      [this.id, jobIds],
    );
  }
}
