-- Cancelling, retrying and discarding jobs, one or all that match.

create table legwork.cancellations (
  job_id bigint primary key,
  reason text not null,
  cancelled_by text not null default session_user,
  cancelled_at timestamptz not null default clock_timestamp()
);
comment on table legwork.cancellations is 'Jobs that were cancelled while they ran: their worker is told, and what then fails is not retried.';
comment on column legwork.cancellations.job_id is 'The job.';
comment on column legwork.cancellations.reason is 'What its history will say.';
comment on column legwork.cancellations.cancelled_by is 'Who cancelled it: the database role, or whom the server acted for.';
comment on column legwork.cancellations.cancelled_at is 'When.';
alter table legwork.cancellations enable row level security;

create function legwork.cancelled_jobs(job_ids bigint[]) returns setof bigint
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select c.job_id from legwork.cancellations c where c.job_id = any (cancelled_jobs.job_ids);
end;
comment on function legwork.cancelled_jobs(bigint[]) is
  'Which of these jobs were cancelled while they ran. A worker asks when a notification says that there is something to hear: notifications themselves can come from any login.';
revoke execute on function legwork.cancelled_jobs(bigint[]) from public;

create function legwork.assert_job(job_id bigint) returns legwork.job_state
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_state legwork.job_state;
begin
  select j.state into v_state from legwork.all_jobs j
  where j.id = assert_job.job_id and (legwork.confined_tenant() is null or j.tenant = legwork.confined_tenant());
  if v_state is null then
    raise exception 'There is no job %.', coalesce(job_id::text, 'null') using
      errcode = 'LW404', hint = 'Finished jobs are kept for the setting history_retention.';
  end if;
  return v_state;
end $$;
comment on function legwork.assert_job(bigint) is 'A job''s state. Raises LW404 for an unknown job, and for one of another tenant than the session is confined to.';

create function legwork.cancel_locked(job graphile_worker._private_jobs, reason text) returns legwork.job_state
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  if job.locked_at is null then
    perform set_config('legwork.ended_as', 'cancelled', true), set_config('legwork.end_reason', reason, true);
    delete from graphile_worker._private_jobs j where j.id = job.id;
    perform set_config('legwork.ended_as', '', true), set_config('legwork.end_reason', '', true);
    return 'cancelled';
  end if;
  insert into legwork.cancellations (job_id, reason) values (job.id, cancel_locked.reason) on conflict do nothing;
  -- Its worker reads the row and aborts the job's signal. One that does not hear this reads it with its next beat.
  perform pg_notify('legwork', json_build_object('cancelled', job.id::text)::text);
  return 'running';
end $$;
comment on function legwork.cancel_locked(graphile_worker._private_jobs, text) is
  'Cancels a job that has not ended and whose row the caller has locked, whoever asks for it. Returns cancelled, or running while its worker is being told.';

create function legwork.cancel_job(job_id bigint, reason text default null) returns legwork.job_state
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_job graphile_worker._private_jobs;
  v_state legwork.job_state;
  v_reason text := 'Cancelled by ' || legwork.who() || coalesce(': ' || nullif(reason, ''), '.');
begin
  perform legwork.assert_may('operator');
  perform legwork.assert_visible(job_id);
  -- The row's lock decides between this and a worker that is just fetching it.
  select * into v_job from graphile_worker._private_jobs j where j.id = cancel_job.job_id for update;
  if v_job.id is null or (v_job.locked_at is null and v_job.attempts >= v_job.max_attempts) then
    v_state := legwork.assert_job(job_id);
    if v_state = 'cancelled' then
      return v_state;
    end if;
    raise exception 'Job % has already ended: it is %.', job_id, v_state using
      errcode = 'LW409',
      hint = case when v_state = 'failed' then 'legwork.discard_job throws a failed job away.' else 'What has ended stays as it is.' end;
  end if;
  perform legwork.audit('cancel_job', 'job', job_id::text, jsonb_build_object('state', legwork.assert_job(job_id)),
    jsonb_build_object('state', case when v_job.locked_at is null then 'cancelled' else 'running' end, 'reason', v_reason),
    legwork.flag_value(v_job.flags, 'tenant'));
  return legwork.cancel_locked(v_job, v_reason);
end $$;
comment on function legwork.cancel_job(bigint, text) is
  'Cancels a job. One that waits never starts. One that runs is told to stop: its signal aborts within a second, and it is not retried; should it complete '
  'all the same, it has completed. Returns cancelled, or running while its worker is being told. Raises LW404 for an unknown job and LW409 for one '
  'that has ended.';

create function legwork.without_expiry(flags jsonb) returns jsonb
language sql immutable parallel safe
return case when legwork.flag_value(flags, 'expires') is null then flags
  else nullif(flags - array(select f from jsonb_object_keys(flags) f where f like 'expires:%'), '{}') end;
comment on function legwork.without_expiry(jsonb) is 'A job''s flags without the time it expires at: who retries a job wants it to run.';

create function legwork.retry_job(job_id bigint) returns legwork.job_state
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_job graphile_worker._private_jobs;
  v_state legwork.job_state;
begin
  perform legwork.assert_may('operator');
  perform legwork.assert_visible(job_id);
  select * into v_job from graphile_worker._private_jobs j where j.id = retry_job.job_id for update;
  if v_job.id is null then
    v_state := legwork.assert_job(job_id);
    raise exception 'Job % cannot be retried: it is %.', job_id, v_state using
      errcode = 'LW409', hint = 'Only failed jobs are kept for a retry. Enqueue it again.';
  end if;
  if v_job.locked_at is not null then
    raise exception 'Job % cannot be retried: it is running.', job_id using errcode = 'LW409', hint = 'Wait for its end, or cancel it.';
  end if;
  v_state := legwork.assert_job(job_id);
  -- What it sleeps for is over; a signal it still has to wait for.
  if v_job.attempts < v_job.max_attempts then
    update legwork.job_steps s set state = 'completed', recorded_at = clock_timestamp()
    where s.job_id = retry_job.job_id and s.kind = 'sleep' and s.state = 'waiting';
  end if;
  update graphile_worker._private_jobs j
  set attempts = case when j.attempts >= j.max_attempts then 0 else j.attempts end, run_at = now(), updated_at = now(),
    revision = j.revision + 1, flags = legwork.without_expiry(j.flags)
  where j.id = retry_job.job_id;
  perform legwork.wake_workers(1);
  perform legwork.audit('retry_job', 'job', job_id::text, jsonb_build_object('state', v_state, 'attempts', v_job.attempts),
    jsonb_build_object('state', legwork.assert_job(job_id)), legwork.flag_value(v_job.flags, 'tenant'));
  return legwork.assert_job(job_id);
end $$;
comment on function legwork.retry_job(bigint) is
  'Lets a job start now: a failed one gets all its attempts again, one that waits for its time or its next attempt waits no more for that, and one that sleeps in a step '
  'goes on after it. One that waits for a signal runs what stands before the wait again, and waits on: send_signal lets it go on. Limits and pauses still hold it back. Returns its state. Raises LW404 for an unknown job, LW409 for one that runs or has ended otherwise than failed.';

create function legwork.discard_job(job_id bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_state legwork.job_state;
  v_flags jsonb;
begin
  perform legwork.assert_may('operator');
  perform legwork.assert_visible(job_id);
  delete from graphile_worker._private_jobs j
  where j.id = discard_job.job_id and j.locked_at is null and j.attempts >= j.max_attempts
  returning j.flags into v_flags;
  if not found then
    v_state := legwork.assert_job(job_id);
    if v_state = 'failed' then
      return;
    end if;
    raise exception 'Job % has not failed: it is %.', job_id, v_state using errcode = 'LW409', hint = 'legwork.cancel_job ends a job that has not ended.';
  end if;
  perform legwork.audit('discard_job', 'job', job_id::text, '{"state": "failed"}', '{"state": "failed"}', legwork.flag_value(v_flags, 'tenant'));
end $$;
comment on function legwork.discard_job(bigint) is
  'Gives up a failed job: it cannot be retried any more and stays in the history as failed. Raises LW404 for an unknown job, LW409 for one that has not failed.';
revoke execute on function legwork.cancel_job(bigint, text), legwork.retry_job(bigint), legwork.discard_job(bigint) from public;

create function legwork.is_job_id(value jsonb) returns boolean
language sql immutable parallel safe
return case when (value #>> '{}') ~ '^\d{1,19}$' then (value #>> '{}')::numeric <= 9223372036854775807 else false end;
comment on function legwork.is_job_id(jsonb) is 'Whether a JSON number or text can be the id of a job.';
revoke execute on function legwork.is_job_id(jsonb) from public;

create function legwork.assert_job_filter(filter jsonb, fields text[], example text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_field text;
begin
  if filter is null or jsonb_typeof(filter) <> 'object' then
    raise exception 'A filter is an object, not %.', coalesce(jsonb_typeof(filter), 'null') using errcode = 'LW400', hint = format('For example %s.', example);
  end if;
  select k into v_field from jsonb_object_keys(filter) k where k <> all (fields) limit 1;
  if v_field is not null then
    raise exception 'A filter has no field ''%''.', left(v_field, 100) using errcode = 'LW400',
      hint = format('The fields are %s and %s.', array_to_string(fields[:cardinality(fields) - 1], ', '), fields[cardinality(fields)]);
  end if;
  select f.key into v_field from jsonb_each(filter) f where jsonb_typeof(f.value) not in ('string', 'null') and f.key not in ('ids', 'parent_id') limit 1;
  if v_field is not null then
    raise exception '% is of type %; it must be text.', v_field, jsonb_typeof(filter -> v_field) using errcode = 'LW400', hint = format('For example %s.', example);
  end if;
  if filter -> 'ids' is not null and (jsonb_typeof(filter -> 'ids') <> 'array' or exists (
    select from jsonb_array_elements(case when jsonb_typeof(filter -> 'ids') = 'array' then filter -> 'ids' end) x where not legwork.is_job_id(x)))
  then
    raise exception 'ids is %; it must be a list of job ids.', left((filter -> 'ids')::text, 100) using errcode = 'LW400', hint = 'For example {"ids": [17, 18]}.';
  end if;
  if filter ->> 'parent_id' is not null and not legwork.is_job_id(filter -> 'parent_id') then
    raise exception 'parent_id is %; it must be a job id.', left(filter ->> 'parent_id', 100) using errcode = 'LW400', hint = 'For example {"parent_id": 17}.';
  end if;
  if filter ->> 'state' is not null and filter ->> 'state' <> all (enum_range(null::legwork.job_state)::text[]) then
    raise exception 'There is no state ''%''.', left(filter ->> 'state', 100) using errcode = 'LW400',
      hint = format('The states are %s.', array_to_string(enum_range(null::legwork.job_state)::text[], ', '));
  end if;
  perform legwork.read_time(f.key, f.value) from jsonb_each_text(filter) f where f.key in ('created_after', 'created_before', 'failed_after', 'failed_before');
  if filter ->> 'task' is not null then
    perform legwork.assert_task(filter ->> 'task');
  end if;
  if filter ->> 'queue' is not null then
    perform legwork.assert_target('queue', filter ->> 'queue');
  end if;
end $$;
comment on function legwork.assert_job_filter(jsonb, text[], text) is
  'Does nothing for an object of these fields whose values can be compared with jobs. Raises LW400, naming the field and its value, for any other; LW404 for an unknown task or queue.';
revoke execute on function legwork.assert_job_filter(jsonb, text[], text) from public;

create function legwork.failed_jobs_like(filter jsonb) returns setof bigint
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_tenant text := legwork.confined_tenant();
begin
  perform legwork.assert_may('operator');
  perform legwork.assert_job_filter(filter, array['ids', 'task', 'queue', 'tenant', 'fingerprint', 'error', 'failed_after', 'failed_before'],
    '{"task": "notify/email"}; {} is every failed job');
  return query
    select f.id
    from legwork.finished_jobs f
    where f.state = 'failed'
      and (filter -> 'ids' is null or f.id in (select x::bigint from jsonb_array_elements_text(filter -> 'ids') x))
      and (filter ->> 'task' is null or f.task = filter ->> 'task')
      and (filter ->> 'queue' is null or f.queue = filter ->> 'queue')
      and (filter ->> 'tenant' is null or f.tenant = filter ->> 'tenant')
      and (v_tenant is null or f.tenant = v_tenant)
      and (filter ->> 'fingerprint' is null or f.fingerprint = filter ->> 'fingerprint')
      and (filter ->> 'error' is null or strpos(lower(f.error), lower(filter ->> 'error')) > 0)
      and (filter ->> 'failed_after' is null or f.finished_at >= (filter ->> 'failed_after')::timestamptz)
      and (filter ->> 'failed_before' is null or f.finished_at < (filter ->> 'failed_before')::timestamptz)
      -- Those that were discarded are in the history only.
      and exists (select from graphile_worker._private_jobs j where j.id = f.id and j.locked_at is null and j.attempts >= j.max_attempts)
    order by f.id;
end $$;
comment on function legwork.failed_jobs_like(jsonb) is
  'The failed jobs that a filter names and that can be retried, oldest first: an object of ids, task, queue, tenant, fingerprint (see failed_groups), error (a part of the message), '
  'failed_after, failed_before; all that are given must fit. Raises LW400 for a field that does not exist, LW404 for an unknown task or queue.';

create function legwork.retry_jobs(filter jsonb, preview boolean default false, at_most integer default 10000) returns setof bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_ids bigint[] := array(select x from legwork.failed_jobs_like(filter) x limit at_most);
begin
  if preview then
    return query select unnest(v_ids);
    return;
  end if;
  -- Whoever retries one of them at the same moment has its row; it is passed over.
  v_ids := array(
    select j.id from graphile_worker._private_jobs j
    where j.id = any (v_ids) and j.locked_at is null and j.attempts >= j.max_attempts order by j.id for update skip locked);
  update graphile_worker._private_jobs j 
  set attempts = 0, run_at = now(), updated_at = now(), revision = j.revision + 1, flags = legwork.without_expiry(j.flags)
  where j.id = any (v_ids);
  perform legwork.wake_workers(cardinality(v_ids));
  perform legwork.audit('retry_jobs', 'jobs', null, '{"state": "failed"}', jsonb_build_object('filter', filter), filter ->> 'tenant', cardinality(v_ids));
  return query select unnest(v_ids);
end $$;
comment on function legwork.retry_jobs(jsonb, boolean, integer) is
  'Retries the failed jobs that a filter names, as retry_job does, at most 10,000 at a time, and returns their ids. With preview => true it only returns which ones it would retry. '
  'The filter and its errors are those of failed_jobs_like.';

create function legwork.discard_jobs(filter jsonb, preview boolean default false, at_most integer default 10000) returns setof bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_ids bigint[] := array(select x from legwork.failed_jobs_like(filter) x limit at_most);
begin
  if preview then
    return query select unnest(v_ids);
    return;
  end if;
  with gone as (
    delete from graphile_worker._private_jobs j
    where j.id = any (array(
      select k.id from graphile_worker._private_jobs k
      where k.id = any (v_ids) and k.locked_at is null and k.attempts >= k.max_attempts order by k.id for update skip locked))
    returning j.id
  )
  select coalesce(array_agg(g.id order by g.id), '{}') into v_ids from gone g;
  perform legwork.audit('discard_jobs', 'jobs', null, '{"state": "failed"}', jsonb_build_object('filter', filter), filter ->> 'tenant', cardinality(v_ids));
  return query select unnest(v_ids);
end $$;
comment on function legwork.discard_jobs(jsonb, boolean, integer) is
  'Gives up the failed jobs that a filter names, as discard_job does; otherwise as retry_jobs.';
revoke execute on function legwork.retry_jobs(jsonb, boolean, integer), legwork.discard_jobs(jsonb, boolean, integer) from public;
