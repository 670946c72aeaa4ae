create or replace view legwork.failed_groups with (security_barrier) as
select
  f.fingerprint, f.task, f.queue, count(*) as jobs, min(f.finished_at) as first_at, max(f.finished_at) as last_at,
  (array_agg(f.id order by f.id desc))[1] as last_id, (array_agg(f.error order by f.id desc))[1] as last_error
from legwork_private.finished_jobs f
where f.state = 'failed'
  and ((select legwork_private.confined_tenant()) is null or f.tenant = (select legwork_private.confined_tenant()))
  -- The last condition is implied by the others, but the planner has statistics for it, which show how few rows there are.
  and exists (select from legwork_private.graphile_jobs j where j.id = f.id and j.locked_at is null and j.attempts >= j.max_attempts and not j.is_available)
group by f.fingerprint, f.task, f.queue;
comment on view legwork.failed_groups is
  'Failed jobs that can be retried, grouped by task and error, ignoring values, ids and numbers in the error. legwork.retry_jobs and discard_jobs accept a fingerprint.';
comment on column legwork.failed_groups.fingerprint is 'The fingerprint that identifies the group.';
comment on column legwork.failed_groups.task is E'@notNull\nThe task.';
comment on column legwork.failed_groups.queue is E'@notNull\nIts queue.';
comment on column legwork.failed_groups.jobs is E'@notNull\nThe number of jobs.';
comment on column legwork.failed_groups.first_at is E'@notNull\nWhen the first job failed.';
comment on column legwork.failed_groups.last_at is E'@notNull\nWhen the last job failed.';
comment on column legwork.failed_groups.last_id is E'@notNull\nThe last job that failed.';
comment on column legwork.failed_groups.last_error is 'Its error.';
