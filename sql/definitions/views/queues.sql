create or replace view legwork_private.all_live_job_states as
select
  coalesce(d.queue, 'default') as queue, legwork_private.flag_value(j.flags, 'tenant') as tenant,
  case
    when j.locked_at is not null then 'running'
    when j.attempts >= j.max_attempts then 'failed'
    when w.job_id is null and j.run_at <= now() then 'pending'
    when w.held = 'paused' then 'paused'
    when w.job_id is not null and (w.held is null or w.held = 'dependency') then 'blocked'
    when legwork_private.awaits_signal(j.id, coalesce(w.run_at, j.run_at)) then 'blocked'
    when j.attempts > 0 then 'retrying'
    else 'scheduled'
  end as state,
  case when j.locked_at is null and j.attempts < j.max_attempts and coalesce(w.run_at, j.run_at) <= now() then coalesce(w.run_at, j.run_at) end as due_at,
  t.identifier as task
from legwork_private.graphile_jobs j
left join legwork_private.graphile_tasks t on t.id = j.task_id
left join legwork_private.task_definitions d on d.name = t.identifier
left join legwork_private.waiting_jobs w on w.job_id = j.id and j.run_at = 'infinity';
comment on view legwork_private.all_live_job_states is 'The task, queue, state and due time of each job that has not ended, or has failed and can be retried. Used for counting.';
comment on column legwork_private.all_live_job_states.queue is 'Its queue.';
comment on column legwork_private.all_live_job_states.tenant is 'Its tenant.';
comment on column legwork_private.all_live_job_states.state is 'Its state. Whether it is paused or blocked comes from the waiting room.';
comment on column legwork_private.all_live_job_states.task is 'Its task.';
comment on column legwork_private.all_live_job_states.due_at is 'When it became ready to start; null if it is running, has failed or is not due.';
comment on table legwork_private.queue_counts is
  'Counts of each queue''s jobs, in total and per tenant, if there are more than 2,000 of them. Written by legwork_private.sample_queues, shown by legwork.queues.';
comment on column legwork_private.queue_counts.tenant is 'The tenant; empty for all tenants together.';
comment on column legwork_private.queue_counts.queue is 'The queue.';
comment on column legwork_private.queue_counts.running is 'Running jobs.';
comment on column legwork_private.queue_counts.pending is 'Jobs that are ready to run.';
comment on column legwork_private.queue_counts.blocked is 'Jobs that wait for a limit, a signal or other jobs.';
comment on column legwork_private.queue_counts.paused is 'Jobs that wait for the end of a pause.';
comment on column legwork_private.queue_counts.later is 'Jobs that are due later, including retries.';
comment on column legwork_private.queue_counts.failed is 'Failed jobs that can be retried.';
comment on column legwork_private.queue_counts.oldest is 'When the longest-waiting job became ready to start.';
comment on column legwork_private.queue_counts.counted_at is 'When the jobs were counted.';
comment on column legwork_private.queue_counts.valid_until is 'How long the counts are shown if the jobs are not counted again.';

create or replace view legwork.queues with (security_barrier) as
select
  q.name, p.paused_at, coalesce(p.reason_by, p.paused_by) as paused_by, p.reason as pause_reason, legwork_private.describe_limits('queue', q.name) as limits,
  coalesce(c.running, 0) as running, coalesce(c.pending, 0) as pending, coalesce(c.blocked, 0) as blocked,
  coalesce(c.paused, 0) as paused, coalesce(c.later, 0) as later, c.oldest,
  (select to_jsonb(r) - array['scope', 'name', 'is_declared'] from legwork_private.retry_policies r where r.scope = 'queue' and r.name = q.name) as retry,
  coalesce(c.failed, 0) as failed, c.counted_at
from unnest(legwork_private.known_queues()) as q (name)
left join legwork_private.pauses p on p.scope = 'queue' and p.name = q.name
left join (
  -- All tenants, one tenant, or counts from a few seconds ago. Conditions that do not depend on a row are evaluated before any row is read, so two of
  -- the three branches do nothing.
  select
    l.queue, count(*) filter (where l.state = 'running') as running, count(*) filter (where l.state = 'pending') as pending,
    count(*) filter (where l.state = 'blocked') as blocked, count(*) filter (where l.state = 'paused') as paused,
    count(*) filter (where l.state in ('scheduled', 'retrying')) as later, count(*) filter (where l.state = 'failed') as failed,
    min(l.due_at) as oldest, null::timestamptz as counted_at
  from legwork_private.all_live_job_states l
  where not (select exists (select from legwork_private.queue_counts k where k.tenant = coalesce(legwork_private.confined_tenant(), '') and k.valid_until > now()))
    and (select legwork_private.confined_tenant()) is null
  group by 1
  union all
  select
    l.queue, count(*) filter (where l.state = 'running') as running, count(*) filter (where l.state = 'pending') as pending,
    count(*) filter (where l.state = 'blocked') as blocked, count(*) filter (where l.state = 'paused') as paused,
    count(*) filter (where l.state in ('scheduled', 'retrying')) as later, count(*) filter (where l.state = 'failed') as failed,
    min(l.due_at) as oldest, null::timestamptz as counted_at
  from legwork_private.all_live_job_states l
  where not (select exists (select from legwork_private.queue_counts k where k.tenant = coalesce(legwork_private.confined_tenant(), '') and k.valid_until > now()))
    and l.tenant = (select legwork_private.confined_tenant())
  group by 1
  union all
  select k.queue, k.running, k.pending, k.blocked, k.paused, k.later, k.failed, k.oldest, k.counted_at
  from legwork_private.queue_counts k
  where k.tenant = coalesce((select legwork_private.confined_tenant()), '') and k.valid_until > now()
) c on c.queue = q.name;
comment on view legwork.queues is
  'All queues with counts of their jobs, limited to one tenant''s jobs for a session confined to it. The counts are current; with more than 2,000 live jobs they are a few seconds old (counted_at).';
comment on column legwork.queues.name is E'@notNull\nThe queue''s name.';
comment on column legwork.queues.paused_at is 'When it was paused; null if it is not. An emergency stop may still be in effect.';
comment on column legwork.queues.paused_by is 'Who paused it, or last paused it again with another reason.';
comment on column legwork.queues.pause_reason is 'The reason for the pause.';
comment on column legwork.queues.limits is 'Its limits, as an array of {kind, max, per, key}; null if it has none.';
comment on column legwork.queues.running is E'@notNull\nRunning jobs.';
comment on column legwork.queues.pending is E'@notNull\nJobs that are ready to run.';
comment on column legwork.queues.blocked is E'@notNull\nJobs that wait for a limit, a signal or other jobs.';
comment on column legwork.queues.paused is E'@notNull\nJobs that wait for the end of a pause.';
comment on column legwork.queues.later is E'@notNull\nJobs that are due later, including retries.';
comment on column legwork.queues.oldest is 'When the longest-waiting job would have become ready to start without limits and pauses; null if no job waits.';
comment on column legwork.queues.retry is 'The retry policy of its jobs, unless their task has its own; null for graphile-worker''s default.';
comment on column legwork.queues.failed is E'@notNull\nFailed jobs that can be retried.';
comment on column legwork.queues.counted_at is 'When the jobs were counted, if there are too many live jobs to count them for each query; null if they were counted now.';
