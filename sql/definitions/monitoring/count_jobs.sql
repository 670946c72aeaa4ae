-- Counts the jobs that match a filter by state, task, queue, tenant or worker, in bounded time: at most 4,000 rows and some entries of indexes are
-- read for each field. If there are more, a count says "at least", and counts of unfinished jobs come from legwork_private.live_job_counts.
comment on table legwork_private.live_job_counts is
  'Counts of the unfinished jobs by task and state, in total and per tenant, if there are more than 2,000 of them. Written by legwork_private.sample_queues, used by legwork.count_jobs.';
comment on column legwork_private.live_job_counts.tenant is 'The tenant; empty for all tenants together.';
comment on column legwork_private.live_job_counts.task is 'The task.';
comment on column legwork_private.live_job_counts.queue is 'Its queue.';
comment on column legwork_private.live_job_counts.state is 'The state.';
comment on column legwork_private.live_job_counts.jobs is 'The number of jobs.';
comment on column legwork_private.live_job_counts.valid_until is 'How long the counts are used if the jobs are not counted again.';

create or replace function legwork_private.filter_states(filter jsonb) returns text[]
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
return case jsonb_typeof(filter -> 'state')
  when 'array' then array(select jsonb_array_elements_text(filter -> 'state'))
  when 'string' then array[filter ->> 'state']
  else enum_range(null::legwork.job_state)::text[] end;
comment on function legwork_private.filter_states(jsonb) is 'The states that a filter of legwork.count_jobs allows: all states if it has no field state.';

create or replace function legwork_private.assert_count_filter(filter jsonb) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_state jsonb;
  v_priority text := filter ->> 'priority';
begin
  -- An unknown task or queue has no jobs; that is not an error here.
  perform legwork_private.assert_job_filter(filter - 'state' - 'priority' - array['task', 'queue'],
    array['tenant', 'worker', 'correlation_id', 'parent_id', 'job_key', 'error', 'created_after', 'created_before', 'finished_after', 'finished_before', 'finished_since'], '{"state": "failed", "task": "notify/email"}');
  for v_state in select x from jsonb_array_elements(case jsonb_typeof(filter -> 'state') when 'array' then filter -> 'state' else coalesce(jsonb_build_array(filter -> 'state'), '[]') end) x
    where x <> 'null'
  loop
    perform legwork_private.assert_job_filter(jsonb_build_object('state', v_state), array['state'], '{"state": ["failed", "cancelled"]}');
  end loop;
  if v_priority !~ '^-?\d{1,5}$' then
    raise exception 'priority is %; it must be a whole number.', left(v_priority, 100) using errcode = 'LW400', hint = 'For example {"priority": 0}.';
  end if;
end $$;
comment on function legwork_private.assert_count_filter(jsonb) is 'Does nothing for a valid filter of legwork.count_jobs. Otherwise raises LW400, naming the field and its value.';
revoke execute on function legwork_private.assert_count_filter(jsonb) from public;

create or replace function legwork_private.when_given(condition text, value text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
return case when value is null then '' else format(condition, value) end;
comment on function legwork_private.when_given(text, text) is 'The condition, with the value inserted by format(). An empty text if the value is null.';

create or replace function legwork_private.count_newest(filter jsonb, is_live boolean, most integer, out field text, out value text, out jobs integer, out is_capped boolean)
returns setof record
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_sort = off set jit = off as $$
declare
  v_wanted text[] := array(select s from unnest(legwork_private.filter_states(filter)) s where (s = any ('{completed,failed,cancelled,expired}')) <> count_newest.is_live);
  v_bounds record;
  v_served text;
  v_rest text;
  v_branches text[] := '{}';
  v_state text;
begin
  if v_wanted = '{}' then
    return;
  end if;
  select * into v_bounds from legwork_private.ids_created((filter ->> 'created_after')::timestamptz, (filter ->> 'created_before')::timestamptz);
  -- Conditions that can use an index select the rows to read. The others are checked on those rows.
  v_served := legwork_private.when_given(' and j.id > %L', v_bounds.above::text) || legwork_private.when_given(' and j.id <= %L', v_bounds.up_to::text) || case
    when filter ? 'correlation_id' then legwork_private.when_given(' and j.correlation_id = %L', filter ->> 'correlation_id')
    when filter ? 'parent_id' then legwork_private.when_given(' and j.parent_id = %L', filter ->> 'parent_id')
    when filter ? 'job_key' then legwork_private.when_given(' and j.job_key = %L', filter ->> 'job_key')
    else legwork_private.when_given(' and j.tenant = %L', filter ->> 'tenant') || legwork_private.when_given(' and j.task = %L', filter ->> 'task')
      || case when is_live and filter ? 'task' then format(' and j.task_number = %s', coalesce(legwork_private.task_number(filter ->> 'task'), -1)) else '' end
      || case when filter ->> 'queue' <> 'default' and not filter ?| array['tenant', 'task'] and not is_live then format(' and j.queue = %L', filter ->> 'queue') else '' end
  end;
  select coalesce(string_agg(format(case f.key when 'error' then ' and strpos(lower(x.%I), lower(%L)) > 0' else ' and x.%I = %L' end, f.key, f.value), ''), '')
    || legwork_private.when_given(' and x.created_at >= %L', filter ->> 'created_after') || legwork_private.when_given(' and x.created_at < %L', filter ->> 'created_before')
    || legwork_private.when_given(' and x.finished_at >= %L', filter ->> 'finished_after') || legwork_private.when_given(' and x.finished_at < %L', filter ->> 'finished_before')
  into v_rest
  from jsonb_each_text(filter - array['state', 'created_after', 'created_before', 'finished_after', 'finished_before']) f;
  if is_live then
    -- Every unfinished job is in one of these states. Listing them lets an index show that the history has no such jobs.
    if v_wanted <> '{running}' then
      v_branches := v_branches || format('j.finished_at is null and j.started_at is null and j.state = any (%L)%s', '{scheduled,pending,blocked,paused,retrying}', v_served);
    end if;
    if 'running' = any (v_wanted) then
      v_branches := v_branches || format('j.finished_at is null and j.started_at is not null and j.state = %L%s', 'running', v_served);
    end if;
  elsif cardinality(v_wanted) = 4 then
    v_branches := array['true' || v_served];
  else
    foreach v_state in array v_wanted loop
      -- No index includes the state completed, so completed jobs are selected from all jobs that ended.
      v_branches := array_append(v_branches, case v_state when 'completed' then 'true' else format('j.state = %L', v_state) end || v_served);
    end loop;
  end if;
  return query execute format(
    'with looked as materialized (%s)
     select f.field, f.value, f.jobs, false
     from (
       select case 0 when grouping(x.state) then ''state'' when grouping(x.task) then ''task'' when grouping(x.queue) then ''queue'' when grouping(x.tenant) then ''tenant'' else ''worker'' end as field,
         coalesce(x.state::text, x.task, x.queue, x.tenant, x.worker) as value, count(*)::integer as jobs
       from looked x where true%s and x.state::text = any (%L) and (x.only is null or x.state = x.only)
       group by grouping sets ((x.state), (x.task), (x.queue), (x.tenant), (x.worker))
     ) f where f.value is not null
     union all
     select null, null, 0, (select coalesce(bool_or(b.n > %s), false) from (select count(*) as n from looked l group by l.branch) b)',
    (select string_agg(format(
       '(select %s as branch, %L::legwork.job_state as only, j.state, j.task, j.queue, j.tenant, j.worker, j.created_at, j.finished_at, j.priority, j.correlation_id, j.parent_id, j.job_key, %s as error
         from legwork_private.%I j where %s order by j.id desc limit %s)',
       b.n, case when not is_live and cardinality(v_branches) > 1 or v_wanted = '{completed}' then v_wanted[b.n] end, case when filter ->> 'error' is null then 'null::text' else 'j.error' end, case when is_live then 'all_jobs' else 'finished_jobs' end, b.condition, most + 1), ' union all ')
     from unnest(v_branches) with ordinality b (condition, n)),
    v_rest, v_wanted, most);
end $$;
comment on function legwork_private.count_newest(jsonb, boolean, integer) is
  'Counts the unfinished or the ended jobs that match, among the newest most that an index finds, by each field. One more row, without a field, shows whether there were more rows to read (is_capped).';
revoke execute on function legwork_private.count_newest(jsonb, boolean, integer) from public;

create or replace function legwork_private.count_by_index(filter jsonb, field text, names text[], most integer, out value text, out jobs integer)
returns setof record
language plpgsql stable set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  v_others text[] := array(select k from jsonb_object_keys(filter) k where k <> field);
  v_states text[] := legwork_private.filter_states(filter);
  v_conditions text;
  v_ended integer := 0;
  v_is_exact boolean := true;
begin
  -- The combinations of conditions that an index of the history supports.
  if not (v_others = '{}' or case field
    when 'state' then v_others <@ array['task'] or v_others <@ array['tenant']
    when 'task' then v_others <@ array['tenant'] or v_others <@ array['state'] and not 'completed' = any (v_states)
    when 'tenant' then v_others <@ array['task'] or v_others <@ array['state'] and not 'completed' = any (v_states)
    else false end)
  then
    return;
  end if;
  v_conditions := legwork_private.when_given(' and j.task = %L', case when field <> 'task' then filter ->> 'task' end)
    || legwork_private.when_given(' and j.tenant = %L', case when field <> 'tenant' then filter ->> 'tenant' end)
    || case when field <> 'state' and filter ? 'state' then format(' and j.state = any (%L) and j.state <> ''completed''', v_states) else '' end;
  for value, jobs in execute format(
    'select n.name, (select count(*)::integer from (select from legwork_private.finished_jobs j where j.%I = n.name%s%s limit %s) x)
     from unnest($1) n (name) where n.name <> ''completed'' or %L <> ''state''',
    field, case field when 'state' then '::legwork.job_state and j.state <> ''completed''' when 'queue' then ' and j.queue <> ''default''' when 'tenant' then ' and j.tenant is not null' else '' end,
    v_conditions, most + 1, field) using names
  loop
    v_ended := v_ended + jobs;
    v_is_exact := v_is_exact and jobs <= most;
    return next;
  end loop;
  if field = 'state' and v_is_exact and 'completed' = any (names) then
    -- No index includes the state completed, so the jobs in all other states are subtracted from the total.
    value := 'completed';
    execute format('select count(*)::integer - %s from (select from legwork_private.finished_jobs j where true%s limit %s) x', v_ended, v_conditions, most + v_ended + 1) into jobs;
    return next;
  end if;
end $$;
comment on function legwork_private.count_by_index(jsonb, text, text[], integer) is
  'Counts the ended jobs that match for each of these states, tasks, queues or tenants, from an index alone, up to most for each. Returns no rows for a filter that no index supports.';
revoke execute on function legwork_private.count_by_index(jsonb, text, text[], integer) from public;

create or replace function legwork.count_jobs(filter jsonb default '{}', by text[] default array['state'], out field text, out value text, out jobs integer, out is_capped boolean)
returns setof record
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  c_most constant integer := 10000;
  -- The number of rows to read: more than 2,000, because the counts of unfinished jobs are stored only if there are more than that.
  c_looked constant integer := 4000;
  c_unfinished constant text[] := '{scheduled,pending,blocked,paused,running,retrying}';
  v_own text := legwork_private.confined_tenant();
  v_filter jsonb;
  v_like jsonb;
  v_scans jsonb := '{}';
  v_field text;
  v_tenant text;
  v_names text[];
  v_is_stored boolean;
  v_key text;
  v_each integer;
begin
  perform legwork_private.assert_role('viewer');
  perform legwork_private.assert_count_filter(filter);
  select x into v_field from unnest(by) x where x is null or x <> all ('{state,task,queue,tenant,worker}') limit 1;
  if found then
    raise exception 'Jobs cannot be counted by ''%''.', left(v_field, 100) using errcode = 'LW400', hint = 'They can be counted by state, task, queue, tenant and worker.';
  end if;
  v_filter := legwork_private.fixed_period(jsonb_strip_nulls(filter), now());
  if v_filter ->> 'tenant' <> v_own then
    return;
  end if;
  for v_field in select distinct x from unnest(by) x order by 1 loop
    -- The counts of a field show how many jobs each of its values would match, so the filter's condition on that field is left out.
    v_like := v_filter - v_field;
    if v_own is not null then
      v_like := v_like || jsonb_build_object('tenant', v_own);
    end if;
    v_tenant := coalesce(v_like ->> 'tenant', '');
    v_is_stored := (v_like - array['state', 'task', 'queue', 'tenant']) = '{}' and v_field <> 'worker'
      and exists (select from legwork_private.live_job_counts k where k.tenant = v_tenant and k.valid_until > now());
    -- Fields without a condition of their own share one scan.
    v_key := v_like::text || v_is_stored;
    if not v_scans ? v_key then
      v_scans := v_scans || jsonb_build_object(v_key, (
        select coalesce(jsonb_agg(to_jsonb(c)), '[]')
        from (
          select false as is_live, h.* from legwork_private.count_newest(v_like, false, c_looked) h
          union all
          select true, l.* from legwork_private.count_newest(v_like, true, c_looked) l where not v_is_stored
          union all
          select true, f.field, f.value, least(sum(k.jobs), c_most + 1), false
          from legwork_private.live_job_counts k
          cross join lateral (values ('state', k.state), ('task', k.task), ('queue', k.queue), ('tenant', k.tenant)) f (field, value)
          where v_is_stored and case when v_tenant = '' and f.field = 'tenant' then k.tenant <> '' else k.tenant = v_tenant end
            and k.state = any (legwork_private.filter_states(v_like))
            and k.task = coalesce(v_like ->> 'task', k.task) and k.queue = coalesce(v_like ->> 'queue', k.queue)
          group by 2, 3
        ) c));
    end if;
    v_names := case v_field
      when 'state' then '{completed,failed,cancelled,expired}'::text[]
      when 'task' then array(select t.identifier from legwork_private.graphile_tasks t order by t.identifier limit 300)
      when 'queue' then array(select q from unnest(legwork_private.known_queues()) q where q <> 'default' limit 300)
      when 'tenant' then array(select distinct c.value from jsonb_to_recordset(v_scans -> v_key) as c (field text, value text) where c.field = 'tenant' limit 300)
      else '{}' end;
    -- Together, this reads about 100,000 index entries, which takes a tenth of a second.
    v_each := case when cardinality(v_names) <= 10 then c_most when cardinality(v_names) <= 50 then 2000 else 1000 end;
    return query
      with counted as (
        select c.is_live, c.is_capped, c.jobs, case when c.field = v_field then c.value end as name
        from jsonb_to_recordset(v_scans -> v_key) as c (is_live boolean, field text, value text, jobs integer, is_capped boolean)
      ), capped as (
        select coalesce(bool_or(c.is_capped) filter (where not c.is_live), false) as ended, coalesce(bool_or(c.is_capped) filter (where c.is_live), false) as live from counted c
      ), indexed as (
        select i.value, i.jobs from legwork_private.count_by_index(v_like, v_field, v_names, v_each) i where (select p.ended from capped p)
      ), grouped as (
        select coalesce(c.name, i.value) as name,
          coalesce(sum(c.jobs) filter (where c.is_live), 0) as live, greatest(coalesce(sum(c.jobs) filter (where not c.is_live), 0), coalesce(max(i.jobs), 0)) as ended,
          -- A count from an index is complete, unless it has reached its limit.
          max(i.jobs) as by_index
        from (select * from counted c where c.name is not null) c
        full join indexed i on i.value = c.name
        group by 1
      )
      select v_field, g.name, least(g.live + g.ended, c_most)::integer,
        g.live + g.ended > c_most or coalesce(g.by_index > v_each, false)
          or p.ended and g.by_index is null and not (v_field = 'state' and g.name = any (c_unfinished))
          or p.live and not (v_field = 'state' and g.name <> all (c_unfinished))
      from grouped g, capped p
      where g.live + g.ended > 0
      order by 3 desc, 2
      limit 100;
  end loop;
end $$;
comment on function legwork.count_jobs(jsonb, text[]) is
  'Counts the jobs that match a filter by the fields state, task, queue, tenant or worker, most first and at most 100 values of each. The counts of a field ignore the filter''s own '
  'condition on it. is_capped: there are, or may be, more jobs than the column jobs says; counting stops at 10,000. With more than 2,000 unfinished jobs, their counts are a few seconds old. '
  'The filter is an object with the fields state (one or an array), task, queue, tenant, worker, correlation_id, parent_id, job_key, priority, error (a part of the message), created_after, '
  'created_before, finished_after, finished_before and finished_since; jobs must match all given fields. Raises LW400 for an unknown field. Example: select * from legwork.count_jobs(''{"state": "failed"}'', ''{task}'')';
revoke execute on function legwork.count_jobs(jsonb, text[]) from public;
