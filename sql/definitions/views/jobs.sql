create or replace view legwork_private.all_jobs as
select
  u.id, u.task, u.queue, u.state, u.priority, u.attempts, u.max_attempts,
  -- For most payloads, this cheap test is enough to show that all operators can read them.
  case
    when u.redact is not null then legwork_private.shown_json(legwork.redact(u.payload, u.redact))
    when octet_length(u.payload::text) < 2000 and u.payload::text !~ '\\u(0000|[dD][89a-fA-F])|[0-9][eE][+-]?[0-9]{4}|[0-9]{255}' then u.payload
    else legwork_private.shown_json(u.payload)
  end as payload,
  u.result,
  case when u.redact is null then u.error else legwork.redact_text(u.error, u.payload, u.redact) end as error,
  u.run_at, u.created_at, u.started_at, u.finished_at, u.worker, u.job_key, u.serial_key, u.tenant, u.correlation_id, u.parent_id,
  -- The progress of the attempt that is shown, because each attempt starts without progress.
  (select p.percent from legwork_private.job_progress p where p.job_id = u.id and p.attempt = u.attempts) as progress,
  (select p.message from legwork_private.job_progress p where p.job_id = u.id and p.attempt = u.attempts) as progress_message,
  u.task_number,
  case when u.redact is null then u.payload else legwork.redact(u.payload, u.redact) end as raw_payload,
  -- W3C trace context: version, trace, span, flags.
  substr(u.traceparent, 4, 32) as trace_id
from (
  -- Waiting and running jobs are two branches, so that each uses its own index, and so that a condition on the state can exclude one of them.
  select
    j.id,
    -- Names are looked up in an object that is built once per query: a subquery for every row made a filter on task six times slower.
    (select jsonb_object_agg(t.id, t.identifier) from legwork_private.graphile_tasks t) ->> j.task_id::text as task,
    coalesce(
      (select jsonb_object_agg(t.id, d.queue)
       from legwork_private.graphile_tasks t
       join legwork_private.task_definitions d on d.name = t.identifier) ->> j.task_id::text,
      'default') as queue,
    case
      -- The job is in the waiting room, unless it was enqueued with run_at infinity.
      when j.run_at = 'infinity' then coalesce(
        (select case w.held
            when 'paused' then 'paused'::legwork.job_state
            when 'run_at' then case when legwork_private.awaits_signal(j.id, w.run_at) then 'blocked'::legwork.job_state when j.attempts > 0 then 'retrying'::legwork.job_state else 'scheduled'::legwork.job_state end
            else 'blocked'::legwork.job_state
          end
         from legwork_private.waiting_jobs w where w.job_id = j.id),
        'scheduled'::legwork.job_state)
      when j.run_at > now() then case when legwork_private.awaits_signal(j.id, j.run_at) then 'blocked'::legwork.job_state when j.attempts > 0 then 'retrying'::legwork.job_state else 'scheduled'::legwork.job_state end
      else 'pending'::legwork.job_state
    end as state,
    j.priority, j.attempts,
    -- 25 is the max_attempts of a job that was enqueued without a number. The policy applies to it when an attempt fails
    -- (legwork_private.tg_jobs__record_change).
    case when j.max_attempts = 25 then coalesce(
      ((select legwork_private.policy_attempts(true)) ->> j.task_id::text)::smallint,
      j.max_attempts) else j.max_attempts end as max_attempts,
    j.payload, null::jsonb as result, legwork_private.cut_error(j.last_error) as error,
    case when j.run_at = 'infinity' then coalesce((select w.run_at from legwork_private.waiting_jobs w where w.job_id = j.id), j.run_at)
      else j.run_at end as run_at,
    j.created_at, null::timestamptz as started_at, null::timestamptz as finished_at, null::text as worker, legwork.given_key(j.key) as job_key,
    legwork.given_key((select q.queue_name from legwork_private.graphile_job_queues q where q.id = j.job_queue_id)) as serial_key,
    legwork_private.flag_value(j.flags, 'tenant') as tenant,
    case when j.flags is not null then legwork_private.flag_value(j.flags, 'correlation') end as correlation_id,
    case when j.flags is not null then legwork_private.parent_of(j.flags) end as parent_id,
    j.is_available as shown,
    -- The history is redacted when it is written.
    ((select jsonb_object_agg(t.id, d.redact::text)
      from legwork_private.graphile_tasks t
      join legwork_private.task_definitions d on d.name = t.identifier
      where d.redact is not null) ->> j.task_id::text)::text[] as redact,
    j.task_id as task_number,
    case when j.flags is not null then legwork_private.flag_value(j.flags, 'trace') end as traceparent
  from legwork_private.graphile_jobs j
  union all
  select
    j.id,
    (select jsonb_object_agg(t.id, t.identifier) from legwork_private.graphile_tasks t) ->> j.task_id::text,
    coalesce(
      (select jsonb_object_agg(t.id, d.queue)
       from legwork_private.graphile_tasks t
       join legwork_private.task_definitions d on d.name = t.identifier) ->> j.task_id::text,
      'default'),
    'running'::legwork.job_state, j.priority,
    -- Repeats legwork_private.true_attempt, which would run with the reading role's rights.
    case when j.attempts >= j.max_attempts and j.updated_at > j.locked_at then coalesce((
      select case when f.retry_at is null then 1 else f.attempt + 1 end from legwork_private.failed_attempts f where f.job_id = j.id order by f.failed_at desc limit 1), 1)::smallint
      else j.attempts end,
    case when j.max_attempts = 25 then coalesce(
      ((select legwork_private.policy_attempts(true)) ->> j.task_id::text)::smallint,
      j.max_attempts) else j.max_attempts end,
    j.payload, null::jsonb, legwork_private.cut_error(j.last_error),
    case when j.run_at = 'infinity' then coalesce((select w.run_at from legwork_private.waiting_jobs w where w.job_id = j.id), j.run_at) else j.run_at end,
    j.created_at, j.locked_at, null::timestamptz, j.locked_by, legwork.given_key(j.key),
    legwork.given_key((select q.queue_name from legwork_private.graphile_job_queues q where q.id = j.job_queue_id)),
    legwork_private.flag_value(j.flags, 'tenant'),
    case when j.flags is not null then legwork_private.flag_value(j.flags, 'correlation') end,
    case when j.flags is not null then legwork_private.parent_of(j.flags) end,
    -- A failed job stays in graphile-worker's table too, but is shown from the history.
    not j.is_available and j.locked_at is not null,
    ((select jsonb_object_agg(t.id, d.redact::text)
      from legwork_private.graphile_tasks t
      join legwork_private.task_definitions d on d.name = t.identifier
      where d.redact is not null) ->> j.task_id::text)::text[],
    j.task_id,
    case when j.flags is not null then legwork_private.flag_value(j.flags, 'trace') end
  from legwork_private.graphile_jobs j
  union all
  select
    f.id, f.task, f.queue, f.state, f.priority, f.attempts,
    -- A failed job already has the max_attempts that applied to it.
    case when f.max_attempts = 25 and f.state <> 'failed'
      then coalesce(((select legwork_private.policy_attempts(false)) ->> f.task)::smallint, f.max_attempts) else f.max_attempts end,
    f.payload, f.result, f.error, f.run_at,
    f.created_at, f.started_at, f.finished_at, f.worker, f.job_key, legwork.given_key(f.serial_key), f.tenant, f.correlation_id, f.parent_id,
    true, null::text[],
    coalesce(((select jsonb_object_agg(t.identifier, t.id) from legwork_private.graphile_tasks t) ->> f.task)::integer, -1),
    f.traceparent
  from legwork_private.finished_jobs f
) u
where u.shown;
comment on view legwork_private.all_jobs is 'The rows of all tenants, for Legwork''s own functions and views. Users read legwork.jobs.';
comment on column legwork_private.all_jobs.id is E'@notNull\nThe job''s id, as returned by add_job.';
comment on column legwork_private.all_jobs.task is E'@notNull\nThe task to run.';
comment on column legwork_private.all_jobs.queue is E'@notNull\nThe queue of its task.';
comment on column legwork_private.all_jobs.state is E'@notNull\nThe job''s state.';
comment on column legwork_private.all_jobs.priority is E'@notNull\nJobs with smaller values run first.';
comment on column legwork_private.all_jobs.attempts is E'@notNull\nAttempts used, including the running one.';
comment on column legwork_private.all_jobs.max_attempts is E'@notNull\nAttempts allowed.';
comment on column legwork_private.all_jobs.payload is
  'The task''s input, in a form that all operators of json and jsonb can read, so that a condition on it never fails because of one job. NUL and unpaired '
  'surrogates are shown as the replacement character. A payload with more than 1,000 levels, or a number of more than 16,000 digits, is shown as {"legwork:text": "…"}.';
comment on column legwork_private.all_jobs.raw_payload is
  'The task''s input, exactly as it was enqueued. Extracting values from it (->, ->>, ::jsonb) fails for a payload with NUL, an unpaired surrogate or thousands of levels.';
comment on column legwork_private.all_jobs.result is 'What the task returned; null until the job has completed.';
comment on column legwork_private.all_jobs.error is 'The message of the last error, or why it was cancelled or has expired; null if no attempt has failed, and for a completed job.';
comment on column legwork_private.all_jobs.run_at is E'@notNull\nWhen it may start.';
comment on column legwork_private.all_jobs.created_at is E'@notNull\nWhen it was enqueued.';
comment on column legwork_private.all_jobs.started_at is 'When its last attempt started, or, while it runs, when a worker fetched it; null before that.';
comment on column legwork_private.all_jobs.finished_at is 'When it ended; null before that.';
comment on column legwork_private.all_jobs.worker is 'The worker that has it, or had it last.';
comment on column legwork_private.all_jobs.job_key is 'The job key as it was given, if it has one. Each tenant has its own job keys.';
comment on column legwork_private.all_jobs.serial_key is 'Jobs of a tenant with the same serial key run one at a time (graphile-worker''s queue_name).';
comment on column legwork_private.all_jobs.tenant is 'The job''s tenant.';
comment on column legwork_private.all_jobs.correlation_id is 'Shared by all jobs that have the same origin.';
comment on column legwork_private.all_jobs.parent_id is 'The job that enqueued this one.';
comment on column legwork_private.all_jobs.progress is 'The progress that its task reports, 0 to 100; null if it has not reported any.';
comment on column legwork_private.all_jobs.task_number is
  'legwork_private.task_number(task). If a very large number of jobs is waiting, use the condition task = ''x'' and task_number = legwork_private.task_number(''x''), which can use an index.';
comment on column legwork_private.all_jobs.trace_id is 'The id of the OpenTelemetry trace in which it was enqueued, and to which its attempts belong; null without tracing.';
comment on column legwork_private.all_jobs.progress_message is 'The progress message that its task reports; null if it has not reported any.';

-- There are many jobs and attempts, so each has two views with one predicate each: an OR of both would read the whole history for a
-- small tenant, and a union of both takes a millisecond more to plan. An unconfined session pays for one function call; a
-- confined session reads an index that begins with the tenant. A session that reads the wrong view sees nothing.
create or replace view legwork.jobs as
select * from legwork_private.all_jobs where (select legwork_private.confined_tenant() is null);
select legwork_private.copy_comments('legwork_private.all_jobs', 'legwork.jobs');
comment on view legwork.jobs is 'All jobs: waiting, running and finished, one row each. Order by id: newest last.';

-- Shows nothing to a confined login, regardless of its grants and settings.
create or replace view legwork_confined.jobs as
select * from legwork_private.all_jobs
where tenant = legwork_private.confined_to()
  and (select not exists (select from legwork_private.confined_logins c where c.login = session_user));
select legwork_private.copy_comments('legwork.jobs', 'legwork_confined.jobs');

create or replace view legwork_tenant.jobs with (security_barrier) as
select * from legwork_private.all_jobs where tenant = (select legwork_private.confined_tenant());
select legwork_private.copy_comments('legwork.jobs', 'legwork_tenant.jobs');
