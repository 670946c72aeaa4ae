-- graphile-worker's tables as Legwork sees them. Only the files in this folder name them, so that a version of graphile-worker that changes them changes this folder.
--
-- The planner puts a plain view's query in its place: what reads or writes through these takes the same indexes, locks and triggers as on the tables.
create or replace view legwork_private.graphile_jobs as
select id, job_queue_id, task_id, payload, priority, run_at, attempts, max_attempts, last_error, created_at, updated_at, key, locked_at, locked_by, revision, flags,
  is_available, xmin as xid
from graphile_worker._private_jobs;
comment on view legwork_private.graphile_jobs is 'graphile-worker''s jobs: those that have not ended, and those that failed. xid: the transaction that wrote the row.';

create or replace view legwork_private.graphile_tasks as
select id, identifier from graphile_worker._private_tasks;
comment on view legwork_private.graphile_tasks is 'graphile-worker''s names of tasks.';

create or replace view legwork_private.graphile_job_queues as
select id, queue_name, locked_at, locked_by, is_available from graphile_worker._private_job_queues;
comment on view legwork_private.graphile_job_queues is 'graphile-worker''s job queues: one per serial key.';

create or replace view legwork_private.graphile_crontabs as
select identifier, known_since, last_execution from graphile_worker._private_known_crontabs;
comment on view legwork_private.graphile_crontabs is 'What graphile-worker knows of the entries of crontabs.';

create or replace function legwork_private.as_graphile_job(job graphile_worker._private_jobs) returns legwork_private.graphile_jobs
language sql immutable parallel safe
return row(job.id, job.job_queue_id, job.task_id, job.payload, job.priority, job.run_at, job.attempts, job.max_attempts, job.last_error, job.created_at,
  job.updated_at, job.key, job.locked_at, job.locked_by, job.revision, job.flags, job.is_available, null)::legwork_private.graphile_jobs;
comment on function legwork_private.as_graphile_job(graphile_worker._private_jobs) is 'A trigger''s row as a row of the view. Its xid is null.';

create or replace function legwork_private.jobs_table() returns regclass
language sql stable parallel safe
return regclass 'graphile_worker._private_jobs';
comment on function legwork_private.jobs_table() is 'graphile-worker''s table of jobs, for the catalog.';

create or replace function legwork_private.job_queues_table() returns regclass
language sql stable parallel safe
return regclass 'graphile_worker._private_job_queues';
comment on function legwork_private.job_queues_table() is 'graphile-worker''s table of job queues, for the catalog.';

create or replace function legwork_private.tasks_table() returns regclass
language sql stable parallel safe
return regclass 'graphile_worker._private_tasks';
comment on function legwork_private.tasks_table() is 'graphile-worker''s table of tasks, for the catalog.';

create or replace function legwork_private.job_id_sequence() returns regclass
language sql stable parallel safe
return pg_get_serial_sequence('graphile_worker._private_jobs', 'id')::regclass;
comment on function legwork_private.job_id_sequence() is 'The sequence that job ids are drawn from. Finding it takes as long as inserting a job: ask once per statement.';

create or replace function legwork_private.next_job_id() returns bigint
language sql volatile
return nextval(legwork_private.job_id_sequence());
comment on function legwork_private.next_job_id() is 'Draws the id of a job that is about to be made.';

create or replace function legwork_private.last_job_id() returns bigint
language sql volatile
return pg_sequence_last_value(legwork_private.job_id_sequence());
comment on function legwork_private.last_job_id() is 'The last job id that was drawn; null for none.';

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
  'Makes rows for tasks and serial keys that have none, before jobs that need them are inserted: graphile-worker''s clean-up of unused names may have taken them.';
