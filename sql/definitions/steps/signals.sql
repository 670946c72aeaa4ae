-- The reading side. Each view is shaped for its plan: a branch of a union is merged in order only if it is one table
-- without joins and without a where, so look-ups are scalar subqueries and the one condition stands outside the union.

-- A function that a view calls has the rights of the role that reads, not those of the view's owner. So one that reads a table has its owner's rights and is
-- granted to legwork_reader. Written out in the view it would be a subquery for every row, at a cost that makes Postgres compile the first page.
create or replace function legwork_private.awaits_signal(job_id bigint, run_at timestamptz) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from legwork_private.job_steps s
    where s.job_id = awaits_signal.job_id and s.kind = 'wait' and s.state = 'waiting' and s.wake_at = awaits_signal.run_at
      and (legwork_private.confined_tenant() is null or s.tenant = legwork_private.confined_tenant()));
end $$;
comment on function legwork_private.awaits_signal(bigint, timestamptz) is 'Whether a job with this run_at ahead has it because it waits for a signal. For the views that say so.';
revoke execute on function legwork_private.awaits_signal(bigint, timestamptz) from public;
comment on table legwork_private.job_signals is 'The signals that were sent to jobs: of each name the first, which is the one that counts.';
comment on column legwork_private.job_signals.id is 'In the order they were sent.';
comment on column legwork_private.job_signals.job_id is 'The job.';
comment on column legwork_private.job_signals.name is 'What the job waits for.';
comment on column legwork_private.job_signals.payload is 'What came with it; redacted. Null for nothing.';
comment on column legwork_private.job_signals.sent_by is 'Who sent it: the database role, or for whom the server did.';
comment on column legwork_private.job_signals.sent_at is 'When.';
comment on column legwork_private.job_signals.is_delivered is 'Whether the job has been looked at since: if it waited for this, it may start.';

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
    -- One that runs looks for itself, at the latest as it is put back.
    if v_job.locked_at is null and exists (
      select from legwork_private.job_steps s
      where s.job_id = v_job.id and s.kind = 'wait' and s.name = v_signal.name and s.state = 'waiting'
        and s.wake_at = case when v_job.run_at = 'infinity'
          then (select w.run_at from legwork_private.waiting_jobs w where w.job_id = v_job.id) else v_job.run_at end)
    then
      -- Limits and pauses hold it from here as they do a new job: the trigger _legwork_record_change sends it to the waiting room.
      update legwork_private.graphile_jobs j set run_at = clock_timestamp() where j.id = v_job.id;
      v_woken := v_woken + 1;
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
  'Lets jobs start that wait for signals which have come, those of one job or a thousand of all. Passes over jobs whose rows others hold; returns whether there was none.';
revoke execute on function legwork_private.deliver_signals(bigint) from public;

create or replace function legwork_private.tg_job_signals__deliver() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- Another isolation level would not see what it has to look at. Workers come and do it.
  if current_setting('transaction_isolation') <> 'read committed' or not legwork_private.deliver_signals(new.job_id) then
    perform pg_notify('legwork', '{"wakeups":true}');
  end if;
  return null;
end $$;
comment on function legwork_private.tg_job_signals__deliver() is 'At the end of a transaction that has sent a signal: delivers it, or tells a worker to.';
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
    raise exception 'A signal''s name has 1 to 200 characters%.',
      case when name is null then '' when name in ('.', '..') then ' and is not . or ..' else ', not ' || length(name) end using
      errcode = 'LW400', hint = 'It is the name that the task waits for, as in step.waitFor("approval").';
  elsif octet_length(payload::text) > 262144 then
    raise exception 'A signal''s payload has at most 256 KB, not % bytes.', octet_length(payload::text) using
      errcode = 'LW413', hint = 'Keep it in a table and send its id.';
  end if;
  select * into v_job from legwork_private.graphile_jobs j where j.id = send_signal.job_id;
  if v_job.id is null or (v_job.locked_at is null and v_job.attempts >= v_job.max_attempts) then
    v_state := legwork_private.assert_job(job_id);
    raise exception 'Job % has already ended: it is %.', job_id, v_state using
      errcode = 'LW409', hint = case when v_state = 'failed' then 'legwork.retry_job gives it another chance.' else 'What has ended waits for nothing.' end;
  elsif (select count(*) from legwork_private.job_signals g where g.job_id = send_signal.job_id) >= 1000 then
    raise exception 'Job % has been sent 1000 signals.', job_id using errcode = 'LW409', hint = 'Send a signal to the job that waits for it, once.';
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
  -- Of two that are sent at once the second waits here for the end of the first's transaction.
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
  'Sends a job the signal that its task waits for (step.waitFor), now or later, with a payload. It counts when the transaction commits; a job that waits for it then '
  'starts. Of each name the first one counts: returns whether this one does; false also when an attempt has found that the wait for it has timed out. '
  'Raises LW404 for an unknown job, LW409 for one that has ended or has had 1,000 signals, LW400 for a bad name, LW413 for a payload over 256 KB.';
revoke execute on function legwork.send_signal(bigint, text, jsonb) from public;
