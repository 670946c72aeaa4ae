-- Steps within a task: what has been done is not done again by a later attempt, and a job may wait for a signal or for a time without
-- holding a worker.
--
-- Why a step is recorded once, and only by who holds the job: the statement that records it locks the job's row and asks for its holder and
-- attempt. A job that is given to another worker is given by an update of that row: either it comes first, and then the step is
-- refused, or it comes later, and then the next attempt, which starts after it, sees the step.
-- Why no signal is lost: an attempt that waits is put back by an update of the job's row, and the trigger on that update looks for signals
-- (legwork_private.suspend_job). A signal that had been committed by then is seen there. One that commits later is delivered when it
-- commits (legwork_private.deliver_signals), which locks the job's row first: so it comes before the update, which then waits and sees the signal, or
-- after it, and then finds the job waiting. Where the row is locked by somebody, nobody waits for it: the signal stays undelivered, and
-- legwork.tick() delivers it. So an open transaction that has sent a signal holds up nobody.
-- Locks: none but those on what is made here.

comment on table legwork_private.job_steps is 'The steps of jobs whose tasks have such: what has been done, and what is waited for.';
comment on column legwork_private.job_steps.job_id is 'The job.';
comment on column legwork_private.job_steps.kind is 'run: a function that ran; wait: for a signal; sleep: for a time.';
comment on column legwork_private.job_steps.name is 'Its name within the job; of a wait, the name of the signal.';
comment on column legwork_private.job_steps.state is
  'completed: it is not done again. timed_out: no signal had come by its deadline. waiting: the last attempt that looked asked for it in vain. '
  'open: the same, and the attempt that runs has not come to it.';
comment on column legwork_private.job_steps.result is 'What it returned, or what came with the signal; redacted. Null for nothing.';
comment on column legwork_private.job_steps.attempt is 'The attempt that recorded it, counted from 1.';
comment on column legwork_private.job_steps.started_at is 'When it began.';
comment on column legwork_private.job_steps.recorded_at is 'When this was written.';
comment on column legwork_private.job_steps.deadline is 'Until when it waits, counted from when it first did; null for ever, and for what does not wait.';
comment on column legwork_private.job_steps.wake_at is 'The run_at that its job was put back with: as long as the job has it, it waits for this.';
comment on column legwork_private.job_steps.tenant is 'Whose job it is.';
comment on table legwork_private.step_secrets is
  'Whole results and signals of jobs whose task redacts, for its later attempts alone: no view shows them, and they go when the job has ended, '
  'as its payload does.';
comment on column legwork_private.step_secrets.job_id is 'The job.';
comment on column legwork_private.step_secrets.kind is 'As in legwork_private.job_steps; signal for one.';
comment on column legwork_private.step_secrets.name is 'As in legwork_private.job_steps or legwork_private.job_signals.';
comment on column legwork_private.step_secrets.value is 'The whole.';

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
  'The job, if that attempt of it runs on that worker, which stays so to the end of the transaction. Null otherwise.';
revoke execute on function legwork_private.hold_job(bigint, text, integer) from public;

create or replace function legwork_private.load_steps(job_id bigint, worker text, attempt integer)
returns table (kind text, name text, state text, result text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_job legwork_private.graphile_jobs := legwork_private.hold_job(job_id, worker, attempt);
begin
  if v_job.id is null then
    return query select null::text, null::text, 'lost'::text, null::text;
    return;
  end if;
  -- Only what this attempt asks for holds it back.
  update legwork_private.job_steps s set state = 'open', wake_at = null where s.job_id = load_steps.job_id and s.state = 'waiting';
  return query
    select s.kind, s.name, s.state, coalesce(x.value, s.result)::text
    from legwork_private.job_steps s
    left join legwork_private.step_secrets x on x.job_id = s.job_id and x.kind = s.kind and x.name = s.name
    where s.job_id = load_steps.job_id and s.state in ('completed', 'timed_out');
end $$;
comment on function legwork_private.load_steps(bigint, text, integer) is
  'The steps of a job that are over, with their whole results, for the attempt that begins to use them. A single row whose state is lost when that '
  'attempt does not run on that worker.';
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
  insert into legwork_private.job_steps (job_id, kind, name, state, result, attempt, started_at, tenant)
  values (record_step.job_id, 'run', record_step.name, 'completed', record_step.result, record_step.attempt, clock_timestamp() - took,
    legwork_private.flag_value(v_job.flags, 'tenant'))
  -- Its worker was not told that it had been kept, and asks again: a step has one name in an attempt.
  on conflict on constraint job_steps_pkey do nothing;
  if secret is not null then
    insert into legwork_private.step_secrets (job_id, kind, name, value)
    values (record_step.job_id, 'run', record_step.name, record_step.secret)
    on conflict on constraint step_secrets_pkey do nothing;
  end if;
  return true;
end $$;
comment on function legwork_private.record_step(bigint, text, integer, text, jsonb, jsonb, interval) is
  'Keeps what a step has returned. took: how long it ran; secret: the whole, when result is redacted. False, and nothing is kept, when that attempt does not run on that worker any more.';
revoke execute on function legwork_private.record_step(bigint, text, integer, text, jsonb, jsonb, interval) from public;

create or replace function legwork_private.await_step(
  job_id bigint, worker text, attempt integer, kind text, name text, timeout interval, out state text, out result text
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
  insert into legwork_private.job_steps as s (job_id, kind, name, state, result, attempt, started_at, deadline, tenant)
  values (
    await_step.job_id, await_step.kind, await_step.name,
    case when v_signal.id is not null then 'completed'
      when timeout > interval '0' or timeout is null then 'waiting'
      when await_step.kind = 'sleep' then 'completed' else 'timed_out' end,
    v_signal.payload, await_step.attempt, clock_timestamp(), legwork_private.later(clock_timestamp(), timeout), legwork_private.flag_value(v_job.flags, 'tenant'))
  on conflict on constraint job_steps_pkey do update set
    -- How long it waits was said when it first did.
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
comment on function legwork_private.await_step(bigint, text, integer, text, text, interval) is
  'Whether what a job waits for is there: state is completed, with the signal''s payload; timed_out; or waiting, and then the attempt is to be put back. timeout null: '
  'for ever. lost when that attempt does not run on that worker any more.';
revoke execute on function legwork_private.await_step(bigint, text, integer, text, text, interval) from public;

create or replace function legwork_private.suspend_job(job_id bigint) returns timestamptz
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_wake_at timestamptz;
begin
  -- Whoever calls this has locked the job's row, and this statement sees what was committed before.
  select case
    when count(*) = 0 or bool_or(s.kind = 'wait' and exists (select from legwork_private.job_signals g where g.job_id = s.job_id and g.name = s.name))
      then clock_timestamp()
    -- Where every transaction sees only what was there when it began, a signal may have come since: look again.
    when current_setting('transaction_isolation') <> 'read committed' then least(min(s.deadline), clock_timestamp() + interval '5 seconds')
    else coalesce(min(s.deadline), legwork_private.far_future())
  end into v_wake_at
  from legwork_private.job_steps s where s.job_id = suspend_job.job_id and s.state = 'waiting';
  update legwork_private.job_steps s set wake_at = v_wake_at where s.job_id = suspend_job.job_id and s.state = 'waiting';
  return v_wake_at;
end $$;
comment on function legwork_private.suspend_job(bigint) is
  'When a job that is being put back because it waits is to start again: at the first of its deadlines, or at once when what it waits for has come meanwhile.';
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
  delete from legwork_private.step_secrets x where x.job_id = job.id;
  -- Asked to keep its run_at, it would keep the one it waited with.
  if coalesce((select w.run_at from legwork_private.waiting_jobs w where w.job_id = job.id and job.run_at = 'infinity'), job.run_at) = any (v_wake_at) then
    update legwork_private.graphile_jobs j set run_at = clock_timestamp() where j.id = job.id;
    return true;
  end if;
  return false;
end $$;
comment on function legwork_private.restart_steps(legwork_private.graphile_jobs) is
  'Forgets the steps and signals of a job whose key was used for another request: its steps are not done for that one. Returns whether it changed the job itself. '
  'For the trigger that sees the change.';
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
  delete from legwork_private.step_secrets x where not exists (select from legwork_private.graphile_jobs j where j.id = x.job_id);
end $$;
comment on function legwork_private.forget_steps() is 'Deletes steps and signals of jobs that the history does not show any more. legwork.maintain_history calls it.';
revoke execute on function legwork_private.forget_steps() from public;
