// What the worker asks graphile-worker's tables, whose rights it has for that; everything else that Legwork does goes through its own functions and views.

/** Whether a job ($1) is locked by a worker ($2). */
export const HELD_JOB = "select from graphile_worker._private_jobs where id = $1 and locked_by = $2";

/** The tasks of jobs ($1), in the order of their ids. */
export const TASKS_OF_JOBS = `select j.id, k.identifier as task from graphile_worker._private_jobs j
  join graphile_worker._private_tasks k on k.id = j.task_id where j.id = any ($1) order by j.id`;

/**
 * What a worker could run now or is running: jobs of its tasks ($1) whose time has come, unless another worker than this one ($2) has their serial key or they
 * have one of the flags that it takes none of ($3). What waits for a limit is let go before that as far as there is room, and what is paused, blocked or ahead is
 * not waited for.
 */
export const IS_LEFT = `select exists (
  select from graphile_worker._private_jobs j
  join graphile_worker._private_tasks t on t.id = j.task_id
  left join graphile_worker._private_job_queues q on q.id = j.job_queue_id
  where t.identifier = any ($1::text[]) and (
    j.locked_by = $2
    or j.is_available and j.run_at <= now() and coalesce(q.is_available or q.locked_by = $2, true) and not coalesce(j.flags ?| $3::text[], false))
) as is_left`;
