create or replace view legwork_private.all_batches as
select
  b.id, b.description,
  case when b.ended_at is null then 'running' when b.completed = b.total then 'completed' else 'failed' end as state,
  b.total, c.completed, c.failed, c.cancelled, c.expired,
  round(100.0 * (c.completed + c.failed + c.cancelled + c.expired) / b.total, 1)::float8 as progress,
  b.callback_job_id, b.tenant, b.correlation_id, b.created_at, b.ended_at
from legwork_private.batch_runs b
cross join lateral (
  -- Repeats legwork_private.run_counts_so_far, which would run with the reading role's rights.
  select b.completed + coalesce(sum(n.completed), 0)::bigint as completed, b.failed + coalesce(sum(n.failed), 0)::bigint as failed,
    b.cancelled + coalesce(sum(n.cancelled), 0)::bigint as cancelled, b.expired + coalesce(sum(n.expired), 0)::bigint as expired
  from legwork_private.run_counts n where n.run_id = b.id
) c;
comment on view legwork_private.all_batches is 'The rows of all tenants, for Legwork''s own functions and views. Users read legwork.batches.';
comment on column legwork_private.all_batches.id is E'@notNull\nThe batch''s id.';
comment on column legwork_private.all_batches.description is 'A description, given when it was enqueued.';
comment on column legwork_private.all_batches.state is E'@notNull\nrunning; then completed if all its jobs have completed, otherwise failed.';
comment on column legwork_private.all_batches.total is E'@notNull\nThe number of its jobs.';
comment on column legwork_private.all_batches.completed is E'@notNull\nJobs that have completed.';
comment on column legwork_private.all_batches.failed is E'@notNull\nJobs that have failed.';
comment on column legwork_private.all_batches.cancelled is E'@notNull\nJobs that were cancelled.';
comment on column legwork_private.all_batches.expired is E'@notNull\nJobs that have expired.';
comment on column legwork_private.all_batches.progress is E'@notNull\nThe percentage of its jobs that have ended.';
comment on column legwork_private.all_batches.callback_job_id is 'The job that runs after all of its jobs have ended.';
comment on column legwork_private.all_batches.tenant is 'The batch''s tenant.';
comment on column legwork_private.all_batches.correlation_id is E'@notNull\nShared by its jobs. Find them in legwork.jobs by it.';
comment on column legwork_private.all_batches.created_at is E'@notNull\nWhen it was enqueued.';
comment on column legwork_private.all_batches.ended_at is 'When its last job ended; null before that.';

create or replace view legwork.batches with (security_barrier) as
select * from legwork_private.all_batches
where (select legwork_private.confined_tenant()) is null or tenant = (select legwork_private.confined_tenant())
order by id desc;
select legwork_private.copy_comments('legwork_private.all_batches', 'legwork.batches');
comment on view legwork.batches is 'All batches with their progress. Order by id: newest last.';
