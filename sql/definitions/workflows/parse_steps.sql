comment on type legwork_private.parsed_workflow_step is 'A workflow step while its workflow is being parsed: full name, sub-workflow, groups as in workflow_run_steps, the caller''s definition, and a number.';

create or replace function legwork_private.list_workflow_steps(steps jsonb) returns table (name text, step jsonb, n bigint)
language sql immutable parallel safe
as $$
  select e.step ->> 'name', e.step, e.n from jsonb_array_elements(case when jsonb_typeof(steps) = 'array' then steps end) with ordinality as e (step, n)
  union all
  select o.key, o.value, o.n from jsonb_each(case when jsonb_typeof(steps) = 'object' then steps end) with ordinality as o (key, value, n)
$$;
comment on function legwork_private.list_workflow_steps(jsonb) is 'The workflow steps in an array of {name, …} or in an object keyed by name.';

create or replace function legwork_private.workflow_step_dependencies(step jsonb) returns setof text
language sql immutable parallel safe
as $$
  select d from jsonb_array_elements_text(case jsonb_typeof(step -> 'depends_on')
    when 'array' then step -> 'depends_on' when 'string' then jsonb_build_array(step -> 'depends_on') end) as d
$$;
comment on function legwork_private.workflow_step_dependencies(jsonb) is 'The names in a workflow step''s depends_on, which is an array or a single name.';

create or replace function legwork_private.topological_order(nodes integer, befores integer[], afters integer[]) returns integer[]
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_open integer[] := array_fill(0, array[nodes]);
  v_first integer[] := array_fill(0, array[nodes + 1]);
  v_order integer[] := '{}';
  v_read integer := 1;
  v_node integer;
  v_edge integer;
begin
  -- Kahn's algorithm. The pairs are ordered by befores.
  for v_edge in 1..cardinality(befores) loop
    v_open[afters[v_edge]] := v_open[afters[v_edge]] + 1;
    if v_first[befores[v_edge]] = 0 then
      v_first[befores[v_edge]] := v_edge;
    end if;
  end loop;
  for v_node in 1..nodes loop
    if v_open[v_node] = 0 then
      v_order := v_order || v_node;
    end if;
  end loop;
  while v_read <= cardinality(v_order) loop
    v_node := v_order[v_read];
    v_read := v_read + 1;
    v_edge := v_first[v_node];
    while v_edge > 0 and v_edge <= cardinality(befores) and befores[v_edge] = v_node loop
      v_open[afters[v_edge]] := v_open[afters[v_edge]] - 1;
      if v_open[afters[v_edge]] = 0 then
        v_order := v_order || afters[v_edge];
      end if;
      v_edge := v_edge + 1;
    end loop;
  end loop;
  return v_order;
end $$;
comment on function legwork_private.topological_order(integer, integer[], integer[]) is
  'The numbers from 1 to nodes, in an order in which befores[i] comes before afters[i] for every i. The pairs must be ordered by befores. Numbers on a cycle, or after one, are missing from the result.';

create or replace function legwork_private.workflow_step_options() returns text[]
language sql immutable parallel safe
return array['max_attempts', 'priority', 'run_at', 'serial_key'];
comment on function legwork_private.workflow_step_options() is 'The options of legwork.enqueue that a workflow step accepts.';

create or replace function legwork_private.workflow_step_fields() returns text[]
language sql immutable parallel safe
return array['name', 'task', 'payload', 'depends_on', 'on_failure', 'compensate'] || legwork_private.workflow_step_options() || array['delay', 'steps'];
comment on function legwork_private.workflow_step_fields() is 'The fields that a workflow step can have.';

create or replace function legwork_private.flatten_workflow_steps(steps jsonb) returns legwork_private.parsed_workflow_step[]
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  v_entries legwork_private.parsed_workflow_step[];
begin
  if steps is null or jsonb_typeof(steps) not in ('array', 'object') then
    raise exception 'The steps of a workflow must be a JSON array or object; got %.', coalesce(jsonb_typeof(steps), 'null') using errcode = 'LW400',
      hint = 'For example [{"name": "a", "task": "import"}, {"name": "b", "task": "report", "depends_on": ["a"]}].';
  end if;
  with recursive flat as (
    select e.name, null::text as parent, array[e.name] as groups, e.step, array[e.n] as place from legwork_private.list_workflow_steps(steps) e
    union all
    select f.name || '/' || e.name, f.name, f.groups || (f.name || '/' || e.name), e.step, f.place || e.n
    from flat f
    cross join lateral legwork_private.list_workflow_steps(f.step -> 'steps') e
    where jsonb_typeof(f.step) = 'object' and f.step ? 'steps' and cardinality(f.groups) < 10
  )
  select array_agg(row(f.name, f.parent, f.groups, f.step, row_number)::legwork_private.parsed_workflow_step order by f.row_number) into v_entries
  from (select *, row_number() over (order by place)::integer from flat) f;
  if v_entries is null then
    raise exception 'A workflow needs at least one step.' using errcode = 'LW400', hint = 'Nothing was started.';
  elsif cardinality(v_entries) > 20000 then
    raise exception 'The workflow has %; the maximum is 20,000.', legwork_private.counted(cardinality(v_entries), 'step') using errcode = 'LW413',
      detail = '{"do": "enqueue_batch"}',
      hint = '`select legwork.enqueue_batch(…)` accepts more jobs, or a step can start another workflow.';
  end if;
  return v_entries;
end $$;
comment on function legwork_private.flatten_workflow_steps(jsonb) is
  'The steps of a workflow with its sub-workflows expanded, before any of them is checked. Raises LW400 if it has no steps, and LW413 for more than 20,000.';

create or replace function legwork_private.assert_workflow_step_fields(entries legwork_private.parsed_workflow_step[]) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_message text;
  v_hint text;
  v_wrong integer;
  v_problem text;
  v_name text;
  v_step jsonb;
begin
  -- Find the first invalid step. Its error message is built only then.
  select e.n, x.problem into v_wrong, v_problem
  from unnest(entries) e
  cross join lateral (
    select case
      when jsonb_typeof(e.step) <> 'object' then 'object'
      when e.name is null or e.name ~ '(^|/)$' then 'name'
      when length(e.name) > 200 or length(e.name) - coalesce(length(e.parent) + 1, 0) > 64 then 'long'
      when strpos(substr(e.name, coalesce(length(e.parent) + 2, 1)), '/') > 0 then 'slash'
      when e.step - legwork_private.workflow_step_fields() <> '{}' then 'field'
      when (e.step ->> 'task' is null) = (e.step -> 'steps' is null) then 'neither'
      when e.step ? 'steps' and not exists (select from legwork_private.list_workflow_steps(e.step -> 'steps')) then 'empty'
      when e.step ? 'steps' and cardinality(e.groups) = 10 then 'deep'
      when e.step ? 'steps' and e.step ?| (array['payload', 'compensate', 'delay'] || legwork_private.workflow_step_options()) then 'group'
      when e.step ? 'on_failure' and coalesce(e.step ->> 'on_failure' not in ('stop', 'continue', 'compensate'), true) then 'on_failure'
      when e.step ? 'depends_on' and (jsonb_typeof(e.step -> 'depends_on') not in ('array', 'string', 'null')
        or jsonb_typeof(e.step -> 'depends_on') = 'array'
          and jsonb_path_exists(e.step -> 'depends_on', '$[*] ? (@.type() != "string")')) then 'depends_on'
      when jsonb_typeof(e.step -> 'compensate') <> 'null' and (jsonb_typeof(e.step -> 'compensate') <> 'object'
        or e.step #>> '{compensate,task}' is null or (e.step -> 'compensate') - array['task', 'payload'] <> '{}') then 'compensate'
    end as problem
  ) x
  where x.problem is not null
  order by e.n limit 1;
  if v_problem is not null then
    select format('Step ''%s''', coalesce(e.name, coalesce(e.parent || '/', '') || 'number ' || e.n)), e.step into v_name, v_step
    from unnest(entries) e where e.n = v_wrong;
    select v_name || m.message, m.hint into v_message, v_hint
    from (values
      ('object', ' is not an object.', 'For example {"name": "a", "task": "import"}.'),
      ('name', ' has no name.', 'A name is a string. Other steps refer to it in depends_on.'),
      ('long', ' has a name of more than 64 characters, or more than 200 with its sub-workflows.', 'Choose a shorter name.'),
      ('slash', ' has a slash in its name.', 'A slash separates a sub-workflow from its step.'),
      ('field', ' has an unknown field: ' || (
          select string_agg(k, ', ') from jsonb_object_keys(case when v_problem = 'field' then v_step - legwork_private.workflow_step_fields() end) k) || '.',
        'Valid fields are ' || array_to_string(legwork_private.workflow_step_fields(), ', ') || '.'),
      ('neither', ' needs either a task or steps of its own.', 'A step is either a job that runs a task, or a sub-workflow.'),
      ('empty', ' is a sub-workflow without steps.', 'Add steps to it, or remove it.'),
      ('deep', ' is nested too deeply.', 'Sub-workflows can be nested up to ten levels.'),
      ('group', ' is a sub-workflow; payload, compensate and similar fields belong to its steps.', 'A sub-workflow has name, steps, depends_on and on_failure.'),
      ('on_failure', format(' has an invalid on_failure ''%s''.', v_step ->> 'on_failure'), 'Use stop, continue or compensate.'),
      ('depends_on', ' has a depends_on that is not a list of step names.', 'Use an array of step names.'),
      ('compensate', ' has a compensate that is not of the form {task, payload}.', 'For example {"task": "payment/refund", "payload": {"order": 7}}.')
    ) as m (problem, message, hint)
    where m.problem = v_problem;
    raise exception '%', v_message using errcode = 'LW400', hint = v_hint;
  end if;
end $$;
comment on function legwork_private.assert_workflow_step_fields(legwork_private.parsed_workflow_step[]) is
  'Does nothing if each step has a name and the fields of a job or of a sub-workflow. Raises LW400 for the first step that does not.';

create or replace function legwork_private.assert_workflow_step_references(entries legwork_private.parsed_workflow_step[]) returns void
language plpgsql stable
-- The planner cannot know how many steps there are, and comparing all pairs of them would take seconds.
set search_path = pg_catalog, pg_temp set enable_nestloop = off set jit = off as $$
declare
  v_message text;
  v_hint text;
  v_detail text;
  v_code text;
begin
  select 'LW400', format('Two steps have the name ''%s''.', e.name), 'Names must be unique within a workflow and within a sub-workflow.' into v_code, v_message, v_hint
  from unnest(entries) e group by e.name having count(*) > 1 order by min(e.n) limit 1;
  if v_message is null then
    select 'LW404', format('Step ''%s'' depends on ''%s'', which is not a step at the same level.', e.name, d.name),
      coalesce('Did you mean ''' || legwork_private.nearest_name(d.name, array(
        select regexp_replace(o.name, '^.*/', '') from unnest(entries) o where o.parent is not distinct from e.parent and o.name <> e.name)) || '''? ', '')
        || 'A step can only depend on steps of the same workflow or sub-workflow.'
    into v_code, v_message, v_hint
    from unnest(entries) e
    cross join lateral legwork_private.workflow_step_dependencies(e.step) as d (name)
    where not exists (select from unnest(entries) o where o.name = coalesce(e.parent || '/', '') || d.name)
    order by e.n limit 1;
  end if;
  if v_message is null then
    select 'LW404', format('Step ''%s'': there is no task named ''%s''.', t.step, t.task),
      coalesce('Did you mean ''' || legwork_private.nearest_name(t.task, array(select k.identifier from legwork_private.graphile_tasks k)) || '''? ', '')
        || 'Tasks are known once a worker that has them has started; `select name from legwork.tasks` lists them.',
      '{"do": "list_tasks"}'
    into v_code, v_message, v_hint, v_detail
    from (
      select e.n, e.name as step, e.step ->> 'task' as task from unnest(entries) e
      union all
      select e.n, e.name, e.step #>> '{compensate,task}' from unnest(entries) e
    ) t
    where t.task is not null and t.task not in (select k.identifier from legwork_private.graphile_tasks k)
    order by t.n limit 1;
  end if;
  if v_detail is not null then
    raise exception '%', v_message using errcode = v_code, detail = v_detail, hint = v_hint;
  elsif v_message is not null then
    raise exception '%', v_message using errcode = v_code, hint = v_hint;
  end if;
end $$;
comment on function legwork_private.assert_workflow_step_references(legwork_private.parsed_workflow_step[]) is
  'Does nothing if all steps have distinct names and their dependencies and tasks exist. Raises LW400 for a duplicate name, and LW404 for an unknown step or task.';

create or replace function legwork_private.assert_workflow_step_values(steps legwork_private.parsed_workflow_step[]) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_name text;
  v_step jsonb;
begin
  for v_name, v_step in
    select format('Step ''%s'': ', e.name), e.step from unnest(steps) e
    where e.step ?| (legwork_private.workflow_step_options() || 'delay'::text) order by e.n
  loop
    perform legwork_private.assert_job_fields(v_step, v_name);
    perform legwork_private.read_interval(v_name || 'delay', v_step ->> 'delay');
    if length(v_step ->> 'serial_key') not between 1 and 128 then
      raise exception '%serial_key has %; it must have 1 to 128.', v_name, legwork_private.counted(length(v_step ->> 'serial_key'), 'character') using
        errcode = 'LW400', hint = 'Nothing was started. Omit it for a step that may run at the same time as any other.';
    end if;
  end loop;
end $$;
comment on function legwork_private.assert_workflow_step_values(legwork_private.parsed_workflow_step[]) is
  'Does nothing if a job can have the numbers, times and keys of each step. They are checked early, because the jobs are created and released in other callers'' transactions. Raises LW400 with the step, '
  'the field, the value and the range.';

create or replace function legwork_private.parse_workflow_steps(steps jsonb) returns legwork_private.parsed_workflow_step[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_entries legwork_private.parsed_workflow_step[] := legwork_private.flatten_workflow_steps(steps);
begin
  perform legwork_private.assert_workflow_step_fields(v_entries);
  perform legwork_private.assert_workflow_step_references(v_entries);
  perform legwork_private.assert_workflow_step_values(v_entries);
  return v_entries;
end $$;
comment on function legwork_private.parse_workflow_steps(jsonb) is
  'The steps of a workflow with its sub-workflows expanded. Raises LW400, LW404 or LW413, naming the invalid part.';

create or replace function legwork_private.workflow_step_pairs(
  entries legwork_private.parsed_workflow_step[], out befores integer[], out afters integer[], out hows text[]
)
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_nestloop = off set jit = off as $$
begin
  -- Every job of a sub-workflow waits for the dependencies of the sub-workflow, and a step that depends on the sub-workflow waits for all its jobs.
  -- If the sub-workflow may fail (continue), that wait ends whatever state its jobs end in. So its own dependencies must hold back those later steps
  -- too.
  with recursive steps as materialized (
    select e.n, e.name, e.groups, e.step ? 'steps' as is_group, coalesce(e.step ->> 'on_failure', 'stop') as on_failure,
      array(select coalesce(e.parent || '/', '') || d from legwork_private.workflow_step_dependencies(e.step) d) as depends_on
    from unnest(entries) e
  ), asked as (
    select e.name, d.name as target from steps e cross join lateral unnest(e.depends_on) as d (name)
  ), wanted as (
    select a.name, a.target from asked a
    union
    select w.name, a.target
    from wanted w
    join steps g on g.name = w.target and g.is_group and g.on_failure = 'continue'
    join asked a on a.name = g.name
  ), within as materialized (
    select e.n, e.on_failure, g.name as of from steps e cross join lateral unnest(e.groups) as g (name) where not e.is_group
  ), pairs as (
    select before.n as before, after.n as after,
      -- The strictest of several: cancel before continue before run.
      min(case when t.is_group and t.on_failure = 'continue' then 'run' when before.on_failure = 'continue' then 'continue' else 'cancel' end) as how
    from wanted w
    join steps t on t.name = w.target
    join within before on before.of = w.target
    join within after on after.of = w.name
    group by before.n, after.n
  )
  select coalesce(array_agg(p.before order by p.before, p.after), '{}'), coalesce(array_agg(p.after order by p.before, p.after), '{}'),
    coalesce(array_agg(p.how order by p.before, p.after), '{}')
  into befores, afters, hows
  from pairs p;
end $$;
comment on function legwork_private.workflow_step_pairs(legwork_private.parsed_workflow_step[]) is
  'The dependencies between the jobs of a workflow, as numbers of steps and ordered by befores: afters[i] waits for befores[i], and hows[i] says how it is affected when befores[i] fails.';

create or replace function legwork_private.raise_workflow_cycle(
  entries legwork_private.parsed_workflow_step[], befores integer[], afters integer[], ordered integer[]
) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  -- For each remaining step, a remaining step before it.
  v_back integer[] := array_fill(null::integer, array[cardinality(entries)]);
  -- The place of each step on the way backwards.
  v_places integer[] := array_fill(null::integer, array[cardinality(entries)]);
  v_way integer[] := '{}';
  v_node integer;
  v_pair record;
begin
  for v_pair in
    select p.after, min(p.before) as before from unnest(befores, afters) as p (before, after)
    where not exists (select from unnest(ordered) as o (n) where o.n = p.before) group by p.after
  loop
    v_back[v_pair.after] := v_pair.before;
  end loop;
  -- Every remaining step has a remaining step before it. Following these backwards must reach some step twice.
  select min(x) into v_node from generate_series(1, cardinality(entries)) x where not exists (select from unnest(ordered) as o (n) where o.n = x);
  while v_node is not null and v_places[v_node] is null loop
    v_way := v_way || v_node;
    v_places[v_node] := cardinality(v_way);
    v_node := v_back[v_node];
  end loop;
  if v_node is null then
    -- There is no cycle.
    return;
  end if;
  v_way := v_way[v_places[v_node]:] || v_node;
  raise exception 'The steps depend on each other: %.', (
    select string_agg(e.name, ' → ' order by c.i desc) filter (where c.i > cardinality(v_way) - 20)
      || case when cardinality(v_way) > 20 then format(' → … (%s)', legwork_private.counted(cardinality(v_way) - 1, 'step', 'steps')) else '' end
    from unnest(v_way) with ordinality as c (n, i) join unnest(entries) e on e.n = c.n)
  using errcode = 'LW400', hint = 'Nothing was started. Remove one of these dependencies.';
end $$;
comment on function legwork_private.raise_workflow_cycle(legwork_private.parsed_workflow_step[], integer[], integer[], integer[]) is
  'Raises LW400, naming steps that wait for each other. ordered: the result of topological_order, which leaves such steps out.';

create or replace function legwork_private.plan_workflow_steps(workflow_id bigint, steps jsonb) returns integer
language plpgsql volatile set search_path = pg_catalog, pg_temp set enable_nestloop = off set jit = off as $$
declare
  v_entries legwork_private.parsed_workflow_step[] := legwork_private.parse_workflow_steps(steps);
  v_befores integer[];
  v_afters integer[];
  v_hows text[];
  v_order integer[];
begin
  select p.befores, p.afters, p.hows into v_befores, v_afters, v_hows from legwork_private.workflow_step_pairs(v_entries) p;
  if cardinality(v_befores) > 200000 then
    raise exception 'The workflow has %; the maximum is 200,000.', legwork_private.counted(cardinality(v_befores), 'dependency', 'dependencies') using errcode = 'LW413',
      hint = 'If many steps depend on many others, put one step in between.';
  end if;
  v_order := legwork_private.topological_order(cardinality(v_entries), v_befores, v_afters);
  if cardinality(v_order) < cardinality(v_entries) then
    perform legwork_private.raise_workflow_cycle(v_entries, v_befores, v_afters, v_order);
  end if;

  insert into legwork_private.workflow_run_steps (
    workflow_id, name, position, groups, task, payload, options, delay, depends_on, on_failure, effect,
    compensate, waits_for, waits_how, job_id)
  -- In the order of their dependencies, so that a job is newer than the jobs it depends on. Materialized, so that each step gets exactly one id, in
  -- this order.
  with placed as materialized (
    select x.n, x.position, legwork_private.next_job_id() as job_id
    from (
      select v.n, row_number() over (order by v.i)::integer as position
      from unnest(v_order) with ordinality as v (n, i)
      join unnest(v_entries) j on j.n = v.n and not j.step ? 'steps'
      order by v.i
    ) x
  )
  select
    plan_workflow_steps.workflow_id, e.name, o.position, e.groups, e.step ->> 'task', nullif(e.step -> 'payload', 'null'),
    -- Leaves out the fields that have a different meaning in a workflow step than in a job.
    case when e.step ?| legwork_private.workflow_step_options() then
      jsonb_populate_record(null::legwork_private.job_spec, e.step - array['task', 'payload', 'depends_on']) end,
    (e.step ->> 'delay')::interval,
    array(select coalesce(e.parent || '/', '') || d from legwork_private.workflow_step_dependencies(e.step) d),
    coalesce(e.step ->> 'on_failure', 'stop'),
    coalesce(f.effect, 'stop'), nullif(e.step -> 'compensate', 'null'), coalesce(p.waits_for, '{}'), coalesce(p.waits_how, '{}'), o.job_id
  from unnest(v_entries) e
  left join placed o on o.n = e.n
  left join (
    select w.after, array_agg(b.position order by b.position) as waits_for, array_agg(w.how order by b.position) as waits_how
    from unnest(v_befores, v_afters, v_hows) as w (before, after, how)
    join placed b on b.n = w.before
    group by w.after
  ) p on p.after = e.n
  left join (
    select g.n, case when bool_or(a.step ->> 'on_failure' = 'continue') then 'continue' when bool_or(a.step ->> 'on_failure' = 'compensate') then 'compensate' end as effect
    from (select k.n, unnest(k.groups) as name from unnest(v_entries) k) g
    join unnest(v_entries) a on a.name = g.name
    group by g.n
  ) f on f.n = e.n;
  return (select count(*) from unnest(v_entries) e where not e.step ? 'steps');
end $$;
comment on function legwork_private.plan_workflow_steps(bigint, jsonb) is 'Stores the steps of a workflow. Returns how many of them are jobs. Raises LW400, LW404 or LW413, naming the invalid part.';

create or replace function legwork_private.workflow_flags(run legwork_private.workflow_runs) returns jsonb
language sql immutable parallel safe
return (
  select jsonb_object_agg(f, true)
  from unnest(array['workflow:' || run.id, 'correlation:' || run.correlation_id, 'tenant:' || run.tenant, 'parent:' || run.parent_id]) f
  where f is not null);
comment on function legwork_private.workflow_flags(legwork_private.workflow_runs) is 'The flags of all jobs of a workflow.';

create or replace function legwork_private.create_workflow_step_jobs(workflow_id bigint, made integer[], waiting integer[], open integer[]) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp set enable_nestloop = off set jit = off as $$
declare
  v_run legwork_private.workflow_runs;
  v_flags jsonb;
  v_free integer;
begin
  select * into v_run from legwork_private.workflow_runs r where r.id = create_workflow_step_jobs.workflow_id;
  v_flags := legwork_private.workflow_flags(v_run);
  perform legwork_private.restore_names(array_agg(distinct s.task), array_agg(distinct legwork_private.kept_key((s.options).serial_key, v_run.tenant, 'serial_key')))
  from legwork_private.workflow_run_steps s where s.workflow_id = create_workflow_step_jobs.workflow_id and s.position = any (made);

  with steps as materialized (
    select s.* from legwork_private.workflow_run_steps s where s.workflow_id = create_workflow_step_jobs.workflow_id and s.position is not null
  ), opened as materialized (
    select s.position, s.job_id from steps s join unnest(create_workflow_step_jobs.open) o (position) using (position)
  ), edges as materialized (
    select o.job_id as depends_on, s.job_id, w.how, row_number() over (partition by o.job_id) as n
    from steps s
    join unnest(create_workflow_step_jobs.waiting) a (position) using (position)
    cross join lateral unnest(s.waits_for, s.waits_how) as w (position, how)
    join opened o on o.position = w.position
  ), closing as (
    -- The workflow waits for all of them. If a job also waits for one of them, one row covers both.
    insert into legwork_private.dependencies (depends_on, job_id, run_id, on_failure)
    select e.depends_on, e.job_id, case when e.n = 1 then v_run.id end, e.how from edges e
    union all
    select o.job_id, null, v_run.id, 'run' from opened o where not exists (select from edges e where e.depends_on = o.job_id)
  ), specs as materialized (
    select s.*, t.id as task_id, e.job_id is not null as is_held,
      coalesce((s.options).run_at, case when e.job_id is null then legwork_private.later(now(), s.delay) end, now()) as starts_at
    from steps s
    join unnest(made) m (position) using (position)
    join legwork_private.graphile_tasks t on t.identifier = s.task
    left join (select distinct e.job_id from edges e) e on e.job_id = s.job_id
  ), held as (
    -- Inserted before the jobs, so that the trigger for limits and pauses finds them here.
    insert into legwork_private.waiting_jobs (job_id, task_id, line, gates, priority, run_at, held, delay)
    select s.job_id, s.task_id, legwork_private.line_of('{}', null), '{}', coalesce((s.options).priority, 0), s.starts_at, 'dependency', s.delay
    from specs s where s.is_held
  ), inserted as (
    insert into legwork_private.graphile_jobs (id, job_queue_id, task_id, payload, run_at, max_attempts, priority, flags)
    overriding system value
    select s.job_id, case when (s.options).serial_key is not null then (
        select q.id from legwork_private.graphile_job_queues q where q.queue_name = legwork.tenant_key((s.options).serial_key, v_run.tenant)) end,
      s.task_id, coalesce(s.payload, '{}')::json, case when s.is_held then 'infinity' else s.starts_at end,
      coalesce((s.options).max_attempts, 25), coalesce((s.options).priority, 0),
      v_flags || (select jsonb_object_agg(flag, true) from unnest(array['step:' || s.name] || legwork_private.option_flags(s.options)) as flag)
    from specs s order by s.position
    returning 1
  )
  select count(*) filter (where not s.is_held) into v_free from specs s, (select count(*) from inserted) i;
  if v_free > 0 then
    perform legwork_private.wake_workers(v_free);
  end if;
end $$;
comment on function legwork_private.create_workflow_step_jobs(bigint, integer[], integer[], integer[]) is
  'Creates the jobs of workflow steps and their dependencies. All arguments are positions of steps. made: steps to create jobs for. waiting: steps that may have to wait, '
  'which are the created and the retried ones. open: all steps that have not ended.';
