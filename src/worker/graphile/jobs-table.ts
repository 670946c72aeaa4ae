// The queries with which the worker reads graphile-worker's tables directly. Its role has the privileges for them. All other code uses Legwork's
// functions and views.

/** Whether a job ($1) is locked by a worker ($2). */
export const HELD_JOB = "select from graphile_worker._private_jobs where id = $1 and locked_by = $2";

/** Returns the ids of tasks ($1). */
export const TASK_IDS = "select id, identifier from graphile_worker._private_tasks where identifier = any ($1::text[])";

/** Returns the tasks of jobs ($1), ordered by job id. */
export const TASKS_OF_JOBS = `select j.id, k.identifier as task from graphile_worker._private_jobs j
  join graphile_worker._private_tasks k on k.id = j.task_id where j.id = any ($1) order by j.id`;

/**
 * Whether a worker could run a job now or is running one. Counts due jobs of its tasks ($1), unless a worker other than this one ($2) holds their
 * serial key, or they have a flag that this worker forbids ($3). Before this query, jobs that wait for a limit are released if slots are free. Jobs
 * that are paused, blocked or due later do not count.
 */
export const IS_LEFT = `select exists (
  select from graphile_worker._private_jobs j
  join graphile_worker._private_tasks t on t.id = j.task_id
  left join graphile_worker._private_job_queues q on q.id = j.job_queue_id
  where t.identifier = any ($1::text[]) and (
    j.locked_by = $2
    or j.is_available and j.run_at <= now() and coalesce(q.is_available or q.locked_by = $2, true) and not coalesce(j.flags ?| $3::text[], false))
) as is_left`;
