-- Signals that jobs wait for. First a function for the views of jobs.
--
-- The views are written for their plans: Postgres merges the branches of a union in order only if each is a single table without joins and
-- conditions.
-- So lookups are scalar subqueries, and the only condition is outside the union.

-- A function that a view calls runs with the rights of the role that reads the view, not of the view's owner. So a function that reads a table is a
-- security definer and is granted to legwork_reader. Inlined in the view, it would be a subquery for every row, whose cost would make Postgres use
-- JIT compilation for the first page.
create or replace function legwork_private.awaits_signal(job_id bigint, run_at timestamptz) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from legwork_private.job_steps s
    where s.job_id = awaits_signal.job_id and s.kind in ('wait', 'invoke') and s.state = 'waiting' and s.wake_at = awaits_signal.run_at
      and (legwork_private.confined_tenant() is null or s.tenant = legwork_private.confined_tenant()));
end $$;
comment on function legwork_private.awaits_signal(bigint, timestamptz) is 'Whether a job has this run_at in the future because it waits for a signal or for a job that it has invoked. For the views of jobs.';
revoke execute on function legwork_private.awaits_signal(bigint, timestamptz) from public;
comment on table legwork_private.job_signals is 'The signals that were sent to jobs: only the first one of each name. Later ones have no effect.';
comment on column legwork_private.job_signals.id is 'A sequence number that gives the order in which the signals were sent.';
comment on column legwork_private.job_signals.job_id is 'The job.';
comment on column legwork_private.job_signals.name is 'The name for which the job waits.';
comment on column legwork_private.job_signals.payload is 'The signal''s payload, redacted. Null if it has none.';
comment on column legwork_private.job_signals.sent_by is 'The actor who sent it, as in the audit log.';
comment on column legwork_private.job_signals.sent_at is 'When it was sent.';
comment on column legwork_private.job_signals.is_delivered is 'Whether the job has been checked since the signal was sent. If it was waiting for the signal, it may now start.';

create or replace function legwork_private.resume_suspended(job legwork_private.graphile_jobs) returns integer
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_wake_at timestamptz := legwork_private.suspend_job(job.id);
begin
  -- Limits and pauses apply to it as to a new job: the trigger _legwork_record_change sends it to the waiting room.
  update legwork_private.graphile_jobs j set run_at = v_wake_at where j.id = job.id and j.run_at <> v_wake_at;
  return case when v_wake_at <= clock_timestamp() then 1 else 0 end;
end $$;
comment on function legwork_private.resume_suspended(legwork_private.graphile_jobs) is
  'Decides again when a suspended job starts, because something that it waits for has arrived. The caller has locked its row. Returns 1 if it may start now, and 0 otherwise.';
revoke execute on function legwork_private.resume_suspended(legwork_private.graphile_jobs) from public;

create or replace function legwork_private.deliver_signals(to_job bigint default null) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_signal legwork_private.job_signals;
  v_job legwork_private.graphile_jobs;
  v_delivered bigint[] := '{}';
  v_woken integer := 0;
  v_all boolean := true;
begin
  for v_signal in
    select * from legwork_private.job_signals g
    where not g.is_delivered and (g.job_id = to_job or to_job is null
      and not exists (select from legwork_private.set_aside a where a.what = 'signal' and a.item = g.job_id::text))
    order by g.id limit 1000
    for update skip locked
  loop
    select * into v_job from legwork_private.graphile_jobs j where j.id = v_signal.job_id for update skip locked;
    if v_job.id is null and exists (select from legwork_private.graphile_jobs j where j.id = v_signal.job_id) then
      v_all := false;
      continue;
    end if;
    v_delivered := v_delivered || v_signal.id;
    -- A running job checks for signals itself, at the latest when it is suspended.
    if v_job.locked_at is null and exists (
      select from legwork_private.job_steps s
      where s.job_id = v_job.id and s.kind = 'wait' and s.name = v_signal.name and s.state = 'waiting'
        and s.wake_at = case when v_job.run_at = 'infinity'
          then (select w.run_at from legwork_private.waiting_jobs w where w.job_id = v_job.id) else v_job.run_at end)
    then
      v_woken := v_woken + legwork_private.resume_suspended(v_job);
    end if;
  end loop;
  if v_delivered <> '{}' then
    update legwork_private.job_signals g set is_delivered = true where g.id = any (v_delivered);
  end if;
  if v_woken > 0 then
    perform legwork_private.wake_workers(v_woken);
  end if;
  return v_all;
end $$;
comment on function legwork_private.deliver_signals(bigint) is
  'Lets jobs start whose signals have arrived: handles the signals of one job, or a thousand signals of all jobs. Skips jobs whose rows other sessions have locked, and returns false if it skipped any.';
revoke execute on function legwork_private.deliver_signals(bigint) from public;

create or replace function legwork_private.tg_job_signals__deliver() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- Other isolation levels may not see the current rows. In that case, workers deliver the signal.
  if current_setting('transaction_isolation') <> 'read committed' or not legwork_private.deliver_signals(new.job_id) then
    perform pg_notify('legwork', '{"wakeups":true}');
  end if;
  return null;
end $$;
comment on function legwork_private.tg_job_signals__deliver() is 'Delivers a signal at the end of the transaction that has sent it, or notifies a worker to do it.';
revoke execute on function legwork_private.tg_job_signals__deliver() from public;

create constraint trigger _legwork_deliver after insert on legwork_private.job_signals
  deferrable initially deferred for each row execute function legwork_private.tg_job_signals__deliver();

create or replace function legwork.send_signal(job_id bigint, name text, payload jsonb default null) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_job legwork_private.graphile_jobs;
  v_state legwork.job_state;
  v_redact text[];
  v_shown jsonb := payload;
begin
  perform legwork_private.assert_role('operator');
  perform legwork_private.assert_visible(job_id);
  if name is null or length(name) not between 1 and 200 or name in ('.', '..') then
    raise exception 'The name of a signal must have 1 to 200 characters%.',
      case when name is null then '' when name in ('.', '..') then ' and must not be ''.'' or ''..''' else '; this one has ' || length(name) end using
      errcode = 'LW400', hint = 'It is the name for which the task waits, as in step.waitFor("approval").';
  elsif octet_length(payload::text) > 262144 then
    raise exception 'The payload of the signal has %; the maximum is 256 KB.', legwork_private.counted(octet_length(payload::text), 'byte') using
      errcode = 'LW413', hint = 'Store it in a table and send its id.';
  end if;
  select * into v_job from legwork_private.graphile_jobs j where j.id = send_signal.job_id;
  if v_job.id is null or (v_job.locked_at is null and v_job.attempts >= v_job.max_attempts) then
    v_state := legwork_private.assert_job(job_id);
    raise exception 'Job % has already ended: it is %.', job_id, v_state using
      errcode = 'LW409', detail = jsonb_strip_nulls(jsonb_build_object('state', v_state, 'do', case v_state when 'failed' then 'retry_job' end, 'id', job_id)),
      hint = case when v_state = 'failed' then '`select legwork.retry_job(' || job_id || ')` retries it.' else 'A job that has ended cannot receive signals.' end;
  elsif (select count(*) from legwork_private.job_signals g where g.job_id = send_signal.job_id) >= 1000 then
    raise exception 'Job % has already received 1,000 signals.', job_id using errcode = 'LW409', hint = 'Send each signal once, to the job that waits for it.';
  elsif exists (select from legwork_private.job_steps s
    where s.job_id = send_signal.job_id and s.kind = 'wait' and s.name = send_signal.name and s.state = 'timed_out')
  then
    return false;
  end if;
  select d.redact into v_redact from legwork_private.graphile_tasks t join legwork_private.task_definitions d on d.name = t.identifier
  where t.id = v_job.task_id;
  if v_redact is not null then
    v_shown := legwork.redact(payload, v_redact);
  end if;
  -- If two signals are sent at once, the second waits here until the first one's transaction has ended.
  insert into legwork_private.job_signals (job_id, name, payload) values (send_signal.job_id, send_signal.name, v_shown)
  on conflict on constraint job_signals_job_id_name_key do nothing;
  if not found then
    return false;
  end if;
  perform legwork_private.audit('send_signal', 'job', job_id::text, null, jsonb_build_object('signal', name), legwork_private.flag_value(v_job.flags, 'tenant'));
  if v_shown is distinct from payload then
    insert into legwork_private.step_secrets (job_id, kind, name, value) values (send_signal.job_id, 'signal', send_signal.name, send_signal.payload);
  end if;
  return true;
end $$;
comment on function legwork.send_signal(bigint, text, jsonb) is
  'Sends a job a signal, with a payload, that its task waits for (step.waitFor) now or later. The signal takes effect when the transaction commits; a job that waits for it then '
  'starts. Only the first signal of each name counts. Returns whether this signal counts: false if it is not the first, or if an attempt has already found that the wait had timed out. '
  'Raises LW404 for an unknown job, LW409 for a job that has ended or has already received 1,000 signals, LW400 for an invalid name, and LW413 for a payload over 256 KB.';
revoke execute on function legwork.send_signal(bigint, text, jsonb) from public;
