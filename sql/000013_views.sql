-- The reading side. Each view is shaped for its plan: a branch of a union is merged in order only if it is one table
-- without joins and without a where, so look-ups are scalar subqueries and the one condition stands outside the union.

-- A function that a view calls has the rights of the role that reads, not those of the view's owner. So one that reads a table has its owner's rights and is
-- granted to legwork_reader. Written out in the view it would be a subquery for every row, at a cost that makes Postgres compile the first page.
create function legwork.awaits_signal(job_id bigint, run_at timestamptz) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from legwork.job_steps s
    where s.job_id = awaits_signal.job_id and s.kind = 'wait' and s.state = 'waiting' and s.wake_at = awaits_signal.run_at
      and (legwork.confined_tenant() is null or s.tenant = legwork.confined_tenant()));
end $$;
comment on function legwork.awaits_signal(bigint, timestamptz) is 'Whether a job with this run_at ahead has it because it waits for a signal. For the views that say so.';
revoke execute on function legwork.awaits_signal(bigint, timestamptz) from public;

create view legwork.jobs as
select
  u.id, u.task, u.queue, u.state, u.priority, u.attempts, u.max_attempts,
  -- Of most payloads it is seen at once that every operator can read them.
  case
    when u.redact is not null then legwork.shown_json(legwork.redact(u.payload, u.redact))
    when octet_length(u.payload::text) < 2000 and u.payload::text !~ '\\u(0000|[dD][89a-fA-F])|[0-9][eE][+-]?[0-9]{4}|[0-9]{255}' then u.payload
    else legwork.shown_json(u.payload)
  end as payload,
  u.result,
  case when u.redact is null then u.error else legwork.redact_text(u.error, u.payload, u.redact) end as error,
  u.run_at, u.created_at, u.started_at, u.finished_at, u.worker, u.job_key, u.serial_key, u.tenant, u.correlation_id, u.parent_id,
  -- Of the attempt that is shown: another one starts from nothing.
  (select p.percent from legwork.job_progress p where p.job_id = u.id and p.attempt = u.attempts) as progress,
  (select p.message from legwork.job_progress p where p.job_id = u.id and p.attempt = u.attempts) as progress_message,
  u.task_number,
  case when u.redact is null then u.payload else legwork.redact(u.payload, u.redact) end as raw_payload
from (
  -- What waits and what runs are two branches, so that each has an index of its own, and that what follows from a condition leaves one of them out.
  select
    j.id,
    -- Names are looked up in an object made once a query: a subquery for every row made a filter on task six times slower.
    (select jsonb_object_agg(t.id, t.identifier) from graphile_worker._private_tasks t) ->> j.task_id::text as task,
    coalesce(
      (select jsonb_object_agg(t.id, d.queue)
       from graphile_worker._private_tasks t
       join legwork.task_definitions d on d.name = t.identifier) ->> j.task_id::text,
      'default') as queue,
    case
      -- In the waiting room, unless somebody asked for infinity.
      when j.run_at = 'infinity' then coalesce(
        (select case w.held
            when 'paused' then 'paused'::legwork.job_state
            when 'run_at' then case when legwork.awaits_signal(j.id, w.run_at) then 'blocked'::legwork.job_state when j.attempts > 0 then 'retrying'::legwork.job_state else 'scheduled'::legwork.job_state end
            else 'blocked'::legwork.job_state
          end
         from legwork.waiting_jobs w where w.job_id = j.id),
        'scheduled'::legwork.job_state)
      when j.run_at > now() then case when legwork.awaits_signal(j.id, j.run_at) then 'blocked'::legwork.job_state when j.attempts > 0 then 'retrying'::legwork.job_state else 'scheduled'::legwork.job_state end
      else 'pending'::legwork.job_state
    end as state,
    j.priority, j.attempts, j.max_attempts, j.payload, null::jsonb as result, j.last_error as error,
    case when j.run_at = 'infinity' then coalesce((select w.run_at from legwork.waiting_jobs w where w.job_id = j.id), j.run_at)
      else j.run_at end as run_at,
    j.created_at, null::timestamptz as started_at, null::timestamptz as finished_at, null::text as worker, legwork.given_key(j.key) as job_key,
    legwork.given_key((select q.queue_name from graphile_worker._private_job_queues q where q.id = j.job_queue_id)) as serial_key,
    legwork.flag_value(j.flags, 'tenant') as tenant,
    case when j.flags is not null then legwork.flag_value(j.flags, 'correlation') end as correlation_id,
    case when j.flags is not null then legwork.parent_of(j.flags) end as parent_id,
    j.is_available as shown,
    -- The history was redacted when it was written.
    ((select jsonb_object_agg(t.id, d.redact::text)
      from graphile_worker._private_tasks t
      join legwork.task_definitions d on d.name = t.identifier
      where d.redact is not null) ->> j.task_id::text)::text[] as redact,
    j.task_id as task_number
  from graphile_worker._private_jobs j
  union all
  select
    j.id,
    (select jsonb_object_agg(t.id, t.identifier) from graphile_worker._private_tasks t) ->> j.task_id::text,
    coalesce(
      (select jsonb_object_agg(t.id, d.queue)
       from graphile_worker._private_tasks t
       join legwork.task_definitions d on d.name = t.identifier) ->> j.task_id::text,
      'default'),
    'running'::legwork.job_state, j.priority,
    -- As legwork.true_attempt, whose rights would be those of whoever reads.
    case when j.attempts >= j.max_attempts and j.updated_at > j.locked_at then coalesce((
      select case when f.retry_at is null then 1 else f.attempt + 1 end from legwork.failed_attempts f where f.job_id = j.id order by f.failed_at desc limit 1), 1)::smallint
      else j.attempts end,
    j.max_attempts, j.payload, null::jsonb, j.last_error,
    case when j.run_at = 'infinity' then coalesce((select w.run_at from legwork.waiting_jobs w where w.job_id = j.id), j.run_at) else j.run_at end,
    j.created_at, j.locked_at, null::timestamptz, j.locked_by, legwork.given_key(j.key),
    legwork.given_key((select q.queue_name from graphile_worker._private_job_queues q where q.id = j.job_queue_id)),
    legwork.flag_value(j.flags, 'tenant'),
    case when j.flags is not null then legwork.flag_value(j.flags, 'correlation') end,
    case when j.flags is not null then legwork.parent_of(j.flags) end,
    -- A failed job is kept in graphile-worker's table too; the history is what shows it.
    not j.is_available and j.locked_at is not null,
    ((select jsonb_object_agg(t.id, d.redact::text)
      from graphile_worker._private_tasks t
      join legwork.task_definitions d on d.name = t.identifier
      where d.redact is not null) ->> j.task_id::text)::text[],
    j.task_id
  from graphile_worker._private_jobs j
  union all
  select
    f.id, f.task, f.queue, f.state, f.priority, f.attempts, f.max_attempts, f.payload, f.result, f.error, f.run_at,
    f.created_at, f.started_at, f.finished_at, f.worker, f.job_key, legwork.given_key(f.serial_key), f.tenant, f.correlation_id, f.parent_id,
    true, null::text[],
    coalesce(((select jsonb_object_agg(t.identifier, t.id) from graphile_worker._private_tasks t) ->> f.task)::integer, -1)
  from legwork.finished_jobs f
) u
where u.shown;
comment on view legwork.jobs is 'Every job, waiting, running and finished, one row each. Order by id: newest last.';
comment on column legwork.jobs.id is E'@notNull\nThe job''s id, as given by add_job.';
comment on column legwork.jobs.task is E'@notNull\nThe task to run.';
comment on column legwork.jobs.queue is E'@notNull\nThe queue the task belongs to.';
comment on column legwork.jobs.state is E'@notNull\nWhere the job is.';
comment on column legwork.jobs.priority is E'@notNull\nSmaller runs first.';
comment on column legwork.jobs.attempts is E'@notNull\nAttempts used, the running one included.';
comment on column legwork.jobs.max_attempts is E'@notNull\nAttempts allowed.';
comment on column legwork.jobs.payload is
  'What the task is given, in a form that every operator of json and jsonb can read, so that a condition on it never fails because of one job. NUL and halves of '
  'surrogate pairs are the replacement character; what has more than 1,000 levels, or a number of more than 16,000 digits, is {"legwork:text": "…"}.';
comment on column legwork.jobs.raw_payload is
  'What the task is given, exactly as it was enqueued. Taking values out of it (->, ->>, ::jsonb) fails for a payload with NUL, half a surrogate pair or thousands of levels.';
comment on column legwork.jobs.result is 'What the task returned; null until the job has completed.';
comment on column legwork.jobs.error is 'The message of the last error, or why it was cancelled or has expired; null when no attempt failed, and for a completed job.';
comment on column legwork.jobs.run_at is E'@notNull\nWhen it may start.';
comment on column legwork.jobs.created_at is E'@notNull\nWhen it was enqueued.';
comment on column legwork.jobs.started_at is 'When its last attempt started; while it runs, when a worker fetched it. Null before that.';
comment on column legwork.jobs.finished_at is 'When it ended; null before that.';
comment on column legwork.jobs.worker is 'The worker that has it or had it last.';
comment on column legwork.jobs.job_key is 'The job''s key as it was given, if it has one. Each tenant has its own.';
comment on column legwork.jobs.serial_key is 'Jobs of a tenant with the same serial key run one at a time (graphile-worker''s queue_name).';
comment on column legwork.jobs.tenant is 'Whose job it is.';
comment on column legwork.jobs.correlation_id is 'Shared by everything that came from one cause.';
comment on column legwork.jobs.parent_id is 'The job that enqueued this one.';
comment on column legwork.jobs.progress is 'How much is done, 0 to 100, by its task''s own account; null when the task has not said.';
comment on column legwork.jobs.task_number is
  'legwork.task_number(task). Where very many jobs wait, task = ''x'' and task_number = legwork.task_number(''x'') finds those of a task by an index.';
comment on column legwork.jobs.progress_message is 'What the task said it is doing; null when it has not said.';

create view legwork.attempts as
select
  a.job_id, a.attempt, a.task, a.state, a.error_name, a.error_message, a.error_stack, a.error_code, a.started_at,
  a.finished_at, a.retry_at, a.worker, a.tenant, a.correlation_id
from (
  select
    f.job_id, f.attempt, f.task, 'failed'::legwork.job_state as state, f.error_name, f.error_message, f.error_stack,
    f.error_code, f.started_at, f.failed_at as finished_at, f.retry_at, f.worker, f.tenant, f.correlation_id, true as shown
  from legwork.failed_attempts f
  union all
  select
    f.id, f.attempts, f.task, f.state, null, null, null, null, f.started_at, f.finished_at, null::timestamptz, f.worker,
    f.tenant, f.correlation_id, f.state = 'completed' and f.worker is not null
  from legwork.finished_jobs f
  union all
  select
    j.id,
    case when j.attempts >= j.max_attempts and j.updated_at > j.locked_at then coalesce((
      select case when f.retry_at is null then 1 else f.attempt + 1 end from legwork.failed_attempts f where f.job_id = j.id order by f.failed_at desc limit 1), 1)::smallint
      else j.attempts end,
    (select t.identifier from graphile_worker._private_tasks t where t.id = j.task_id),
    'running'::legwork.job_state, null, null, null, null, j.locked_at, null::timestamptz, null::timestamptz, j.locked_by,
    legwork.flag_value(j.flags, 'tenant'), legwork.flag_value(j.flags, 'correlation'), not j.is_available and j.locked_at is not null
  from graphile_worker._private_jobs j
) a
where a.shown;
comment on view legwork.attempts is 'Every execution of every job: failed, completed and running ones. Look up by job_id.';
comment on column legwork.attempts.job_id is E'@notNull\nThe job.';
comment on column legwork.attempts.attempt is E'@notNull\nWhich attempt, counted from 1.';
comment on column legwork.attempts.task is E'@notNull\nThe task that ran.';
comment on column legwork.attempts.state is E'@notNull\nrunning, completed or failed.';
comment on column legwork.attempts.error_name is 'The error''s class; WorkerLost when its worker died.';
comment on column legwork.attempts.error_message is 'The error''s message.';
comment on column legwork.attempts.error_stack is 'Where it was thrown.';
comment on column legwork.attempts.error_code is 'The error''s code, such as ECONNREFUSED or a SQLSTATE.';
comment on column legwork.attempts.started_at is 'When it started.';
comment on column legwork.attempts.finished_at is 'When it ended; null while it runs.';
comment on column legwork.attempts.retry_at is 'When the next attempt was due; null after the last one.';
comment on column legwork.attempts.worker is 'The worker that ran it.';
comment on column legwork.attempts.tenant is 'Whose job it is.';
comment on column legwork.attempts.correlation_id is 'Shared by everything that came from one cause.';

create view legwork.tasks as
select
  t.identifier as name, d.description, coalesce(d.queue, 'default') as queue, d.payload_schema, d.result_schema,
  d.redact,
  d.registered_at, d.updated_at, p.paused_at, p.paused_by, p.reason as pause_reason,
  legwork.describe_limits('task', t.identifier) as limits,
  legwork.describe_retry(t.identifier, coalesce(d.queue, 'default')) as retry,
  t.id as number
from graphile_worker._private_tasks t
left join legwork.task_definitions d on d.name = t.identifier
left join legwork.pauses p on p.scope = 'task' and p.name = t.identifier;
comment on view legwork.tasks is 'Every task that a worker has announced or that a job was made for.';
comment on column legwork.tasks.name is E'@notNull\nThe task''s name.';
comment on column legwork.tasks.description is 'What it does, in its author''s words.';
comment on column legwork.tasks.queue is E'@notNull\nThe queue it belongs to.';
comment on column legwork.tasks.payload_schema is 'JSON Schema of its payload; null when it takes anything.';
comment on column legwork.tasks.result_schema is 'JSON Schema of its result; null when it is not described.';
comment on column legwork.tasks.redact is 'The paths in its payloads and results that nobody may read; null for none.';
comment on column legwork.tasks.registered_at is 'When a Legwork worker first told of it; null when none has.';
comment on column legwork.tasks.updated_at is 'When a Legwork worker last told something new of it.';
comment on column legwork.tasks.paused_at is 'Since when it is paused; null when it is not. Its queue, or everything, may be paused too.';
comment on column legwork.tasks.paused_by is 'Who paused it.';
comment on column legwork.tasks.pause_reason is 'Why.';
comment on column legwork.tasks.limits is 'Its limits, as an array of {kind, max, per, key}; those of its queue come on top. Null for none.';
comment on column legwork.tasks.number is E'@notNull\nThe task_number that legwork.jobs shows for its jobs.';
comment on column legwork.tasks.retry is 'How its jobs are retried; null for graphile-worker''s default.';

create function legwork.task_number(task text) returns integer
language sql stable parallel safe
return coalesce((select t.number from legwork.tasks t where t.name = task), -1);
comment on function legwork.task_number(text) is 'The task_number of a task''s jobs in legwork.jobs; -1 for a task that is not known.';

create view legwork.all_live_places as
select
  coalesce(d.queue, 'default') as queue, legwork.flag_value(j.flags, 'tenant') as tenant,
  case
    when j.locked_at is not null then 'running'
    when j.attempts >= j.max_attempts then 'failed'
    when w.job_id is null and j.run_at <= now() then 'pending'
    when w.held = 'paused' then 'paused'
    when w.job_id is not null and (w.held is null or w.held = 'dependency') then 'blocked'
    when legwork.awaits_signal(j.id, coalesce(w.run_at, j.run_at)) then 'blocked'
    when j.attempts > 0 then 'retrying'
    else 'scheduled'
  end as place,
  case when j.locked_at is null and j.attempts < j.max_attempts and coalesce(w.run_at, j.run_at) <= now() then coalesce(w.run_at, j.run_at) end as due_at
from graphile_worker._private_jobs j
left join graphile_worker._private_tasks t on t.id = j.task_id
left join legwork.task_definitions d on d.name = t.identifier
left join legwork.waiting_jobs w on w.job_id = j.id and j.run_at = 'infinity';
comment on view legwork.all_live_places is 'Of each job that has not ended, or has failed and can be retried: its queue, what it does, and since when it could have started. For what counts them.';
comment on column legwork.all_live_places.queue is 'Its queue.';
comment on column legwork.all_live_places.tenant is 'Its tenant.';
comment on column legwork.all_live_places.place is 'Its state, where being paused and blocked are told from what the waiting room says.';
comment on column legwork.all_live_places.due_at is 'Since when it could have started; null for what runs, has failed, or is not due.';

-- Counting takes as long as there are many live jobs. Where there are more than a few thousand, whoever asks gets what was counted a few seconds ago.
create table legwork.queue_counts (
  tenant text not null,
  queue text not null,
  running bigint not null,
  pending bigint not null,
  blocked bigint not null,
  paused bigint not null,
  later bigint not null,
  failed bigint not null,
  oldest timestamptz,
  counted_at timestamptz not null,
  valid_until timestamptz not null,
  primary key (tenant, queue)
);
comment on table legwork.queue_counts is
  'What waits and runs in each queue, of everybody and of each tenant, where that is more than 2,000 jobs. Written by legwork.sample_queues, shown by legwork.queues.';
comment on column legwork.queue_counts.tenant is 'Of whom; empty for everybody.';
comment on column legwork.queue_counts.queue is 'The queue.';
comment on column legwork.queue_counts.running is 'Jobs that run.';
comment on column legwork.queue_counts.pending is 'Jobs that may start.';
comment on column legwork.queue_counts.blocked is 'Jobs that wait for a limit, a signal or other jobs.';
comment on column legwork.queue_counts.paused is 'Jobs that wait for the end of a pause.';
comment on column legwork.queue_counts.later is 'Jobs whose time, or next attempt, is ahead.';
comment on column legwork.queue_counts.failed is 'Failed jobs that can be retried.';
comment on column legwork.queue_counts.oldest is 'Since when the job that has waited longest could have started.';
comment on column legwork.queue_counts.counted_at is 'When they were counted.';
comment on column legwork.queue_counts.valid_until is 'Until when that is shown, should nobody count again.';
alter table legwork.queue_counts enable row level security;

create view legwork.queues with (security_barrier) as
select
  q.name, p.paused_at, p.paused_by, p.reason as pause_reason, legwork.describe_limits('queue', q.name) as limits,
  coalesce(c.running, 0) as running, coalesce(c.pending, 0) as pending, coalesce(c.blocked, 0) as blocked,
  coalesce(c.paused, 0) as paused, coalesce(c.later, 0) as later, c.oldest,
  (select to_jsonb(r) - array['scope', 'name', 'is_declared'] from legwork.retry_policies r where r.scope = 'queue' and r.name = q.name) as retry,
  coalesce(c.failed, 0) as failed, c.counted_at
from unnest(legwork.known_queues()) as q (name)
left join legwork.pauses p on p.scope = 'queue' and p.name = q.name
left join (
  -- Of everybody, of one tenant, or as of a few seconds ago: conditions about none of the rows are asked before any is read, so two of the three do nothing.
  select
    l.queue, count(*) filter (where l.place = 'running') as running, count(*) filter (where l.place = 'pending') as pending,
    count(*) filter (where l.place = 'blocked') as blocked, count(*) filter (where l.place = 'paused') as paused,
    count(*) filter (where l.place in ('scheduled', 'retrying')) as later, count(*) filter (where l.place = 'failed') as failed,
    min(l.due_at) as oldest, null::timestamptz as counted_at
  from legwork.all_live_places l
  where not (select exists (select from legwork.queue_counts k where k.tenant = coalesce(legwork.confined_tenant(), '') and k.valid_until > now()))
    and (select legwork.confined_tenant()) is null
  group by 1
  union all
  select
    l.queue, count(*) filter (where l.place = 'running') as running, count(*) filter (where l.place = 'pending') as pending,
    count(*) filter (where l.place = 'blocked') as blocked, count(*) filter (where l.place = 'paused') as paused,
    count(*) filter (where l.place in ('scheduled', 'retrying')) as later, count(*) filter (where l.place = 'failed') as failed,
    min(l.due_at) as oldest, null::timestamptz as counted_at
  from legwork.all_live_places l
  where not (select exists (select from legwork.queue_counts k where k.tenant = coalesce(legwork.confined_tenant(), '') and k.valid_until > now()))
    and l.tenant = (select legwork.confined_tenant())
  group by 1
  union all
  select k.queue, k.running, k.pending, k.blocked, k.paused, k.later, k.failed, k.oldest, k.counted_at
  from legwork.queue_counts k
  where k.tenant = coalesce((select legwork.confined_tenant()), '') and k.valid_until > now()
) c on c.queue = q.name;
comment on view legwork.queues is
  'Every queue, with what waits and runs in it: of one tenant for whoever is confined to it. Counted now; where more than 2,000 jobs live, a few seconds ago (counted_at).';
comment on column legwork.queues.name is E'@notNull\nThe queue''s name.';
comment on column legwork.queues.paused_at is 'Since when it is paused; null when it is not. Everything may be stopped all the same.';
comment on column legwork.queues.paused_by is 'Who paused it.';
comment on column legwork.queues.pause_reason is 'Why.';
comment on column legwork.queues.limits is 'Its limits, as an array of {kind, max, per, key}. Null for none.';
comment on column legwork.queues.running is E'@notNull\nJobs that run.';
comment on column legwork.queues.pending is E'@notNull\nJobs that may start now.';
comment on column legwork.queues.blocked is E'@notNull\nJobs that wait for a limit, a signal or other jobs.';
comment on column legwork.queues.paused is E'@notNull\nJobs that wait for the end of a pause.';
comment on column legwork.queues.later is E'@notNull\nJobs whose time, or next attempt, is ahead.';
comment on column legwork.queues.oldest is 'Since when the job that has waited longest could have started, but for limits and pauses. Null when none waits.';
comment on column legwork.queues.retry is 'How its jobs are retried, unless their task says otherwise; null for graphile-worker''s default.';
comment on column legwork.queues.failed is E'@notNull\nFailed jobs that can be retried.';
comment on column legwork.queues.counted_at is 'When the jobs were counted, where so many live that they are not counted for each answer. Null for now.';

create view legwork.failed_groups with (security_barrier) as
select
  f.fingerprint, f.task, f.queue, count(*) as jobs, min(f.finished_at) as first_at, max(f.finished_at) as last_at,
  (array_agg(f.id order by f.id desc))[1] as last_id, (array_agg(f.error order by f.id desc))[1] as last_error
from legwork.finished_jobs f
where f.state = 'failed'
  and ((select legwork.confined_tenant()) is null or f.tenant = (select legwork.confined_tenant()))
  -- That it is not available follows from the rest, and has statistics: the planner learns how few there are.
  and exists (select from graphile_worker._private_jobs j where j.id = f.id and j.locked_at is null and j.attempts >= j.max_attempts and not j.is_available)
group by f.fingerprint, f.task, f.queue;
comment on view legwork.failed_groups is
  'Failed jobs that can be retried, grouped by what went wrong: same task, same error but for values, ids and numbers. legwork.retry_jobs and discard_jobs take a fingerprint.';
comment on column legwork.failed_groups.fingerprint is 'Names the group.';
comment on column legwork.failed_groups.task is E'@notNull\nThe task.';
comment on column legwork.failed_groups.queue is E'@notNull\nIts queue.';
comment on column legwork.failed_groups.jobs is E'@notNull\nHow many there are.';
comment on column legwork.failed_groups.first_at is E'@notNull\nWhen the first one failed.';
comment on column legwork.failed_groups.last_at is E'@notNull\nWhen the last one failed.';
comment on column legwork.failed_groups.last_id is E'@notNull\nThe last one.';
comment on column legwork.failed_groups.last_error is 'Its error.';
