-- Jobs that a step of another job has invoked (step.invoke). The job of the step, its parent, is suspended until they have ended.
--
-- Why a step invokes exactly one job, even if workers die: the job is enqueued in the transaction that records its id in the step's row, by the
-- attempt that holds the parent (legwork_private.hold_job). A later attempt finds the id there.
-- Why no end is missed: the transaction that ends a job finds the step by the job's id, which was committed together with the job, and adds a row to
-- legwork_private.child_ends. From there on everything is as for signals (steps.sql): the row is delivered at commit, under the lock of the parent's
-- row, a parent that is being suspended sees the rows that were committed before, and rows of parents that are locked are left to legwork.tick().
-- Rows are only inserted, and never conflict with a row of another transaction, so that the end of a job waits for no other transaction.
-- Locks: none on existing tables.

comment on table legwork_private.child_ends is 'How invoked jobs have ended, for the steps that invoked them.';
comment on column legwork_private.child_ends.child_id is 'The job that was invoked.';
comment on column legwork_private.child_ends.job_id is 'The job whose step has invoked it.';
comment on column legwork_private.child_ends.name is 'The name of the step.';
comment on column legwork_private.child_ends.state is 'How it ended.';
comment on column legwork_private.child_ends.result is 'What it returned, redacted. Null without a result.';
comment on column legwork_private.child_ends.error is 'Its last error, or why it was cancelled or has expired. Null if it has completed.';
comment on column legwork_private.child_ends.ended_at is 'When this was recorded.';
comment on column legwork_private.child_ends.is_delivered is 'Whether the job of the step has been checked since this was recorded.';

create or replace function legwork_private.is_invoked(first bigint, last bigint) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off set enable_bitmapscan = off as $$
begin
  return exists (select from legwork_private.job_steps s where s.child_id between first and last);
end $$;
comment on function legwork_private.is_invoked(bigint, bigint) is 'Whether a step has invoked a job with an id in this range.';

create or replace function legwork_private.record_child_ends(job_ids bigint[]) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
begin
  insert into legwork_private.child_ends as c (child_id, job_id, name, state, result, error)
  select s.child_id, s.job_id, s.name, f.state, f.result, f.error
  from unnest(job_ids) as r (id)
  join legwork_private.job_steps s on s.child_id = r.id and s.state <> 'completed'
  cross join lateral (select h.state, h.result, h.error from legwork_private.finished_jobs h where h.id = r.id limit 1) f
  on conflict on constraint child_ends_pkey do nothing;
end $$;
comment on function legwork_private.record_child_ends(bigint[]) is
  'Records how jobs ended, for the steps that have invoked them. The jobs must already be in the history.';

create or replace function legwork_private.unrecorded_end(child_id bigint)
returns table (state legwork.job_state, result jsonb, error text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select
    coalesce(f.state, case when j.id is null then 'cancelled' else 'failed' end::legwork.job_state),
    f.result,
    coalesce(f.error, case
      when f.state = 'completed' then null
      when j.id is null then 'The job no longer exists.'
      when d.redact is null then j.last_error
      else legwork.redact_text(j.last_error, j.payload, d.redact)
    end)
  from (select 1) one
  left join legwork_private.graphile_jobs j on j.id = unrecorded_end.child_id
  left join legwork_private.graphile_tasks t on t.id = j.task_id
  left join legwork_private.task_definitions d on d.name = t.identifier
  left join lateral (select h.state, h.result, h.error from legwork_private.finished_jobs h where h.id = unrecorded_end.child_id limit 1) f on true
  where j.id is null or j.locked_at is null and j.attempts >= j.max_attempts;
$$;
comment on function legwork_private.unrecorded_end(bigint) is
  'How an invoked job ended if its end was not recorded, because the triggers of the job table were disabled: from the history, or else from its row. No row if it has not ended.';
revoke execute on function legwork_private.unrecorded_end(bigint) from public;

create or replace function legwork_private.reconcile_child_ends() returns table (problem text, job_id bigint)
language plpgsql volatile set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
begin
  return query
    with unrecorded as (
      insert into legwork_private.child_ends as c (child_id, job_id, name, state, result, error)
      select s.child_id, s.job_id, s.name, f.state, f.result, f.error
      from legwork_private.job_steps s
      cross join lateral legwork_private.unrecorded_end(s.child_id) f
      where s.child_id is not null and s.state = 'waiting'
        and not exists (select from legwork_private.child_ends e where e.child_id = s.child_id)
        and exists (select from legwork_private.graphile_jobs p where p.id = s.job_id and p.attempts < p.max_attempts)
      on conflict on constraint child_ends_pkey do nothing
      returning c.child_id
    )
    select 'an invoked job whose end was not recorded'::text, u.child_id from unrecorded u;
end $$;
comment on function legwork_private.reconcile_child_ends() is
  'The part of legwork.reconcile that records the ends of invoked jobs that were not recorded, because the triggers of the job table were disabled, so that the jobs whose steps wait for them continue.';
revoke execute on function legwork_private.reconcile_child_ends() from public;

create or replace function legwork_private.deliver_child_ends(to_job bigint default null) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_end record;
  v_job legwork_private.graphile_jobs;
  v_delivered bigint[] := '{}';
  v_woken integer := 0;
  v_all boolean := true;
begin
  for v_end in
    select e.job_id, array_agg(e.child_id) as children
    from (
      select c.job_id, c.child_id from legwork_private.child_ends c
      where not c.is_delivered and (c.job_id = to_job or to_job is null
        and not exists (select from legwork_private.set_aside a where a.what = 'child' and a.item = c.job_id::text))
      order by c.child_id limit 1000 for update skip locked
    ) e
    group by e.job_id order by e.job_id
  loop
    select * into v_job from legwork_private.graphile_jobs j where j.id = v_end.job_id for update skip locked;
    if v_job.id is null and exists (select from legwork_private.graphile_jobs j where j.id = v_end.job_id) then
      v_all := false;
      continue;
    end if;
    v_delivered := v_delivered || v_end.children;
    -- A running job checks for itself, at the latest when it is suspended.
    if v_job.locked_at is null and exists (
      select from legwork_private.job_steps s
      where s.job_id = v_job.id and s.child_id = any (v_end.children) and s.state = 'waiting'
        and s.wake_at = case when v_job.run_at = 'infinity'
          then (select w.run_at from legwork_private.waiting_jobs w where w.job_id = v_job.id) else v_job.run_at end)
    then
      v_woken := v_woken + legwork_private.resume_suspended(v_job);
    end if;
  end loop;
  if v_delivered <> '{}' then
    update legwork_private.child_ends c set is_delivered = true where c.child_id = any (v_delivered);
  end if;
  if v_woken > 0 then
    perform legwork_private.wake_workers(v_woken);
  end if;
  return v_all;
end $$;
comment on function legwork_private.deliver_child_ends(bigint) is
  'Lets jobs start whose invoked jobs have ended: handles the invoked jobs of one job, or a thousand in total. Skips jobs whose rows other sessions have locked, and returns false if it skipped any.';
revoke execute on function legwork_private.deliver_child_ends(bigint) from public;

create or replace function legwork_private.tg_child_ends__deliver() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- Other isolation levels may not see the current rows. In that case, workers deliver the row.
  if current_setting('transaction_isolation') <> 'read committed' or not legwork_private.deliver_child_ends(new.job_id) then
    perform pg_notify('legwork', '{"wakeups":true}');
  end if;
  return null;
end $$;
comment on function legwork_private.tg_child_ends__deliver() is 'Delivers the end of an invoked job at the end of the transaction in which it ended, or notifies a worker to do it.';
revoke execute on function legwork_private.tg_child_ends__deliver() from public;

create constraint trigger _legwork_deliver after insert on legwork_private.child_ends
  deferrable initially deferred for each row execute function legwork_private.tg_child_ends__deliver();

create or replace function legwork_private.invoke_step(
  job_id bigint, worker text, attempt integer, name text, in_group text default null, new_child bigint default null,
  out state text, out result text, out error text, out child_id bigint, out child_state legwork.job_state
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
  v_job legwork_private.graphile_jobs := legwork_private.hold_job(job_id, worker, attempt);
  v_step legwork_private.job_steps;
  v_end legwork_private.child_ends;
  v_redact text[];
  v_shown jsonb;
begin
  if v_job.id is null then
    invoke_step.state := 'lost';
    return;
  end if;
  if new_child is not null then
    insert into legwork_private.job_steps as s (job_id, kind, name, state, attempt, started_at, in_group, child_id, tenant)
    values (invoke_step.job_id, 'invoke', invoke_step.name, 'waiting', invoke_step.attempt, clock_timestamp(), invoke_step.in_group, new_child,
      legwork_private.flag_value(v_job.flags, 'tenant'))
    on conflict on constraint job_steps_pkey do update set
      state = 'waiting', attempt = excluded.attempt, started_at = excluded.started_at, recorded_at = clock_timestamp(), in_group = excluded.in_group,
      child_id = excluded.child_id, child_state = null, error = null, result = null;
    invoke_step.state := 'waiting';
    invoke_step.child_id := new_child;
    return;
  end if;
  select * into v_step from legwork_private.job_steps s where s.job_id = invoke_step.job_id and s.kind = 'invoke' and s.name = invoke_step.name;
  if v_step.child_id is null then
    invoke_step.state := 'new';
    return;
  end if;
  select * into v_end from legwork_private.child_ends c where c.child_id = v_step.child_id;
  if v_end.child_id is null and not exists (
    select from legwork_private.graphile_jobs j where j.id = v_step.child_id and (j.locked_at is not null or j.attempts < j.max_attempts))
  then
    -- It has ended between the two statements, or its end was not recorded: the triggers of the table were disabled.
    select * into v_end from legwork_private.child_ends c where c.child_id = v_step.child_id;
    if v_end.child_id is null then
      select u.state, u.result, u.error into v_end.state, v_end.result, v_end.error from legwork_private.unrecorded_end(v_step.child_id) u;
    end if;
  end if;
  -- Values that the parent's task redacts are also redacted in its steps.
  select d.redact into v_redact from legwork_private.graphile_tasks t join legwork_private.task_definitions d on d.name = t.identifier
  where t.id = v_job.task_id;
  v_shown := case when v_redact is null then v_end.result else legwork.redact(v_end.result, v_redact) end;
  update legwork_private.job_steps s set
    state = case when v_end.state is null then 'waiting' when v_end.state = 'completed' then 'completed' else 'failed' end,
    result = v_shown, error = v_end.error, child_state = v_end.state, attempt = invoke_step.attempt, recorded_at = clock_timestamp(), in_group = invoke_step.in_group
  where s.job_id = invoke_step.job_id and s.kind = 'invoke' and s.name = invoke_step.name
  returning s.state, s.result::text, s.error, s.child_id, s.child_state
  into invoke_step.state, invoke_step.result, invoke_step.error, invoke_step.child_id, invoke_step.child_state;
  if v_end.state = 'completed' then
    if v_shown is distinct from v_end.result then
      insert into legwork_private.step_secrets (job_id, kind, name, value) values (invoke_step.job_id, 'invoke', invoke_step.name, v_end.result)
      on conflict on constraint step_secrets_pkey do update set value = v_end.result;
      invoke_step.result := v_end.result::text;
    end if;
  end if;
end $$;
comment on function legwork_private.invoke_step(bigint, text, integer, text, text, bigint) is
  'Begins or checks a step that invokes a job. state is new, and then the caller enqueues the job in this transaction and calls this again with its id as new_child; waiting, and then the attempt must be '
  'suspended; completed, with the job''s result; failed, with its error and child_state; or lost, if this attempt no longer runs on this worker. in_group: as in legwork_private.job_steps.';
revoke execute on function legwork_private.invoke_step(bigint, text, integer, text, text, bigint) from public;

create or replace function legwork_private.reopen_invoked(parent_id bigint) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  -- An invoked job that has itself been retried is still awaited, and its result is used if it has completed.
  update legwork_private.job_steps s set
    state = 'open', error = null, child_state = null,
    child_id = case when exists (
        select from legwork_private.graphile_jobs j where j.id = s.child_id and (j.locked_at is not null or j.attempts < j.max_attempts))
      or exists (select from legwork_private.child_ends c where c.child_id = s.child_id and c.state = 'completed')
      then s.child_id end
  where s.job_id = parent_id and s.kind = 'invoke' and s.state = 'failed';
end $$;
comment on function legwork_private.reopen_invoked(bigint) is
  'Prepares the steps of a failed job that is being retried: a step whose invoked job did not complete invokes another one.';
revoke execute on function legwork_private.reopen_invoked(bigint) from public;

create or replace function legwork_private.cancel_children(parent_ids bigint[]) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_parent record;
  v_reason text;
  v_done bigint[];
begin
  for v_parent in
    select s.job_id, array_agg(s.child_id order by s.child_id) as children
    from legwork_private.job_steps s
    where s.job_id = any (parent_ids) and s.kind = 'invoke' and s.state in ('waiting', 'open') and s.child_id is not null
    group by s.job_id order by s.job_id
  loop
    v_reason := format('Cancelled because job %s, which has invoked it, was cancelled.', v_parent.job_id);
    v_done := legwork_private.cancel_live(v_parent.children, v_reason);
    -- A job whose row is locked is just being fetched: its worker stops it.
    with locked as (
      insert into legwork_private.cancellations (job_id, reason)
      select j.id, v_reason from legwork_private.graphile_jobs j
      where j.id = any (v_parent.children) and j.id <> all (v_done) and (j.locked_at is not null or j.attempts < j.max_attempts)
      on conflict do nothing
      returning job_id
    )
    select count(pg_notify('legwork', json_build_object('cancelled', l.job_id::text)::text)) into v_parent from locked l;
  end loop;
end $$;
comment on function legwork_private.cancel_children(bigint[]) is 'Cancels the jobs that the steps of these cancelled jobs have invoked and wait for.';
revoke execute on function legwork_private.cancel_children(bigint[]) from public;
