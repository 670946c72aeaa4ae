create or replace view legwork_private.all_attempts as
select
  a.job_id, a.attempt, a.task, a.state, a.error_name, a.error_message, a.error_stack, a.error_code, a.started_at,
  a.finished_at, a.retry_at, a.worker, a.tenant, a.correlation_id
from (
  select
    f.job_id, f.attempt, f.task, 'failed'::legwork.job_state as state, f.error_name, f.error_message, f.error_stack,
    f.error_code, f.started_at, f.failed_at as finished_at, f.retry_at, f.worker, f.tenant, f.correlation_id, true as shown
  from legwork_private.failed_attempts f
  union all
  select
    f.id, f.attempts, f.task, f.state, null, null, null, null, f.started_at, f.finished_at, null::timestamptz, f.worker,
    f.tenant, f.correlation_id, f.state = 'completed' and f.worker is not null
  from legwork_private.finished_jobs f
  union all
  select
    j.id,
    case when j.attempts >= j.max_attempts and j.updated_at > j.locked_at then coalesce((
      select case when f.retry_at is null then 1 else f.attempt + 1 end from legwork_private.failed_attempts f where f.job_id = j.id order by f.failed_at desc limit 1), 1)::smallint
      else j.attempts end,
    (select t.identifier from legwork_private.graphile_tasks t where t.id = j.task_id),
    'running'::legwork.job_state, null, null, null, null, j.locked_at, null::timestamptz, null::timestamptz, j.locked_by,
    legwork_private.flag_value(j.flags, 'tenant'), legwork_private.flag_value(j.flags, 'correlation'), not j.is_available and j.locked_at is not null
  from legwork_private.graphile_jobs j
) a
where a.shown;
comment on view legwork_private.all_attempts is 'The rows of all tenants, for Legwork''s own functions and views. Users read legwork.attempts.';
comment on column legwork_private.all_attempts.job_id is E'@notNull\nThe job.';
comment on column legwork_private.all_attempts.attempt is E'@notNull\nThe number of the attempt, from 1.';
comment on column legwork_private.all_attempts.task is E'@notNull\nThe task that ran.';
comment on column legwork_private.all_attempts.state is E'@notNull\nrunning, completed or failed.';
comment on column legwork_private.all_attempts.error_name is 'The error''s class; WorkerLost if its worker died.';
comment on column legwork_private.all_attempts.error_message is 'The error''s message.';
comment on column legwork_private.all_attempts.error_stack is 'The error''s stack trace.';
comment on column legwork_private.all_attempts.error_code is 'The error''s code, such as ECONNREFUSED or a SQLSTATE.';
comment on column legwork_private.all_attempts.started_at is 'When it started.';
comment on column legwork_private.all_attempts.finished_at is 'When it ended; null while it runs.';
comment on column legwork_private.all_attempts.retry_at is 'When the next attempt was due; null after the last attempt.';
comment on column legwork_private.all_attempts.worker is 'The worker that ran it.';
comment on column legwork_private.all_attempts.tenant is 'The job''s tenant.';
comment on column legwork_private.all_attempts.correlation_id is 'Shared by all jobs that have the same origin.';

create or replace view legwork.attempts as
select * from legwork_private.all_attempts where (select legwork_private.confined_tenant() is null);
select legwork_private.copy_comments('legwork_private.all_attempts', 'legwork.attempts');
comment on view legwork.attempts is 'All attempts of all jobs: failed, completed and running. Look up by job_id.';

-- Shows nothing to a confined login, regardless of its grants and settings.
create or replace view legwork_confined.attempts as
select * from legwork_private.all_attempts
where tenant = legwork_private.confined_to()
  and (select not exists (select from legwork_private.confined_logins c where c.login = session_user));
select legwork_private.copy_comments('legwork.attempts', 'legwork_confined.attempts');

create or replace view legwork_tenant.attempts with (security_barrier) as
select * from legwork_private.all_attempts where tenant = (select legwork_private.confined_tenant());
select legwork_private.copy_comments('legwork.attempts', 'legwork_tenant.attempts');
