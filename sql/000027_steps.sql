-- Steps within a task: what has been done is not done again by a later attempt, and a job may wait for a signal or for a time without
-- holding a worker.
--
-- Why a step is recorded once, and only by who holds the job: the statement that records it locks the job's row and asks for its holder and
-- attempt. A job that is given to another worker is given by an update of that row: either it comes first, and then the step is
-- refused, or it comes later, and then the next attempt, which starts after it, sees the step.
-- Why no signal is lost: an attempt that waits is put back by an update of the job's row, and the trigger on that update looks for signals
-- (legwork.suspend_job). A signal that had been committed by then is seen there. One that commits later is delivered when it
-- commits (legwork.deliver_signals), which locks the job's row first: so it comes before the update, which then waits and sees the signal, or
-- after it, and then finds the job waiting. Where the row is locked by somebody, nobody waits for it: the signal stays undelivered, and
-- legwork.tick() delivers it. So an open transaction that has sent a signal holds up nobody.
-- Locks: none but those on what is made here.

create table legwork.job_steps (
  job_id bigint not null,
  kind text not null check (kind in ('run', 'wait', 'sleep')),
  name text not null check (length(name) between 1 and 200),
  state text not null check (state in ('completed', 'timed_out', 'waiting', 'open')),
  result jsonb,
  attempt smallint not null,
  started_at timestamptz not null,
  recorded_at timestamptz not null default clock_timestamp(),
  deadline timestamptz,
  wake_at timestamptz,
  tenant text,
  primary key (job_id, kind, name)
);
comment on table legwork.job_steps is 'The steps of jobs whose tasks have such: what has been done, and what is waited for.';
comment on column legwork.job_steps.job_id is 'The job.';
comment on column legwork.job_steps.kind is 'run: a function that ran; wait: for a signal; sleep: for a time.';
comment on column legwork.job_steps.name is 'Its name within the job; of a wait, the name of the signal.';
comment on column legwork.job_steps.state is
  'completed: it is not done again. timed_out: no signal had come by its deadline. waiting: the last attempt that looked asked for it in vain. '
  'open: the same, and the attempt that runs has not come to it.';
comment on column legwork.job_steps.result is 'What it returned, or what came with the signal; redacted. Null for nothing.';
comment on column legwork.job_steps.attempt is 'The attempt that recorded it, counted from 1.';
comment on column legwork.job_steps.started_at is 'When it began.';
comment on column legwork.job_steps.recorded_at is 'When this was written.';
comment on column legwork.job_steps.deadline is 'Until when it waits, counted from when it first did; null for ever, and for what does not wait.';
comment on column legwork.job_steps.wake_at is 'The run_at that its job was put back with: as long as the job has it, it waits for this.';
comment on column legwork.job_steps.tenant is 'Whose job it is.';
alter table legwork.job_steps enable row level security;
create index job_steps_recorded_at on legwork.job_steps (recorded_at);

create table legwork.job_signals (
  id bigint generated always as identity primary key,
  job_id bigint not null,
  name text not null check (length(name) between 1 and 200),
  payload jsonb,
  sent_by text not null default legwork.who(),
  sent_at timestamptz not null default clock_timestamp(),
  is_delivered boolean not null default false,
  unique (job_id, name)
);
comment on table legwork.job_signals is 'The signals that were sent to jobs: of each name the first, which is the one that counts.';
comment on column legwork.job_signals.id is 'In the order they were sent.';
comment on column legwork.job_signals.job_id is 'The job.';
comment on column legwork.job_signals.name is 'What the job waits for.';
comment on column legwork.job_signals.payload is 'What came with it; redacted. Null for nothing.';
comment on column legwork.job_signals.sent_by is 'Who sent it: the database role, or for whom the server did.';
comment on column legwork.job_signals.sent_at is 'When.';
comment on column legwork.job_signals.is_delivered is 'Whether the job has been looked at since: if it waited for this, it may start.';
alter table legwork.job_signals enable row level security;
create index job_signals_undelivered on legwork.job_signals (id) where not is_delivered;
create index job_signals_sent_at on legwork.job_signals (sent_at);

create table legwork.step_secrets (
  job_id bigint not null,
  kind text not null,
  name text not null,
  value jsonb not null,
  primary key (job_id, kind, name)
);
comment on table legwork.step_secrets is
  'Whole results and signals of jobs whose task redacts, for its later attempts alone: no view shows them, and they go when the job has ended, '
  'as its payload does.';
comment on column legwork.step_secrets.job_id is 'The job.';
comment on column legwork.step_secrets.kind is 'As in legwork.job_steps; signal for one.';
comment on column legwork.step_secrets.name is 'As in legwork.job_steps or legwork.job_signals.';
comment on column legwork.step_secrets.value is 'The whole.';
alter table legwork.step_secrets enable row level security;

create function legwork.never() returns timestamptz
language sql immutable parallel safe
return timestamptz '9999-12-31 00:00:00+00';
comment on function legwork.never() is
  'The run_at of a job that waits for a signal without a deadline. Not infinity, which says that the waiting room knows the true time.';

create function legwork.hold_job(job_id bigint, worker text, attempt integer) returns graphile_worker._private_jobs
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_job graphile_worker._private_jobs;
begin
  select * into v_job from graphile_worker._private_jobs j
  where j.id = hold_job.job_id and j.locked_by = worker and j.attempts = attempt for share;
  return v_job;
end $$;
comment on function legwork.hold_job(bigint, text, integer) is
  'The job, if that attempt of it runs on that worker, which stays so to the end of the transaction. Null otherwise.';
revoke execute on function legwork.hold_job(bigint, text, integer) from public;

create function legwork.load_steps(job_id bigint, worker text, attempt integer)
returns table (kind text, name text, state text, result text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_job graphile_worker._private_jobs := legwork.hold_job(job_id, worker, attempt);
begin
  if v_job.id is null then
    return query select null::text, null::text, 'lost'::text, null::text;
    return;
  end if;
  -- Only what this attempt asks for holds it back.
  update legwork.job_steps s set state = 'open', wake_at = null where s.job_id = load_steps.job_id and s.state = 'waiting';
  return query
    select s.kind, s.name, s.state, coalesce(x.value, s.result)::text
    from legwork.job_steps s
    left join legwork.step_secrets x on x.job_id = s.job_id and x.kind = s.kind and x.name = s.name
    where s.job_id = load_steps.job_id and s.state in ('completed', 'timed_out');
end $$;
comment on function legwork.load_steps(bigint, text, integer) is
  'The steps of a job that are over, with their whole results, for the attempt that begins to use them. A single row whose state is lost when that '
  'attempt does not run on that worker.';
revoke execute on function legwork.load_steps(bigint, text, integer) from public;

create function legwork.record_step(
  job_id bigint, worker text, attempt integer, name text, result jsonb, secret jsonb, took interval
) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_job graphile_worker._private_jobs := legwork.hold_job(job_id, worker, attempt);
begin
  if v_job.id is null then
    return false;
  end if;
  insert into legwork.job_steps (job_id, kind, name, state, result, attempt, started_at, tenant)
  values (record_step.job_id, 'run', record_step.name, 'completed', record_step.result, record_step.attempt, clock_timestamp() - took,
    legwork.flag_value(v_job.flags, 'tenant'))
  -- Its worker was not told that it had been kept, and asks again: a step has one name in an attempt.
  on conflict on constraint job_steps_pkey do nothing;
  if secret is not null then
    insert into legwork.step_secrets (job_id, kind, name, value)
    values (record_step.job_id, 'run', record_step.name, record_step.secret)
    on conflict on constraint step_secrets_pkey do nothing;
  end if;
  return true;
end $$;
comment on function legwork.record_step(bigint, text, integer, text, jsonb, jsonb, interval) is
  'Keeps what a step has returned. took: how long it ran; secret: the whole, when result is redacted. False, and nothing is kept, when that attempt does not run on that worker any more.';
revoke execute on function legwork.record_step(bigint, text, integer, text, jsonb, jsonb, interval) from public;

create function legwork.await_step(
  job_id bigint, worker text, attempt integer, kind text, name text, timeout interval, out state text, out result text
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_job graphile_worker._private_jobs := legwork.hold_job(job_id, worker, attempt);
  v_signal legwork.job_signals;
  v_secret jsonb;
begin
  if v_job.id is null then
    state := 'lost';
    return;
  end if;
  if kind = 'wait' then
    select * into v_signal from legwork.job_signals g where g.job_id = await_step.job_id and g.name = await_step.name;
  end if;
  insert into legwork.job_steps as s (job_id, kind, name, state, result, attempt, started_at, deadline, tenant)
  values (
    await_step.job_id, await_step.kind, await_step.name,
    case when v_signal.id is not null then 'completed'
      when timeout > interval '0' or timeout is null then 'waiting'
      when await_step.kind = 'sleep' then 'completed' else 'timed_out' end,
    v_signal.payload, await_step.attempt, clock_timestamp(), legwork.later(clock_timestamp(), timeout), legwork.flag_value(v_job.flags, 'tenant'))
  on conflict on constraint job_steps_pkey do update set
    -- How long it waits was said when it first did.
    state = case when excluded.state = 'completed' and excluded.kind = 'wait' then 'completed'
      when s.deadline > clock_timestamp() or s.deadline is null then 'waiting'
      when s.kind = 'sleep' then 'completed' else 'timed_out' end,
    result = excluded.result, attempt = excluded.attempt, recorded_at = clock_timestamp()
  returning s.state, s.result::text into state, result;
  if v_signal.id is not null then
    insert into legwork.step_secrets (job_id, kind, name, value)
    select x.job_id, 'wait', x.name, x.value from legwork.step_secrets x
    where x.job_id = await_step.job_id and x.kind = 'signal' and x.name = await_step.name
    on conflict on constraint step_secrets_pkey do update set value = excluded.value
    returning value into v_secret;
    result := coalesce(v_secret::text, result);
  end if;
end $$;
comment on function legwork.await_step(bigint, text, integer, text, text, interval) is
  'Whether what a job waits for is there: state is completed, with the signal''s payload; timed_out; or waiting, and then the attempt is to be put back. timeout null: '
  'for ever. lost when that attempt does not run on that worker any more.';
revoke execute on function legwork.await_step(bigint, text, integer, text, text, interval) from public;

create function legwork.suspend_job(job_id bigint) returns timestamptz
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_wake_at timestamptz;
begin
  -- Whoever calls this has locked the job's row, and this statement sees what was committed before.
  select case
    when count(*) = 0 or bool_or(s.kind = 'wait' and exists (select from legwork.job_signals g where g.job_id = s.job_id and g.name = s.name))
      then clock_timestamp()
    -- Where every transaction sees only what was there when it began, a signal may have come since: look again.
    when current_setting('transaction_isolation') <> 'read committed' then least(min(s.deadline), clock_timestamp() + interval '5 seconds')
    else coalesce(min(s.deadline), legwork.never())
  end into v_wake_at
  from legwork.job_steps s where s.job_id = suspend_job.job_id and s.state = 'waiting';
  update legwork.job_steps s set wake_at = v_wake_at where s.job_id = suspend_job.job_id and s.state = 'waiting';
  return v_wake_at;
end $$;
comment on function legwork.suspend_job(bigint) is
  'When a job that is being put back because it waits is to start again: at the first of its deadlines, or at once when what it waits for has come meanwhile.';
revoke execute on function legwork.suspend_job(bigint) from public;

create function legwork.begin_anew(job graphile_worker._private_jobs) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_context text;
  v_wake_at timestamptz[];
begin
  if not exists (select from legwork.job_steps s where s.job_id = job.id) and not exists (select from legwork.job_signals g where g.job_id = job.id) then
    return false;
  end if;
  get diagnostics v_context = pg_context;
  if v_context !~ '(?n)^PL/pgSQL\S* .*\madd_jobs\(' then
    return false;
  end if;
  with gone as (
    delete from legwork.job_steps s where s.job_id = job.id returning s.wake_at
  )
  select array_agg(g.wake_at) into v_wake_at from gone g;
  delete from legwork.job_signals g where g.job_id = job.id;
  delete from legwork.step_secrets x where x.job_id = job.id;
  -- Asked to keep its run_at, it would keep the one it waited with.
  if coalesce((select w.run_at from legwork.waiting_jobs w where w.job_id = job.id and job.run_at = 'infinity'), job.run_at) = any (v_wake_at) then
    update graphile_worker._private_jobs j set run_at = clock_timestamp() where j.id = job.id;
    return true;
  end if;
  return false;
end $$;
comment on function legwork.begin_anew(graphile_worker._private_jobs) is
  'Forgets the steps and signals of a job whose key was used for another request: its steps are not done for that one. Returns whether it changed the job itself. '
  'For the trigger that sees the change.';
revoke execute on function legwork.begin_anew(graphile_worker._private_jobs) from public;

create function legwork.deliver_signals(to_job bigint default null) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_signal legwork.job_signals;
  v_job graphile_worker._private_jobs;
  v_delivered bigint[] := '{}';
  v_woken integer := 0;
  v_all boolean := true;
begin
  for v_signal in
    select * from legwork.job_signals g
    where not g.is_delivered and (g.job_id = to_job or to_job is null
      and not exists (select from legwork.set_aside a where a.what = 'signal' and a.item = g.job_id::text))
    order by g.id limit 1000
    for update skip locked
  loop
    select * into v_job from graphile_worker._private_jobs j where j.id = v_signal.job_id for update skip locked;
    if v_job.id is null and exists (select from graphile_worker._private_jobs j where j.id = v_signal.job_id) then
      v_all := false;
      continue;
    end if;
    v_delivered := v_delivered || v_signal.id;
    -- One that runs looks for itself, at the latest as it is put back.
    if v_job.locked_at is null and exists (
      select from legwork.job_steps s
      where s.job_id = v_job.id and s.kind = 'wait' and s.name = v_signal.name and s.state = 'waiting'
        and s.wake_at = case when v_job.run_at = 'infinity'
          then (select w.run_at from legwork.waiting_jobs w where w.job_id = v_job.id) else v_job.run_at end)
    then
      -- Limits and pauses hold it from here as they do a new job: the trigger _legwork_record_change sends it to the waiting room.
      update graphile_worker._private_jobs j set run_at = clock_timestamp() where j.id = v_job.id;
      v_woken := v_woken + 1;
    end if;
  end loop;
  if v_delivered <> '{}' then
    update legwork.job_signals g set is_delivered = true where g.id = any (v_delivered);
  end if;
  if v_woken > 0 then
    perform legwork.wake_workers(v_woken);
  end if;
  return v_all;
end $$;
comment on function legwork.deliver_signals(bigint) is
  'Lets jobs start that wait for signals which have come, those of one job or a thousand of all. Passes over jobs whose rows others hold; returns whether there was none.';
revoke execute on function legwork.deliver_signals(bigint) from public;

create function legwork.tg_job_signals__deliver() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- Another isolation level would not see what it has to look at. Workers come and do it.
  if current_setting('transaction_isolation') <> 'read committed' or not legwork.deliver_signals(new.job_id) then
    perform pg_notify('legwork', '{"wakeups":true}');
  end if;
  return null;
end $$;
comment on function legwork.tg_job_signals__deliver() is 'At the end of a transaction that has sent a signal: delivers it, or tells a worker to.';
revoke execute on function legwork.tg_job_signals__deliver() from public;
create constraint trigger _legwork_deliver after insert on legwork.job_signals
  deferrable initially deferred for each row execute function legwork.tg_job_signals__deliver();

create function legwork.send_signal(job_id bigint, name text, payload jsonb default null) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_job graphile_worker._private_jobs;
  v_state legwork.job_state;
  v_redact text[];
  v_shown jsonb := payload;
begin
  perform legwork.assert_may('operator');
  perform legwork.assert_visible(job_id);
  if name is null or length(name) not between 1 and 200 or name in ('.', '..') then
    raise exception 'A signal''s name has 1 to 200 characters%.',
      case when name is null then '' when name in ('.', '..') then ' and is not . or ..' else ', not ' || length(name) end using
      errcode = 'LW400', hint = 'It is the name that the task waits for, as in step.waitFor("approval").';
  elsif octet_length(payload::text) > 262144 then
    raise exception 'A signal''s payload has at most 256 KB, not % bytes.', octet_length(payload::text) using
      errcode = 'LW413', hint = 'Keep it in a table and send its id.';
  end if;
  select * into v_job from graphile_worker._private_jobs j where j.id = send_signal.job_id;
  if v_job.id is null or (v_job.locked_at is null and v_job.attempts >= v_job.max_attempts) then
    v_state := legwork.assert_job(job_id);
    raise exception 'Job % has already ended: it is %.', job_id, v_state using
      errcode = 'LW409', hint = case when v_state = 'failed' then 'legwork.retry_job gives it another chance.' else 'What has ended waits for nothing.' end;
  elsif (select count(*) from legwork.job_signals g where g.job_id = send_signal.job_id) >= 1000 then
    raise exception 'Job % has been sent 1000 signals.', job_id using errcode = 'LW409', hint = 'Send a signal to the job that waits for it, once.';
  elsif exists (select from legwork.job_steps s
    where s.job_id = send_signal.job_id and s.kind = 'wait' and s.name = send_signal.name and s.state = 'timed_out')
  then
    return false;
  end if;
  select d.redact into v_redact from graphile_worker._private_tasks t join legwork.task_definitions d on d.name = t.identifier
  where t.id = v_job.task_id;
  if v_redact is not null then
    v_shown := legwork.redact(payload, v_redact);
  end if;
  -- Of two that are sent at once the second waits here for the end of the first's transaction.
  insert into legwork.job_signals (job_id, name, payload) values (send_signal.job_id, send_signal.name, v_shown)
  on conflict on constraint job_signals_job_id_name_key do nothing;
  if not found then
    return false;
  end if;
  perform legwork.audit('send_signal', 'job', job_id::text, null, jsonb_build_object('signal', name), legwork.flag_value(v_job.flags, 'tenant'));
  if v_shown is distinct from payload then
    insert into legwork.step_secrets (job_id, kind, name, value) values (send_signal.job_id, 'signal', send_signal.name, send_signal.payload);
  end if;
  return true;
end $$;
comment on function legwork.send_signal(bigint, text, jsonb) is
  'Sends a job the signal that its task waits for (step.waitFor), now or later, with a payload. It counts when the transaction commits; a job that waits for it then '
  'starts. Of each name the first one counts: returns whether this one does; false also when an attempt has found that the wait for it has timed out. '
  'Raises LW404 for an unknown job, LW409 for one that has ended or has had 1,000 signals, LW400 for a bad name, LW413 for a payload over 256 KB.';
revoke execute on function legwork.send_signal(bigint, text, jsonb) from public;

create function legwork.forget_steps() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_before timestamptz := now() - legwork.history_retention();
begin
  delete from legwork.job_steps s
  where s.ctid = any (array(
    select o.ctid from legwork.job_steps o
    where o.recorded_at < v_before
      and not exists (select from graphile_worker._private_jobs j where j.id = o.job_id)
      and not exists (select from legwork.finished_jobs f where f.id = o.job_id)
    limit 10000));
  delete from legwork.job_signals g
  where g.id in (
    select o.id from legwork.job_signals o
    where o.sent_at < v_before
      and not exists (select from graphile_worker._private_jobs j where j.id = o.job_id)
      and not exists (select from legwork.finished_jobs f where f.id = o.job_id)
    limit 10000);
  delete from legwork.step_secrets x where not exists (select from graphile_worker._private_jobs j where j.id = x.job_id);
end $$;
comment on function legwork.forget_steps() is 'Deletes steps and signals of jobs that the history does not show any more. legwork.maintain_history calls it.';
revoke execute on function legwork.forget_steps() from public;

create view legwork.steps as
select
  s.job_id, s.kind, s.name, case when s.state = 'open' then 'waiting' else s.state end as state, s.result, s.attempt, s.started_at,
  case when s.state in ('completed', 'timed_out') then s.recorded_at end as finished_at, s.deadline, s.tenant
from legwork.job_steps s;
comment on view legwork.steps is 'The steps of jobs: what later attempts need not do again, and what jobs wait for. Look up by job_id, order by started_at.';
comment on column legwork.steps.job_id is E'@notNull\nThe job.';
comment on column legwork.steps.kind is E'@notNull\nrun: a function that ran; wait: for a signal; sleep: for a time.';
comment on column legwork.steps.name is E'@notNull\nIts name within the job; of a wait, the name of the signal.';
comment on column legwork.steps.state is E'@notNull\ncompleted: it is not done again. timed_out: no signal had come by its deadline. waiting: it has not come.';
comment on column legwork.steps.result is 'What it returned, or what came with the signal; redacted. Null for nothing.';
comment on column legwork.steps.attempt is E'@notNull\nThe attempt that did it or last asked for it, counted from 1.';
comment on column legwork.steps.started_at is E'@notNull\nWhen it began.';
comment on column legwork.steps.finished_at is 'When it was over; null while it waits.';
comment on column legwork.steps.deadline is 'Until when it waits; null for ever, and for what does not wait.';
comment on column legwork.steps.tenant is 'Whose job it is.';
