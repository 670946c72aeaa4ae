create or replace function legwork_private.is_job_id(value jsonb) returns boolean
language sql immutable parallel safe
return case when (value #>> '{}') ~ '^\d{1,19}$' then (value #>> '{}')::numeric <= 9223372036854775807 else false end;
comment on function legwork_private.is_job_id(jsonb) is 'Whether a JSON number or string can be the id of a job.';
revoke execute on function legwork_private.is_job_id(jsonb) from public;

create or replace function legwork_private.assert_job_filter(filter jsonb, fields text[], example text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_field text;
begin
  if filter is null or jsonb_typeof(filter) <> 'object' then
    raise exception 'A filter must be a JSON object; got %.', coalesce(jsonb_typeof(filter), 'null') using errcode = 'LW400', hint = format('For example %s.', example);
  end if;
  select k into v_field from jsonb_object_keys(filter) k where k <> all (fields) limit 1;
  if v_field is not null then
    raise exception 'A filter has no field ''%''.', left(v_field, 100) using errcode = 'LW400',
      hint = format('The fields are %s and %s.', array_to_string(fields[:cardinality(fields) - 1], ', '), fields[cardinality(fields)]);
  end if;
  select f.key into v_field from jsonb_each(filter) f where jsonb_typeof(f.value) not in ('string', 'null') and f.key not in ('ids', 'parent_id') limit 1;
  if v_field is not null then
    raise exception '% is of type %; it must be a string.', v_field, jsonb_typeof(filter -> v_field) using errcode = 'LW400', hint = format('For example %s.', example);
  end if;
  if filter -> 'ids' is not null and (jsonb_typeof(filter -> 'ids') <> 'array' or exists (
    select from jsonb_array_elements(case when jsonb_typeof(filter -> 'ids') = 'array' then filter -> 'ids' end) x where not legwork_private.is_job_id(x)))
  then
    raise exception 'ids is %; it must be a list of job ids.', left((filter -> 'ids')::text, 100) using errcode = 'LW400', hint = 'For example {"ids": [17, 18]}.';
  end if;
  if filter ->> 'parent_id' is not null and not legwork_private.is_job_id(filter -> 'parent_id') then
    raise exception 'parent_id is %; it must be a job id.', left(filter ->> 'parent_id', 100) using errcode = 'LW400', hint = 'For example {"parent_id": 17}.';
  end if;
  if filter ->> 'state' is not null and filter ->> 'state' <> all (enum_range(null::legwork.job_state)::text[]) then
    raise exception '''%'' is not a valid state.', left(filter ->> 'state', 100) using errcode = 'LW400',
      hint = format('The states are %s.', array_to_string(enum_range(null::legwork.job_state)::text[], ', '));
  end if;
  perform legwork_private.read_time(f.key, f.value) from jsonb_each_text(filter) f where f.key ~ '_(after|before)$';
  perform legwork_private.read_interval(f.key, f.value) from jsonb_each_text(filter) f where f.key ~ '_since$';
  if filter ->> 'task' is not null then
    perform legwork_private.assert_task(filter ->> 'task');
  end if;
  if filter ->> 'queue' is not null then
    perform legwork_private.assert_target('queue', filter ->> 'queue');
  end if;
end $$;
comment on function legwork_private.assert_job_filter(jsonb, text[], text) is
  'Does nothing for an object that has only these fields, with valid values. Otherwise raises LW400, naming the field and its value, or LW404 for an unknown task or queue.';
revoke execute on function legwork_private.assert_job_filter(jsonb, text[], text) from public;

create or replace function legwork_private.fixed_period(filter jsonb, at timestamptz) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp
return filter - array['failed_since', 'finished_since']
  || case when filter ->> 'failed_since' is null then '{}' else jsonb_build_object('failed_after',
    greatest((filter ->> 'failed_after')::timestamptz, legwork_private.earlier(fixed_period.at, (filter ->> 'failed_since')::interval))) end
  || case when filter ->> 'finished_since' is null then '{}' else jsonb_build_object('finished_after',
    greatest((filter ->> 'finished_after')::timestamptz, legwork_private.earlier(fixed_period.at, (filter ->> 'finished_since')::interval))) end;
comment on function legwork_private.fixed_period(jsonb, timestamptz) is
  'Returns the filter with each relative period, such as failed_since => ''10 minutes'', replaced by the time at which it begins, counted back from the given time.';
revoke execute on function legwork_private.fixed_period(jsonb, timestamptz) from public;

create or replace function legwork_private.failed_jobs_like(
  filter jsonb, after_id bigint default null, up_to bigint default null, at_most integer default null, as_of timestamptz default null
) returns setof bigint
-- Conditions for fields that the filter does not have must not be part of the plan.
language plpgsql stable set search_path = pg_catalog, pg_temp set jit = off set plan_cache_mode = force_custom_plan as $$
declare
  v_tenant text := legwork_private.confined_tenant();
begin
  perform legwork_private.assert_role('operator');
  perform legwork_private.assert_job_filter(filter, array['ids', 'state', 'task', 'queue', 'tenant', 'correlation_id', 'parent_id', 'fingerprint', 'error',
    'created_after', 'created_before', 'failed_after', 'failed_before', 'failed_since'],
    '{"task": "notify/email"}; {} matches every failed job');
  if filter ->> 'state' <> 'failed' then
    raise exception 'Only failed jobs can be retried or discarded, not jobs in the state ''%''.', filter ->> 'state' using errcode = 'LW400',
      hint = 'Omit the state, or use failed.';
  end if;
  filter := legwork_private.fixed_period(filter, coalesce(failed_jobs_like.as_of, now()));
  return query
    select f.id
    from legwork_private.finished_jobs f
    where f.state = 'failed'
      and (filter -> 'ids' is null or f.id in (select x::bigint from jsonb_array_elements_text(filter -> 'ids') x))
      and (filter ->> 'task' is null or f.task = filter ->> 'task')
      and (filter ->> 'queue' is null or f.queue = filter ->> 'queue')
      and (filter ->> 'tenant' is null or f.tenant = filter ->> 'tenant')
      and (v_tenant is null or f.tenant = v_tenant)
      and (filter ->> 'fingerprint' is null or f.fingerprint = filter ->> 'fingerprint')
      and (filter ->> 'error' is null or strpos(lower(f.error), lower(filter ->> 'error')) > 0)
      and (filter ->> 'correlation_id' is null or f.correlation_id = filter ->> 'correlation_id')
      and (filter ->> 'parent_id' is null or f.parent_id = (filter ->> 'parent_id')::bigint)
      and (filter ->> 'created_after' is null or f.created_at >= (filter ->> 'created_after')::timestamptz)
      and (filter ->> 'created_before' is null or f.created_at < (filter ->> 'created_before')::timestamptz)
      and (filter ->> 'failed_after' is null or f.finished_at >= (filter ->> 'failed_after')::timestamptz)
      and (filter ->> 'failed_before' is null or f.finished_at < (filter ->> 'failed_before')::timestamptz)
      and (failed_jobs_like.after_id is null or f.id > failed_jobs_like.after_id) and (failed_jobs_like.up_to is null or f.id <= failed_jobs_like.up_to)
      and (failed_jobs_like.as_of is null or f.finished_at < failed_jobs_like.as_of)
      -- Discarded jobs are only in the history. The last condition is implied by the others, but the planner has statistics for it.
      and exists (select from legwork_private.graphile_jobs j where j.id = f.id and j.locked_at is null and j.attempts >= j.max_attempts and not j.is_available)
    order by f.id limit failed_jobs_like.at_most;
end $$;
comment on function legwork_private.failed_jobs_like(jsonb, bigint, bigint, integer, timestamptz) is
  'The failed jobs that match a filter and can be retried, oldest first: at most at_most of those that have ids above after_id, up to up_to, and that failed before as_of. '
  'The filter is an object with the fields ids, state (failed), task, queue, tenant, correlation_id, parent_id, fingerprint (see failed_groups), error (a part of the message), created_after, created_before, '
  'failed_after, failed_before and failed_since (an interval, such as 10 minutes); jobs must match all given fields. Raises LW400 for an unknown field, and LW404 for an unknown task or queue.';

create or replace function legwork_private.live_jobs_like(
  filter jsonb, after_id bigint default null, up_to bigint default null, at_most integer default null, as_of timestamptz default null
) returns setof bigint
language plpgsql stable set search_path = pg_catalog, pg_temp set jit = off set plan_cache_mode = force_custom_plan as $$
declare
  v_tenant text := legwork_private.confined_tenant();
begin
  perform legwork_private.assert_role('operator');
  perform legwork_private.assert_job_filter(filter, array['ids', 'state', 'task', 'queue', 'tenant', 'correlation_id', 'parent_id', 'job_key', 'created_after', 'created_before'],
    '{"task": "notify/email"}; {} matches every job that has not ended');
  if filter ->> 'state' in ('completed', 'failed', 'cancelled', 'expired') then
    raise exception 'Jobs in the state ''%'' have ended.', filter ->> 'state' using errcode = 'LW400',
      hint = 'Use a state of jobs that have not ended: scheduled, pending, blocked, paused, running or retrying.';
  end if;
  return query
    select j.id
    from legwork_private.all_jobs j
    where j.finished_at is null
      and (v_tenant is null or j.tenant = v_tenant)
      and (filter -> 'ids' is null or j.id in (select x::bigint from jsonb_array_elements_text(filter -> 'ids') x))
      and (filter ->> 'state' is null or j.state = (filter ->> 'state')::legwork.job_state)
      and (filter ->> 'task' is null or j.task = filter ->> 'task')
      and (filter ->> 'queue' is null or j.queue = filter ->> 'queue')
      and (filter ->> 'tenant' is null or j.tenant = filter ->> 'tenant')
      and (filter ->> 'correlation_id' is null or j.correlation_id = filter ->> 'correlation_id')
      and (filter ->> 'parent_id' is null or j.parent_id = (filter ->> 'parent_id')::bigint)
      and (filter ->> 'created_after' is null or j.created_at >= (filter ->> 'created_after')::timestamptz)
      and (filter ->> 'created_before' is null or j.created_at < (filter ->> 'created_before')::timestamptz)
      and (filter ->> 'job_key' is null or j.job_key = filter ->> 'job_key')
      and (live_jobs_like.after_id is null or j.id > live_jobs_like.after_id) and (live_jobs_like.up_to is null or j.id <= live_jobs_like.up_to)
      and (live_jobs_like.as_of is null or j.created_at < live_jobs_like.as_of)
      -- Leaves out jobs that have already been signaled to stop.
      and not exists (select from legwork_private.cancellations c where c.job_id = j.id)
    order by j.id limit live_jobs_like.at_most;
end $$;
comment on function legwork_private.live_jobs_like(jsonb, bigint, bigint, integer, timestamptz) is
  'The jobs that match a filter and can be cancelled, oldest first: at most at_most of those that have ids above after_id, up to up_to, and that were created before as_of. '
  'The filter is an object with the fields ids, state, task, queue, tenant, correlation_id, parent_id, job_key, created_after and created_before; '
  'jobs must match all given fields. Raises LW400 for an unknown field, and LW404 for an unknown task or queue.';

create or replace function legwork_private.finished_jobs_like(
  filter jsonb, as_of timestamptz, after_id bigint default null, up_to bigint default null, at_most integer default null
) returns setof bigint
language plpgsql stable set search_path = pg_catalog, pg_temp set jit = off set plan_cache_mode = force_custom_plan as $$
declare
  v_tenant text := legwork_private.confined_tenant();
  v_bounds record;
begin
  perform legwork_private.assert_role('operator');
  perform legwork_private.assert_job_filter(filter, array['ids', 'state', 'task', 'queue', 'tenant', 'correlation_id', 'parent_id', 'error', 'created_after', 'created_before',
    'finished_after', 'finished_before', 'finished_since'], '{"task": "notify/email", "state": "completed"}');
  filter := legwork_private.fixed_period(filter, finished_jobs_like.as_of);
  if filter ->> 'state' not in ('completed', 'failed', 'cancelled', 'expired') then
    raise exception 'Jobs in the state ''%'' have not ended.', filter ->> 'state' using errcode = 'LW400',
      hint = 'Use a state of jobs that have ended: completed, failed, cancelled or expired.';
  end if;
  -- A search through the whole history is rejected.
  if not filter ?| array['ids', 'task', 'queue', 'tenant', 'correlation_id', 'parent_id', 'created_after', 'finished_after']
    and coalesce(filter ->> 'state', 'completed') = 'completed'
  then
    raise exception 'The filter matches too much of the history.' using errcode = 'LW400',
      hint = 'Add a task, a queue, a tenant, a correlation id, a parent, created_after, finished_after, or a state other than completed.';
  end if;
  select * into v_bounds from legwork_private.ids_created((filter ->> 'created_after')::timestamptz,
    -- By its worker's clock, a short job may have ended just before it was created.
    least((filter ->> 'created_before')::timestamptz, legwork_private.later((filter ->> 'finished_before')::timestamptz, interval '1 minute'), finished_jobs_like.as_of));
  return query
    select f.id
    from legwork_private.finished_jobs f
    where (filter -> 'ids' is null or f.id in (select x::bigint from jsonb_array_elements_text(filter -> 'ids') x))
      and (filter ->> 'state' is null or f.state = (filter ->> 'state')::legwork.job_state)
      and (filter ->> 'task' is null or f.task = filter ->> 'task')
      and (filter ->> 'queue' is null or f.queue = filter ->> 'queue')
      and (filter ->> 'tenant' is null or f.tenant = filter ->> 'tenant')
      and (v_tenant is null or f.tenant = v_tenant)
      and (filter ->> 'correlation_id' is null or f.correlation_id = filter ->> 'correlation_id')
      and (filter ->> 'parent_id' is null or f.parent_id = (filter ->> 'parent_id')::bigint)
      and (filter ->> 'error' is null or strpos(lower(f.error), lower(filter ->> 'error')) > 0)
      and (filter ->> 'created_after' is null or f.created_at >= (filter ->> 'created_after')::timestamptz)
      and (filter ->> 'created_before' is null or f.created_at < (filter ->> 'created_before')::timestamptz)
      and (filter ->> 'finished_after' is null or f.finished_at >= (filter ->> 'finished_after')::timestamptz)
      and (filter ->> 'finished_before' is null or f.finished_at < (filter ->> 'finished_before')::timestamptz)
      and (v_bounds.above is null or f.id > v_bounds.above) and (v_bounds.up_to is null or f.id <= v_bounds.up_to)
      and f.created_at < finished_jobs_like.as_of
      and (finished_jobs_like.after_id is null or f.id > finished_jobs_like.after_id) and (finished_jobs_like.up_to is null or f.id <= finished_jobs_like.up_to)
      and not exists (select from legwork_private.reruns r where r.original_id = f.id and r.requested_at >= finished_jobs_like.as_of)
    order by f.id limit finished_jobs_like.at_most;
end $$;
comment on function legwork_private.finished_jobs_like(jsonb, timestamptz, bigint, bigint, integer) is
  'The jobs that match a filter, have ended, were created before as_of and have not been rerun since then, oldest first: at most at_most of those that have ids above after_id, up to up_to. The filter is an object with the fields ids, state, task, queue, tenant, '
  'correlation_id, parent_id, error (a part of the message), created_after, created_before, finished_after, finished_before and finished_since (an interval); jobs must match all given fields. Raises LW400 for an unknown field and for a filter '
  'that cannot use an index, and LW404 for an unknown task or queue.';
