-- Steps within a task: a later attempt does not repeat completed steps, and a job can wait for a signal or a time without
-- occupying a worker.
--
-- Why a step is recorded once, and only by the worker that holds the job: the statement that records it locks the job's row and checks its worker and
-- attempt. Passing a job to another worker updates that row. If the update comes first, the step is
-- rejected. If it comes later, the next attempt, which starts after it, sees the step.
-- Why no signal is lost: a waiting attempt is suspended by an update of the job's row, and the trigger on that update checks for signals
-- (legwork_private.suspend_job). It sees every signal that was committed before. A later signal is delivered when it
-- commits (legwork_private.deliver_signals), which locks the job's row first. So it comes either before the update, which then waits and sees the
-- signal, or after it, and then finds the job waiting. If another session has locked the row, the sender does not wait for it: the signal stays
-- undelivered, and legwork.tick() delivers it. So an open transaction that has sent a signal delays no other session.
-- Locks: none on existing tables.

comment on table legwork_private.job_steps is 'The steps of jobs: completed steps, and the signals and times for which jobs wait.';
comment on column legwork_private.job_steps.job_id is 'The job.';
comment on column legwork_private.job_steps.kind is 'run: a function that ran; wait: for a signal; sleep: for a time; invoke: for the end of a job that the step has enqueued.';
comment on column legwork_private.job_steps.name is 'Its name within the job. For a wait, the name of the signal.';
comment on column legwork_private.job_steps.state is
  'completed: it is not run again. failed: it threw an error, and the next attempt runs it again. timed_out: no signal arrived by its deadline. waiting: the job was suspended to wait for it. '
  'open: the job was suspended to wait for it earlier, and the running attempt has not reached it again.';
comment on column legwork_private.job_steps.result is 'The step''s result or the signal''s payload, redacted. Null without one.';
comment on column legwork_private.job_steps.error is 'The message of its error, redacted. Null unless it failed.';
comment on column legwork_private.job_steps.attempt is 'The attempt that recorded it, counted from 1.';
comment on column legwork_private.job_steps.started_at is 'When it began.';
comment on column legwork_private.job_steps.recorded_at is 'When this was written.';
comment on column legwork_private.job_steps.deadline is 'When the wait or sleep ends, counted from when it began. Null for a wait without a timeout, and for a step that does not wait.';
comment on column legwork_private.job_steps.wake_at is 'The run_at with which its job was suspended. While the job still has this run_at, it waits for this step.';
comment on column legwork_private.job_steps.tenant is 'The tenant that the job belongs to.';
comment on column legwork_private.job_steps.in_group is 'Steps of step.all have the same text here: their job starts again when all of them have ended, or one has failed. Null for a step that is awaited by itself.';
comment on column legwork_private.job_steps.child_id is 'The job that the step has invoked. Null before that, and for other steps.';
comment on column legwork_private.job_steps.child_state is 'How that job ended, as the step has returned or thrown it. Null before that.';
comment on table legwork_private.step_secrets is
  'Unredacted results and signals of jobs whose task redacts data, for later attempts only. No view shows them, and they are deleted when the job has ended, '
  'like its payload.';
comment on column legwork_private.step_secrets.job_id is 'The job.';
comment on column legwork_private.step_secrets.kind is 'As in legwork_private.job_steps, or signal.';
comment on column legwork_private.step_secrets.name is 'As in legwork_private.job_steps or legwork_private.job_signals.';
comment on column legwork_private.step_secrets.value is 'The unredacted value.';

create or replace function legwork_private.hold_job(job_id bigint, worker text, attempt integer) returns legwork_private.graphile_jobs
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_job legwork_private.graphile_jobs;
begin
  select * into v_job from legwork_private.graphile_jobs j
  where j.id = hold_job.job_id and j.locked_by = worker and j.attempts = attempt for share;
  return v_job;
end $$;
comment on function legwork_private.hold_job(bigint, text, integer) is
  'The job, if this attempt runs on this worker. It is locked, so that this stays true until the end of the transaction. Null otherwise.';
revoke execute on function legwork_private.hold_job(bigint, text, integer) from public;

create or replace function legwork_private.load_steps(job_id bigint, worker text, attempt integer)
returns table (kind text, name text, state text, result text, error text, child_id bigint, child_state legwork.job_state)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_job legwork_private.graphile_jobs := legwork_private.hold_job(job_id, worker, attempt);
begin
  if v_job.id is null then
    return query select null::text, null::text, 'lost'::text, null::text, null::text, null::bigint, null::legwork.job_state;
    return;
  end if;
  -- Only waits that this attempt reaches again can suspend it.
  update legwork_private.job_steps s set state = 'open', wake_at = null where s.job_id = load_steps.job_id and s.state = 'waiting';
  return query
    select s.kind, s.name, s.state, coalesce(x.value, s.result)::text, s.error, s.child_id, s.child_state
    from legwork_private.job_steps s
    left join legwork_private.step_secrets x on x.job_id = s.job_id and x.kind = s.kind and x.name = s.name
    where s.job_id = load_steps.job_id and (s.state in ('completed', 'timed_out') or s.state = 'failed' and s.kind = 'invoke');
end $$;
comment on function legwork_private.load_steps(bigint, text, integer) is
  'The completed and timed-out steps of a job and those whose invoked job did not complete, with unredacted results, for an attempt that begins to use them. Returns a single row with the state lost if this '
  'attempt does not run on this worker.';
revoke execute on function legwork_private.load_steps(bigint, text, integer) from public;

create or replace function legwork_private.record_step(
  job_id bigint, worker text, attempt integer, name text, result jsonb, secret jsonb, took interval
) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_job legwork_private.graphile_jobs := legwork_private.hold_job(job_id, worker, attempt);
begin
  if v_job.id is null then
    return false;
  end if;
  insert into legwork_private.job_steps as s (job_id, kind, name, state, result, attempt, started_at, tenant)
  values (record_step.job_id, 'run', record_step.name, 'completed', record_step.result, record_step.attempt, clock_timestamp() - took,
    legwork_private.flag_value(v_job.flags, 'tenant'))
  -- The step failed in an earlier attempt. Any other conflict means that the worker repeats the call because it received no confirmation that the
  -- step was recorded: names of steps are unique within an attempt.
  on conflict on constraint job_steps_pkey do update set
    state = excluded.state, result = excluded.result, error = null, attempt = excluded.attempt, started_at = excluded.started_at, recorded_at = excluded.recorded_at
  where s.state = 'failed';
  if secret is not null then
    insert into legwork_private.step_secrets (job_id, kind, name, value)
    values (record_step.job_id, 'run', record_step.name, record_step.secret)
    on conflict on constraint step_secrets_pkey do nothing;
  end if;
  return true;
end $$;
comment on function legwork_private.record_step(bigint, text, integer, text, jsonb, jsonb, interval) is
  'Records the result of a step. took: how long it ran. secret: the unredacted result, if result is redacted. Returns false and records nothing if this attempt no longer runs on this worker.';
revoke execute on function legwork_private.record_step(bigint, text, integer, text, jsonb, jsonb, interval) from public;

create or replace function legwork_private.record_failed_step(
  job_id bigint, worker text, attempt integer, name text, error text, took interval
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_job legwork_private.graphile_jobs := legwork_private.hold_job(job_id, worker, attempt);
begin
  if v_job.id is null then
    return;
  end if;
  insert into legwork_private.job_steps as s (job_id, kind, name, state, error, attempt, started_at, tenant)
  values (record_failed_step.job_id, 'run', record_failed_step.name, 'failed', record_failed_step.error, record_failed_step.attempt,
    clock_timestamp() - took, legwork_private.flag_value(v_job.flags, 'tenant'))
  on conflict on constraint job_steps_pkey do update set
    error = excluded.error, attempt = excluded.attempt, started_at = excluded.started_at, recorded_at = excluded.recorded_at
  where s.state = 'failed';
end $$;
comment on function legwork_private.record_failed_step(bigint, text, integer, text, text, interval) is
  'Records that a step threw an error, redacted, so that the job''s steps and timeline show it. The next attempt runs the step again. Does nothing if this attempt no longer runs on this worker.';
revoke execute on function legwork_private.record_failed_step(bigint, text, integer, text, text, interval) from public;

create or replace function legwork_private.await_step(
  job_id bigint, worker text, attempt integer, kind text, name text, timeout interval, in_group text default null, out state text, out result text
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_job legwork_private.graphile_jobs := legwork_private.hold_job(job_id, worker, attempt);
  v_signal legwork_private.job_signals;
  v_secret jsonb;
begin
  if v_job.id is null then
    state := 'lost';
    return;
  end if;
  if kind = 'wait' then
    select * into v_signal from legwork_private.job_signals g where g.job_id = await_step.job_id and g.name = await_step.name;
  end if;
  insert into legwork_private.job_steps as s (job_id, kind, name, state, result, attempt, started_at, deadline, in_group, tenant)
  values (
    await_step.job_id, await_step.kind, await_step.name,
    case when v_signal.id is not null then 'completed'
      when timeout > interval '0' or timeout is null then 'waiting'
      when await_step.kind = 'sleep' then 'completed' else 'timed_out' end,
    v_signal.payload, await_step.attempt, clock_timestamp(), legwork_private.later(clock_timestamp(), timeout), await_step.in_group, legwork_private.flag_value(v_job.flags, 'tenant'))
  on conflict on constraint job_steps_pkey do update set
    in_group = excluded.in_group,
    -- The deadline stays as it was when the wait began.
    state = case when excluded.state = 'completed' and excluded.kind = 'wait' then 'completed'
      when s.deadline > clock_timestamp() or s.deadline is null then 'waiting'
      when s.kind = 'sleep' then 'completed' else 'timed_out' end,
    result = excluded.result, attempt = excluded.attempt, recorded_at = clock_timestamp()
  returning s.state, s.result::text into state, result;
  if v_signal.id is not null then
    insert into legwork_private.step_secrets (job_id, kind, name, value)
    select x.job_id, 'wait', x.name, x.value from legwork_private.step_secrets x
    where x.job_id = await_step.job_id and x.kind = 'signal' and x.name = await_step.name
    on conflict on constraint step_secrets_pkey do update set value = excluded.value
    returning value into v_secret;
    result := coalesce(v_secret::text, result);
  end if;
end $$;
comment on function legwork_private.await_step(bigint, text, integer, text, text, interval, text) is
  'Begins or checks a wait or sleep. state is completed, with the signal''s payload; timed_out; waiting, and then the attempt must be suspended; or lost, if this attempt no longer runs on this '
  'worker. timeout: null waits without a limit. in_group: as in legwork_private.job_steps.';
revoke execute on function legwork_private.await_step(bigint, text, integer, text, text, interval, text) from public;

create or replace function legwork_private.suspend_job(job_id bigint) returns timestamptz
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_wake_at timestamptz;
begin
  -- The caller has locked the job's row, and this statement sees everything that was committed before.
  with waiting as (
    select s.kind, s.deadline, coalesce(s.in_group, s.kind || ' ' || s.name) as part,
      case s.kind when 'wait' then g.id is not null when 'invoke' then e.child_id is not null else s.deadline <= clock_timestamp() end as is_over,
      s.kind = 'wait' and g.id is null and s.deadline <= clock_timestamp() or s.kind = 'invoke' and e.state <> 'completed' as has_failed
    from legwork_private.job_steps s
    left join legwork_private.job_signals g on g.job_id = s.job_id and g.name = s.name and s.kind = 'wait'
    left join legwork_private.child_ends e on e.child_id = s.child_id
    where s.job_id = suspend_job.job_id and s.state = 'waiting'
  ), parts as (
    select case
        when bool_or(coalesce(w.has_failed, false)) or bool_and(w.is_over) then clock_timestamp()
        else least(
          -- The first wait that times out fails.
          min(w.deadline) filter (where w.kind = 'wait' and not w.is_over),
          case when bool_and(w.is_over or w.kind = 'sleep') then max(w.deadline) filter (where w.kind = 'sleep') end)
      end as wake_at
    from waiting w group by w.part
  )
  select case
    when count(*) = 0 then clock_timestamp()
    -- With a snapshot from the beginning of the transaction, a newer signal may be missed: check again soon.
    when current_setting('transaction_isolation') <> 'read committed' then least(min(p.wake_at), clock_timestamp() + interval '5 seconds')
    else coalesce(min(p.wake_at), legwork_private.far_future())
  end into v_wake_at
  from parts p;
  update legwork_private.job_steps s set wake_at = v_wake_at where s.job_id = suspend_job.job_id and s.state = 'waiting';
  return v_wake_at;
end $$;
comment on function legwork_private.suspend_job(bigint) is
  'When a job that is or is being suspended should start again: at the first of its deadlines, or at once if a signal that it waits for has arrived or a job that it waits for has ended. '
  'Steps of one group end together, when the last of them has ended or the first has failed.';
revoke execute on function legwork_private.suspend_job(bigint) from public;

create or replace function legwork_private.restart_steps(job legwork_private.graphile_jobs) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_context text;
  v_wake_at timestamptz[];
begin
  if not exists (select from legwork_private.job_steps s where s.job_id = job.id) and not exists (select from legwork_private.job_signals g where g.job_id = job.id) then
    return false;
  end if;
  get diagnostics v_context = pg_context;
  if v_context !~ '(?n)^PL/pgSQL\S* .*\madd_jobs\(' then
    return false;
  end if;
  with gone as (
    delete from legwork_private.job_steps s where s.job_id = job.id returning s.wake_at
  )
  select array_agg(g.wake_at) into v_wake_at from gone g;
  delete from legwork_private.job_signals g where g.job_id = job.id;
  delete from legwork_private.child_ends e where e.job_id = job.id;
  delete from legwork_private.step_secrets x where x.job_id = job.id;
  -- With preserve_run_at, the job would keep the run_at with which it was suspended.
  if coalesce((select w.run_at from legwork_private.waiting_jobs w where w.job_id = job.id and job.run_at = 'infinity'), job.run_at) = any (v_wake_at) then
    update legwork_private.graphile_jobs j set run_at = clock_timestamp() where j.id = job.id;
    return true;
  end if;
  return false;
end $$;
comment on function legwork_private.restart_steps(legwork_private.graphile_jobs) is
  'Deletes the steps and signals of a job whose key was used for another request, which must run all steps itself. Returns whether this function has changed the job. '
  'For the trigger that handles the change.';
revoke execute on function legwork_private.restart_steps(legwork_private.graphile_jobs) from public;

create or replace function legwork_private.forget_steps() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_before timestamptz := now() - legwork_private.history_retention();
begin
  delete from legwork_private.job_steps s
  where s.ctid = any (array(
    select o.ctid from legwork_private.job_steps o
    where o.recorded_at < v_before
      and not exists (select from legwork_private.graphile_jobs j where j.id = o.job_id)
      and not exists (select from legwork_private.finished_jobs f where f.id = o.job_id)
    limit 10000));
  delete from legwork_private.job_signals g
  where g.id in (
    select o.id from legwork_private.job_signals o
    where o.sent_at < v_before
      and not exists (select from legwork_private.graphile_jobs j where j.id = o.job_id)
      and not exists (select from legwork_private.finished_jobs f where f.id = o.job_id)
    limit 10000);
  delete from legwork_private.child_ends e
  where e.ctid = any (array(
    select o.ctid from legwork_private.child_ends o
    where o.ended_at < v_before
      and not exists (select from legwork_private.graphile_jobs j where j.id = o.job_id)
      and not exists (select from legwork_private.finished_jobs f where f.id = o.job_id)
    limit 10000));
  delete from legwork_private.step_secrets x where not exists (select from legwork_private.graphile_jobs j where j.id = x.job_id);
end $$;
comment on function legwork_private.forget_steps() is 'Deletes steps and signals of jobs that are no longer in the history. Called by legwork.maintain_history.';
revoke execute on function legwork_private.forget_steps() from public;
