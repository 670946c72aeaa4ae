-- Views of graphile-worker's tables. Only the files in this folder name those tables, so that a new version of graphile-worker affects this folder
-- only.
--
-- The planner inlines plain views: reading or writing through them uses the same indexes, locks and triggers as the tables.
create or replace view legwork_private.graphile_jobs as
select id, job_queue_id, task_id, payload, priority, run_at, attempts, max_attempts, last_error, created_at, updated_at, key, locked_at, locked_by, revision, flags,
  is_available, xmin as xid
from graphile_worker._private_jobs;
comment on view legwork_private.graphile_jobs is 'graphile-worker''s jobs: those that have not ended, and those that have failed.';
comment on column legwork_private.graphile_jobs.id is 'The job''s id.';
comment on column legwork_private.graphile_jobs.job_queue_id is 'The id of its serial key in graphile_job_queues; null if it has none.';
comment on column legwork_private.graphile_jobs.task_id is 'The id of its task in graphile_tasks.';
comment on column legwork_private.graphile_jobs.payload is 'The task''s input.';
comment on column legwork_private.graphile_jobs.priority is 'Jobs with smaller values run first.';
comment on column legwork_private.graphile_jobs.run_at is 'When it may start; infinity while the waiting room or a workflow holds it.';
comment on column legwork_private.graphile_jobs.attempts is 'Attempts that have started.';
comment on column legwork_private.graphile_jobs.max_attempts is 'Attempts allowed.';
comment on column legwork_private.graphile_jobs.last_error is 'The error message of the last failed attempt.';
comment on column legwork_private.graphile_jobs.created_at is 'When it was enqueued.';
comment on column legwork_private.graphile_jobs.updated_at is 'When graphile-worker last wrote its row.';
comment on column legwork_private.graphile_jobs.key is 'Its job key, prefixed with the tenant.';
comment on column legwork_private.graphile_jobs.locked_at is 'When its worker fetched it; null while no worker has it.';
comment on column legwork_private.graphile_jobs.locked_by is 'The worker that has fetched it.';
comment on column legwork_private.graphile_jobs.revision is 'How often it was replaced or rescheduled.';
comment on column legwork_private.graphile_jobs.flags is 'The job''s flags: those with which graphile-worker''s workers can reject jobs, and those that store Legwork''s context. Null if it has none.';
comment on column legwork_private.graphile_jobs.is_available is 'Whether it is unlocked and has attempts left.';
comment on column legwork_private.graphile_jobs.xid is 'The transaction that wrote the row.';

create or replace view legwork_private.graphile_tasks as
select id, identifier from graphile_worker._private_tasks;
comment on view legwork_private.graphile_tasks is 'graphile-worker''s tasks, with their names.';
comment on column legwork_private.graphile_tasks.id is 'The id by which jobs refer to it.';
comment on column legwork_private.graphile_tasks.identifier is 'The task''s name.';

create or replace view legwork_private.graphile_job_queues as
select id, queue_name, locked_at, locked_by, is_available from graphile_worker._private_job_queues;
comment on view legwork_private.graphile_job_queues is 'graphile-worker''s job queues: one per serial key.';
comment on column legwork_private.graphile_job_queues.id is 'The id by which jobs refer to it.';
comment on column legwork_private.graphile_job_queues.queue_name is 'The serial key, prefixed with the tenant.';
comment on column legwork_private.graphile_job_queues.locked_at is 'When the worker that runs one of its jobs locked it.';
comment on column legwork_private.graphile_job_queues.locked_by is 'The worker that runs one of its jobs.';
comment on column legwork_private.graphile_job_queues.is_available is 'Whether no worker has locked it.';

create or replace view legwork_private.graphile_crontabs as
select identifier, known_since, last_execution from graphile_worker._private_known_crontabs;
comment on view legwork_private.graphile_crontabs is 'graphile-worker''s records of crontab entries.';
comment on column legwork_private.graphile_crontabs.identifier is 'The entry''s identifier.';
comment on column legwork_private.graphile_crontabs.known_since is 'When it was first seen.';
comment on column legwork_private.graphile_crontabs.last_execution is 'The last due time for which it was enqueued.';

create or replace function legwork_private.as_graphile_job(job graphile_worker._private_jobs) returns legwork_private.graphile_jobs
language sql immutable parallel safe
return row(job.id, job.job_queue_id, job.task_id, job.payload, job.priority, job.run_at, job.attempts, job.max_attempts, job.last_error, job.created_at,
  job.updated_at, job.key, job.locked_at, job.locked_by, job.revision, job.flags, job.is_available, null)::legwork_private.graphile_jobs;
comment on function legwork_private.as_graphile_job(graphile_worker._private_jobs) is 'Converts a trigger''s row to a row of the view. Its xid is null.';

create or replace function legwork_private.job_locker(job_id bigint) returns xid
language sql stable set search_path = pg_catalog, pg_temp
return (select j.xmax from graphile_worker._private_jobs j where j.id = job_locker.job_id);
comment on function legwork_private.job_locker(bigint) is
  'The last transaction that has locked or changed a job''s row, or tried to; it may have ended. 0 if no transaction has. If several transactions have locked it, the id of their group.';

create or replace function legwork_private.jobs_table() returns regclass
language sql stable parallel safe
return regclass 'graphile_worker._private_jobs';
comment on function legwork_private.jobs_table() is 'graphile-worker''s table of jobs, for catalog queries.';

create or replace function legwork_private.job_queues_table() returns regclass
language sql stable parallel safe
return regclass 'graphile_worker._private_job_queues';
comment on function legwork_private.job_queues_table() is 'graphile-worker''s table of job queues, for catalog queries.';

create or replace function legwork_private.tasks_table() returns regclass
language sql stable parallel safe
return regclass 'graphile_worker._private_tasks';
comment on function legwork_private.tasks_table() is 'graphile-worker''s table of tasks, for catalog queries.';

create or replace function legwork_private.job_id_sequence() returns regclass
language sql stable parallel safe
return pg_get_serial_sequence('graphile_worker._private_jobs', 'id')::regclass;
comment on function legwork_private.job_id_sequence() is 'The sequence of job ids. Looking it up takes as long as inserting a job, so call this once per statement.';

create or replace function legwork_private.next_job_id() returns bigint
language sql volatile
return nextval(legwork_private.job_id_sequence());
comment on function legwork_private.next_job_id() is 'Takes the next id from the sequence, for a job that is about to be inserted.';

create or replace function legwork_private.last_job_id() returns bigint
language sql volatile
return pg_sequence_last_value(legwork_private.job_id_sequence());
comment on function legwork_private.last_job_id() is 'The last job id that was taken from the sequence; null if there has been none.';

create or replace function legwork_private.restore_names(tasks text[], serial_keys text[] default '{}') returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  insert into legwork_private.graphile_tasks (identifier)
  select distinct n.name from unnest(tasks) as n (name)
  where not exists (select from legwork_private.graphile_tasks t where t.identifier = n.name)
  on conflict do nothing;
  if serial_keys <> '{}' then
    insert into legwork_private.graphile_job_queues (queue_name)
    select distinct n.name from unnest(serial_keys) as n (name)
    where n.name is not null and not exists (select from legwork_private.graphile_job_queues q where q.queue_name = n.name)
    on conflict do nothing;
  end if;
end $$;
comment on function legwork_private.restore_names(text[], text[]) is
  'Inserts missing rows for tasks and serial keys before jobs that need them are inserted. graphile-worker''s cleanup of unused names may have deleted them.';
