-- Workflows: steps that depend on each other, each of them a job.
--
-- All jobs of a workflow are made at once, in the order of their dependencies; those that have to wait are held by legwork.dependencies. A
-- sub-workflow is laid out into its steps as the workflow starts: what depends on it depends on all of them. The workflow itself waits for
-- its steps by the same rows (run_id), so it ends in the transaction that ends its last step, and only once: under the lock that lets jobs go.

create table legwork.workflow_runs (
  id bigint primary key default nextval('legwork.run_ids'),
  name text not null check (length(name) between 1 and 128),
  state text not null default 'running' check (state in ('running', 'compensating', 'cancelling', 'completed', 'failed', 'cancelled', 'expired')),
  ending text check (ending in ('cancelled', 'expired')),
  reason text,
  tenant text,
  correlation_id text not null,
  parent_id bigint,
  deadline timestamptz,
  total integer not null default 0,
  completed integer not null default 0,
  failed integer not null default 0,
  cancelled integer not null default 0,
  expired integer not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  check ((ended_at is not null) = (state in ('completed', 'failed', 'cancelled', 'expired')))
);
comment on table legwork.workflow_runs is 'One row per workflow that was started. legwork.workflows shows it with its progress.';
comment on column legwork.workflow_runs.id is 'The workflow''s id.';
comment on column legwork.workflow_runs.name is 'What it was called when it was started.';
comment on column legwork.workflow_runs.state is 'running, compensating or cancelling; then completed, failed, cancelled or expired.';
comment on column legwork.workflow_runs.ending is 'What it will be once its running steps have ended: cancelled, or expired for a deadline that has passed.';
comment on column legwork.workflow_runs.reason is 'Why it failed or was cancelled.';
comment on column legwork.workflow_runs.tenant is 'Whose it is.';
comment on column legwork.workflow_runs.correlation_id is 'Shared by all its jobs: workflow: and its id, unless another was given.';
comment on column legwork.workflow_runs.parent_id is 'The job that started it.';
comment on column legwork.workflow_runs.deadline is 'When what has not ended is cancelled.';
comment on column legwork.workflow_runs.total is 'How many steps it has.';
comment on column legwork.workflow_runs.completed is 'Steps that completed. While it runs those that are new are in legwork.run_counts, here and below.';
comment on column legwork.workflow_runs.failed is 'Steps that failed.';
comment on column legwork.workflow_runs.cancelled is 'Steps that were cancelled.';
comment on column legwork.workflow_runs.expired is 'Steps that expired.';
comment on column legwork.workflow_runs.created_at is 'When it was started.';
comment on column legwork.workflow_runs.ended_at is 'When it ended; null before that.';
alter table legwork.workflow_runs enable row level security;
create index workflow_runs_deadline on legwork.workflow_runs (deadline) where ended_at is null;
create index workflow_runs_tenant_id on legwork.workflow_runs (tenant, id) where tenant is not null;

create table legwork.workflow_run_steps (
  workflow_id bigint not null,
  name text not null,
  position integer,
  groups text[] not null,
  task text,
  payload jsonb,
  priority smallint,
  max_attempts smallint,
  run_at timestamptz,
  delay interval,
  serial_key text,
  depends_on text[] not null,
  on_failure text not null,
  effect text not null,
  compensate jsonb,
  waits_for integer[] not null,
  waits_how text[] not null,
  job_id bigint,
  compensation_job_id bigint,
  primary key (workflow_id, name)
);
comment on table legwork.workflow_run_steps is 'The steps of workflows as they were asked for, and the jobs that were made of them. legwork.workflow_steps shows them with their states.';
comment on column legwork.workflow_run_steps.workflow_id is 'The workflow.';
comment on column legwork.workflow_run_steps.name is 'The step''s name; within a sub-workflow behind that one''s name and a slash.';
comment on column legwork.workflow_run_steps.position is 'Its place in an order in which every step comes after those it depends on. Null for a sub-workflow.';
comment on column legwork.workflow_run_steps.groups is 'The sub-workflows it belongs to, and itself.';
comment on column legwork.workflow_run_steps.task is 'The task to run; null for a sub-workflow.';
comment on column legwork.workflow_run_steps.payload is 'What the task is given. Forgotten when a workflow completes one of whose tasks redacts.';
comment on column legwork.workflow_run_steps.priority is 'Smaller runs first.';
comment on column legwork.workflow_run_steps.max_attempts is 'Attempts allowed.';
comment on column legwork.workflow_run_steps.run_at is 'When it may start at the earliest.';
comment on column legwork.workflow_run_steps.delay is 'How long after its last dependency has ended it may start.';
comment on column legwork.workflow_run_steps.serial_key is 'Jobs that share it run one at a time.';
comment on column legwork.workflow_run_steps.depends_on is 'The steps it depends on, as they were named, in full.';
comment on column legwork.workflow_run_steps.on_failure is 'What becomes of those that depend on it when it does not complete: stop, continue or compensate.';
comment on column legwork.workflow_run_steps.effect is 'What becomes of the workflow then: the same, with regard to the sub-workflows it belongs to.';
comment on column legwork.workflow_run_steps.compensate is 'What undoes it: {task, payload}.';
comment on column legwork.workflow_run_steps.waits_for is 'The positions of the steps its job waits for.';
comment on column legwork.workflow_run_steps.waits_how is 'For each of them the on_failure of legwork.dependencies.';
comment on column legwork.workflow_run_steps.job_id is 'Its job; the last one, when the workflow was retried.';
comment on column legwork.workflow_run_steps.compensation_job_id is 'The job that undoes it.';
alter table legwork.workflow_run_steps enable row level security;

create table legwork.kept_ends (
  job_id bigint primary key,
  workflow_id bigint not null,
  state legwork.job_state not null,
  attempts smallint not null,
  result jsonb,
  error text,
  started_at timestamptz,
  finished_at timestamptz not null
);
comment on table legwork.kept_ends is
  'How steps ended whose jobs the history does not show any more, as long as their workflow is kept. Filled just before history is deleted; read it through legwork.end_of.';
comment on column legwork.kept_ends.job_id is 'The job of a step, or of its compensation.';
comment on column legwork.kept_ends.workflow_id is 'The workflow, with which this row is deleted.';
comment on column legwork.kept_ends.state is 'How it ended.';
comment on column legwork.kept_ends.attempts is 'Attempts used.';
comment on column legwork.kept_ends.result is 'What its task returned, redacted as in the history.';
comment on column legwork.kept_ends.error is 'The message of the last error.';
comment on column legwork.kept_ends.started_at is 'When its last attempt started.';
comment on column legwork.kept_ends.finished_at is 'When it ended.';
alter table legwork.kept_ends enable row level security;
create index kept_ends_workflow_id on legwork.kept_ends (workflow_id);

create function legwork.end_of(job_id bigint) returns table (
  state legwork.job_state, attempts smallint, result jsonb, error text, started_at timestamptz, finished_at timestamptz
)
-- Without settings, so that it becomes part of the query.
language sql stable as $$
  select f.state, f.attempts, f.result, f.error, f.started_at, f.finished_at from legwork.finished_jobs f where f.id = end_of.job_id
  union all
  select k.state, k.attempts, k.result, k.error, k.started_at, k.finished_at from legwork.kept_ends k
  where k.job_id = end_of.job_id and not exists (select from legwork.finished_jobs f where f.id = end_of.job_id)
  limit 1
$$;
comment on function legwork.end_of(bigint) is
  'How the job of a step ended, whether or not the history still shows it. No row while it has not ended.';

create function legwork.keep_ends(history regclass, before timestamptz) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  -- Workflows are deleted a whole retention after their end: those that are there and began before that time are few.
  execute format('
    insert into legwork.kept_ends as k (job_id, workflow_id, state, attempts, result, error, started_at, finished_at)
    select distinct on (f.id) f.id, s.workflow_id, f.state, f.attempts, f.result, f.error, f.started_at, f.finished_at
    from legwork.workflow_runs r
    join legwork.workflow_run_steps s on s.workflow_id = r.id
    cross join lateral unnest(array[s.job_id, s.compensation_job_id]) as m (job_id)
    join only %s f on f.id = m.job_id
    where r.created_at < $1 + interval ''1 minute'' and f.finished_at < $1
    on conflict (job_id) do update set
      state = excluded.state, attempts = excluded.attempts, result = excluded.result, error = excluded.error, started_at = excluded.started_at,
      finished_at = excluded.finished_at', history)
  using before;
end $$;
comment on function legwork.keep_ends(regclass, timestamptz) is
  'Keeps how steps of workflows ended that are still kept, from a partition of the history whose rows from before that time are about to be deleted. legwork.maintain_history calls it.';

create type legwork.step_entry as (name text, parent text, groups text[], step jsonb, n integer);
comment on type legwork.step_entry is 'A step while its workflow is being read: name in full, sub-workflow, groups as in workflow_run_steps, what was given, and a number.';

create function legwork.step_entries(steps jsonb) returns table (name text, step jsonb, n bigint)
language sql immutable parallel safe
as $$
  select e.step ->> 'name', e.step, e.n from jsonb_array_elements(case when jsonb_typeof(steps) = 'array' then steps end) with ordinality as e (step, n)
  union all
  select o.key, o.value, o.n from jsonb_each(case when jsonb_typeof(steps) = 'object' then steps end) with ordinality as o (key, value, n)
$$;
comment on function legwork.step_entries(jsonb) is 'The steps of an array of {name, …} or of an object of steps by name.';

create function legwork.step_dependencies(step jsonb) returns setof text
language sql immutable parallel safe
as $$
  select d from jsonb_array_elements_text(case jsonb_typeof(step -> 'depends_on')
    when 'array' then step -> 'depends_on' when 'string' then jsonb_build_array(step -> 'depends_on') end) as d
$$;
comment on function legwork.step_dependencies(jsonb) is 'The names in a step''s depends_on: an array or one name.';

create function legwork.topological_order(nodes integer, befores integer[], afters integer[]) returns integer[]
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_open integer[] := array_fill(0, array[nodes]);
  v_first integer[] := array_fill(0, array[nodes + 1]);
  v_order integer[] := '{}';
  v_read integer := 1;
  v_node integer;
  v_edge integer;
begin
  -- Kahn's algorithm; the pairs come ordered by befores.
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
comment on function legwork.topological_order(integer, integer[], integer[]) is
  'The numbers from 1 in an order in which befores[i] comes before afters[i], for all i; the pairs ordered by befores. Those on a cycle, or behind one, are missing.';

create function legwork.step_fields() returns text[]
language sql immutable parallel safe
return array['name', 'task', 'payload', 'depends_on', 'on_failure', 'compensate', 'max_attempts', 'priority', 'run_at', 'delay', 'serial_key', 'steps'];
comment on function legwork.step_fields() is 'What a step of a workflow can have.';

create function legwork.read_steps(steps jsonb) returns legwork.step_entry[]
language plpgsql stable
-- How many there are the planner cannot know; comparing each with each would take seconds.
set search_path = pg_catalog, pg_temp set enable_nestloop = off set jit = off as $$
declare
  v_entries legwork.step_entry[];
  v_message text;
  v_hint text;
  v_code text;
  v_wrong integer;
  v_problem text;
  v_name text;
  v_step jsonb;
begin
  if steps is null or jsonb_typeof(steps) not in ('array', 'object') then
    raise exception 'The steps of a workflow are an array or an object, not %.', coalesce(jsonb_typeof(steps), 'null') using errcode = 'LW400',
      hint = 'For example [{"name": "a", "task": "import"}, {"name": "b", "task": "report", "depends_on": ["a"]}].';
  end if;
  with recursive flat as (
    select e.name, null::text as parent, array[e.name] as groups, e.step, array[e.n] as place from legwork.step_entries(steps) e
    union all
    select f.name || '/' || e.name, f.name, f.groups || (f.name || '/' || e.name), e.step, f.place || e.n
    from flat f
    cross join lateral legwork.step_entries(f.step -> 'steps') e
    where jsonb_typeof(f.step) = 'object' and f.step ? 'steps' and cardinality(f.groups) < 10
  )
  select array_agg(row(f.name, f.parent, f.groups, f.step, row_number)::legwork.step_entry order by f.row_number) into v_entries
  from (select *, row_number() over (order by place)::integer from flat) f;
  if v_entries is null then
    raise exception 'A workflow needs a step.' using errcode = 'LW400', hint = 'Nothing was started.';
  elsif cardinality(v_entries) > 20000 then
    raise exception 'A workflow has at most 20000 steps, not %.', cardinality(v_entries) using errcode = 'LW413',
      hint = 'legwork.enqueue_batch takes more jobs; or let a step start another workflow.';
  end if;
  -- Which is wrong first and with what; what to say of it is put together for that one only.
  select e.n, x.problem into v_wrong, v_problem
  from unnest(v_entries) e
  cross join lateral (
    select case
      when jsonb_typeof(e.step) <> 'object' then 'object'
      when e.name is null or e.name ~ '(^|/)$' then 'name'
      when length(e.name) > 200 or length(e.name) - coalesce(length(e.parent) + 1, 0) > 64 then 'long'
      when strpos(substr(e.name, coalesce(length(e.parent) + 2, 1)), '/') > 0 then 'slash'
      when e.step - legwork.step_fields() <> '{}' then 'field'
      when (e.step ->> 'task' is null) = (e.step -> 'steps' is null) then 'neither'
      when e.step ? 'steps' and not exists (select from legwork.step_entries(e.step -> 'steps')) then 'empty'
      when e.step ? 'steps' and cardinality(e.groups) = 10 then 'deep'
      when e.step ? 'steps' and e.step ?| array['payload', 'compensate', 'max_attempts', 'priority', 'run_at', 'delay', 'serial_key'] then 'group'
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
    from unnest(v_entries) e where e.n = v_wrong;
    v_code := 'LW400';
    select v_name || m.message, m.hint into v_message, v_hint
    from (values
      ('object', ' is not an object.', 'For example {"name": "a", "task": "import"}.'),
      ('name', ' has no name.', 'Names are texts; other steps name them in depends_on.'),
      ('long', ' has a name of more than 64 characters, or 200 with its sub-workflows.', 'Choose a shorter one.'),
      ('slash', ' has a slash in its name.', 'A slash stands between a sub-workflow and its step.'),
      ('field', ' has a field that no step has: ' || (
          select string_agg(k, ', ') from jsonb_object_keys(case when v_problem = 'field' then v_step - legwork.step_fields() end) k) || '.',
        'Fields are ' || array_to_string(legwork.step_fields(), ', ') || '.'),
      ('neither', ' needs either a task or steps of its own.', 'A step is a job of a task, or a sub-workflow.'),
      ('empty', ' is a sub-workflow without a step.', 'Give it steps, or leave it out.'),
      ('deep', ' is too deep.', 'Sub-workflows nest to ten levels.'),
      ('group', ' is a sub-workflow; payload, compensate and the like belong to its steps.', 'A sub-workflow has name, steps, depends_on and on_failure.'),
      ('on_failure', format(' has the on_failure ''%s''.', v_step ->> 'on_failure'), 'It is stop, continue or compensate.'),
      ('depends_on', ' has a depends_on that does not name steps.', 'It is an array of names.'),
      ('compensate', ' has a compensate that is not {task, payload}.', 'For example {"task": "payment/refund", "payload": {"order": 7}}.')
    ) as m (problem, message, hint)
    where m.problem = v_problem;
  end if;
  if v_message is null then
    select 'LW400', format('There are two steps ''%s''.', e.name), 'Names are unique within a workflow and within a sub-workflow.' into v_code, v_message, v_hint
    from unnest(v_entries) e group by e.name having count(*) > 1 order by min(e.n) limit 1;
  end if;
  if v_message is null then
    select 'LW404', format('Step ''%s'' depends on ''%s'', which is no step beside it.', e.name, d.name),
      coalesce('Did you mean ''' || legwork.nearest_name(d.name, array(
        select regexp_replace(o.name, '^.*/', '') from unnest(v_entries) o where o.parent is not distinct from e.parent and o.name <> e.name)) || '''? ', '')
        || 'A step depends on steps of the same workflow or sub-workflow.'
    into v_code, v_message, v_hint
    from unnest(v_entries) e
    cross join lateral legwork.step_dependencies(e.step) as d (name)
    where not exists (select from unnest(v_entries) o where o.name = coalesce(e.parent || '/', '') || d.name)
    order by e.n limit 1;
  end if;
  if v_message is null then
    select 'LW404', format('Step ''%s'': no task is called ''%s''.', t.step, t.task),
      coalesce('Did you mean ''' || legwork.nearest_name(t.task, array(select k.identifier from graphile_worker._private_tasks k)) || '''? ', '')
        || 'Tasks are known once a worker that has them has started; select name from legwork.tasks lists them.'
    into v_code, v_message, v_hint
    from (
      select e.n, e.name as step, e.step ->> 'task' as task from unnest(v_entries) e
      union all
      select e.n, e.name, e.step #>> '{compensate,task}' from unnest(v_entries) e
    ) t
    where t.task is not null and t.task not in (select k.identifier from graphile_worker._private_tasks k)
    order by t.n limit 1;
  end if;
  if v_message is not null then
    raise exception '%', v_message using errcode = v_code, hint = v_hint;
  end if;
  return v_entries;
end $$;
comment on function legwork.read_steps(jsonb) is
  'The steps of a workflow, sub-workflows laid out. Raises LW400, LW404 or LW413 with the part that is wrong.';

create function legwork.assert_step_values(steps legwork.step_entry[]) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_name text;
  v_step jsonb;
begin
  for v_name, v_step in
    select format('Step ''%s'': ', e.name), e.step from unnest(steps) e
    where e.step ?| array['priority', 'max_attempts', 'run_at', 'delay', 'serial_key'] order by e.n
  loop
    perform legwork.read_number(v_name || 'priority', v_step ->> 'priority', -32768, 32767);
    perform legwork.read_number(v_name || 'max_attempts', v_step ->> 'max_attempts', 1, 32767);
    perform legwork.read_time(v_name || 'run_at', v_step ->> 'run_at');
    perform legwork.read_interval(v_name || 'delay', v_step ->> 'delay');
    if length(v_step ->> 'serial_key') not between 1 and 128 then
      raise exception '%serial_key has % characters; it must have 1 to 128.', v_name, length(v_step ->> 'serial_key') using
        errcode = 'LW400', hint = 'Nothing was started. Leave it out for a step that may run beside any other.';
    end if;
  end loop;
end $$;
comment on function legwork.assert_step_values(legwork.step_entry[]) is
  'Does nothing for steps whose numbers, times and keys a job can have: their jobs are made and let go in the transactions of others. Raises LW400 with the step, the field, the value '
  'and the range.';

create function legwork.plan_steps(workflow_id bigint, steps jsonb) returns integer
language plpgsql volatile set search_path = pg_catalog, pg_temp set enable_nestloop = off set jit = off as $$
declare
  v_entries legwork.step_entry[] := legwork.read_steps(steps);
  v_befores integer[];
  v_afters integer[];
  v_hows text[];
  v_order integer[];
  v_cycle integer[];
  v_node integer;
begin
  perform legwork.assert_step_values(v_entries);
  -- Every job of a sub-workflow waits for what the sub-workflow waits for; what waits for it waits for all its jobs. Where it may fail without
  -- harm (continue), that wait ends however they end, so what holds it back must hold back those too.
  with recursive entries as materialized (
    select e.n, e.name, e.groups, e.step ? 'steps' as is_group, coalesce(e.step ->> 'on_failure', 'stop') as on_failure,
      array(select coalesce(e.parent || '/', '') || d from legwork.step_dependencies(e.step) d) as depends_on
    from unnest(v_entries) e
  ), asked as (
    select e.name, d.name as target from entries e cross join lateral unnest(e.depends_on) as d (name)
  ), wanted as (
    select a.name, a.target from asked a
    union
    select w.name, a.target
    from wanted w
    join entries g on g.name = w.target and g.is_group and g.on_failure = 'continue'
    join asked a on a.name = g.name
  ), within as materialized (
    select e.n, e.on_failure, g.name as of from entries e cross join lateral unnest(e.groups) as g (name) where not e.is_group
  ), pairs as (
    select before.n as before, after.n as after,
      -- The strictest of several: cancel before continue before run.
      min(case when t.is_group and t.on_failure = 'continue' then 'run' when before.on_failure = 'continue' then 'continue' else 'cancel' end) as how
    from wanted w
    join entries t on t.name = w.target
    join within before on before.of = w.target
    join within after on after.of = w.name
    group by before.n, after.n
  )
  select coalesce(array_agg(p.before order by p.before, p.after), '{}'), coalesce(array_agg(p.after order by p.before, p.after), '{}'),
    coalesce(array_agg(p.how order by p.before, p.after), '{}')
  into v_befores, v_afters, v_hows
  from pairs p;
  if cardinality(v_befores) > 200000 then
    raise exception 'A workflow has at most 200000 dependencies, not %.', cardinality(v_befores) using errcode = 'LW413',
      hint = 'Where many steps depend on many, put one between them that they all depend on.';
  end if;
  v_order := legwork.topological_order(cardinality(v_entries), v_befores, v_afters);
  if cardinality(v_order) < cardinality(v_entries) then
    -- From any that is left, one of those before it is left too: going on, one comes by twice.
    select min(x) into v_node from generate_series(1, cardinality(v_entries)) x where x <> all (v_order);
    v_cycle := array[v_node];
    loop
      select p.before into v_node
      from unnest(v_befores, v_afters) as p (before, after)
      where p.after = v_node and p.before <> all (v_order) order by p.before limit 1;
      v_cycle := v_node || v_cycle;
      exit when v_node = any (v_cycle[2:]);
    end loop;
    v_cycle := v_cycle[1:1 + array_position(v_cycle[2:], v_node)];
    raise exception 'The steps depend on each other: %.', (
      select string_agg(e.name, ' → ' order by c.i) from unnest(v_cycle) with ordinality as c (n, i) join unnest(v_entries) e on e.n = c.n)
    using errcode = 'LW400', hint = 'Nothing was started. Take one of these dependencies away.';
  end if;

  insert into legwork.workflow_run_steps (
    workflow_id, name, position, groups, task, payload, priority, max_attempts, run_at, delay, serial_key, depends_on, on_failure, effect,
    compensate, waits_for, waits_how, job_id)
  -- In the order of their dependencies, so that a job is younger than those it depends on. Materialized, so that each step draws one id, in this order.
  with placed as materialized (
    select x.n, x.position, nextval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id')) as job_id
    from (
      select v.n, row_number() over (order by v.i)::integer as position
      from unnest(v_order) with ordinality as v (n, i)
      join unnest(v_entries) j on j.n = v.n and not j.step ? 'steps'
      order by v.i
    ) x
  )
  select
    plan_steps.workflow_id, e.name, o.position, e.groups, e.step ->> 'task', nullif(e.step -> 'payload', 'null'),
    (e.step ->> 'priority')::numeric::smallint, (e.step ->> 'max_attempts')::numeric::smallint, (e.step ->> 'run_at')::timestamptz,
    (e.step ->> 'delay')::interval, e.step ->> 'serial_key',
    array(select coalesce(e.parent || '/', '') || d from legwork.step_dependencies(e.step) d),
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
comment on function legwork.plan_steps(bigint, jsonb) is 'Writes down the steps of a workflow. Returns how many jobs they are. Raises LW400, LW404 or LW413 with the part that is wrong.';

create function legwork.workflow_flags(run legwork.workflow_runs) returns jsonb
language sql immutable parallel safe
return (
  select jsonb_object_agg(f, true)
  from unnest(array['workflow:' || run.id, 'correlation:' || run.correlation_id, 'tenant:' || run.tenant, 'parent:' || run.parent_id]) f
  where f is not null);
comment on function legwork.workflow_flags(legwork.workflow_runs) is 'The flags of all jobs of a workflow.';

create function legwork.make_step_jobs(workflow_id bigint, made integer[], waiting integer[], open integer[]) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp set enable_nestloop = off set jit = off as $$
declare
  v_run legwork.workflow_runs;
  v_flags jsonb;
  v_free integer;
begin
  select * into v_run from legwork.workflow_runs r where r.id = make_step_jobs.workflow_id;
  v_flags := legwork.workflow_flags(v_run);
  insert into graphile_worker._private_tasks (identifier)
  select distinct s.task from legwork.workflow_run_steps s
  where s.workflow_id = make_step_jobs.workflow_id and s.position = any (made)
    and not exists (select from graphile_worker._private_tasks t where t.identifier = s.task)
  on conflict do nothing;
  insert into graphile_worker._private_job_queues (queue_name)
  select distinct k.name
  from legwork.workflow_run_steps s
  cross join lateral (select legwork.kept_key(s.serial_key, v_run.tenant, 'serial_key') as name offset 0) k
  where s.workflow_id = make_step_jobs.workflow_id and s.position = any (made) and s.serial_key is not null
    and not exists (select from graphile_worker._private_job_queues q where q.queue_name = k.name)
  on conflict do nothing;

  with steps as materialized (
    select s.* from legwork.workflow_run_steps s where s.workflow_id = make_step_jobs.workflow_id and s.position is not null
  ), opened as materialized (
    select s.position, s.job_id from steps s join unnest(make_step_jobs.open) o (position) using (position)
  ), edges as materialized (
    select o.job_id as depends_on, s.job_id, w.how, row_number() over (partition by o.job_id) as n
    from steps s
    join unnest(make_step_jobs.waiting) a (position) using (position)
    cross join lateral unnest(s.waits_for, s.waits_how) as w (position, how)
    join opened o on o.position = w.position
  ), closing as (
    -- The workflow waits for all of them; where something else waits for one too, one row says both.
    insert into legwork.dependencies (depends_on, job_id, run_id, on_failure)
    select e.depends_on, e.job_id, case when e.n = 1 then v_run.id end, e.how from edges e
    union all
    select o.job_id, null, v_run.id, 'run' from opened o where not exists (select from edges e where e.depends_on = o.job_id)
  ), specs as materialized (
    select s.*, t.id as task_id, e.job_id is not null as is_held,
      coalesce(s.run_at, case when e.job_id is null then legwork.later(now(), s.delay) end, now()) as starts_at
    from steps s
    join unnest(made) m (position) using (position)
    join graphile_worker._private_tasks t on t.identifier = s.task
    left join (select distinct e.job_id from edges e) e on e.job_id = s.job_id
  ), held as (
    -- Before the jobs, so that the trigger that looks at limits and pauses finds them here.
    insert into legwork.waiting_jobs (job_id, task_id, lane, gates, priority, run_at, held, delay)
    select s.job_id, s.task_id, legwork.lane('{}', null), '{}', coalesce(s.priority, 0), s.starts_at, 'dependency', s.delay
    from specs s where s.is_held
  ), inserted as (
    insert into graphile_worker._private_jobs (id, job_queue_id, task_id, payload, run_at, max_attempts, priority, flags)
    overriding system value
    select s.job_id, case when s.serial_key is not null then (select q.id from graphile_worker._private_job_queues q where q.queue_name = legwork.tenant_key(s.serial_key, v_run.tenant)) end,
      s.task_id, coalesce(s.payload, '{}')::json, case when s.is_held then 'infinity' else s.starts_at end,
      coalesce(s.max_attempts, 25), coalesce(s.priority, 0), v_flags || jsonb_build_object('step:' || s.name, true)
    from specs s order by s.position
    returning 1
  )
  select count(*) filter (where not s.is_held) into v_free from specs s, (select count(*) from inserted) i;
  if v_free > 0 then
    perform legwork.wake_workers(v_free);
  end if;
end $$;
comment on function legwork.make_step_jobs(bigint, integer[], integer[], integer[]) is
  'Makes the jobs of steps, by position, with what they wait for. waiting: those that may wait, the made ones and those that are retried. open: all that have not ended.';

create function legwork.start_workflow(
  name text,
  steps jsonb,
  tenant text default null,
  correlation_id text default null,
  deadline timestamptz default null
) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_id bigint;
  v_total integer;
  v_tenant text := legwork.own_tenant(coalesce(tenant, nullif(current_setting('legwork.tenant', true), '')));
begin
  perform legwork.assert_may('enqueuer');
  if name is null or length(name) not between 1 and 128 then
    raise exception 'A workflow needs a name of 1 to 128 characters.' using errcode = 'LW400', hint = 'It says what kind of workflow it is; many may have the same.';
  elsif deadline <= clock_timestamp() then
    raise exception 'The deadline % has passed.', deadline using errcode = 'LW400', hint = 'Nothing was started. Give a later deadline, or none.';
  end if;
  perform legwork.assert_time('deadline', deadline);
  v_id := nextval('legwork.run_ids');
  v_total := legwork.plan_steps(v_id, steps);
  insert into legwork.workflow_runs (id, name, tenant, correlation_id, parent_id, deadline, total)
  values (
    v_id, start_workflow.name, v_tenant,
    coalesce(start_workflow.correlation_id, nullif(current_setting('legwork.correlation_id', true), ''), 'workflow:' || v_id),
    case when current_setting('legwork.parent_id', true) ~ '^\d{1,18}$'
      or current_setting('legwork.parent_id', true) ~ '^\d{19}$' and current_setting('legwork.parent_id', true) <= '9223372036854775807' then current_setting('legwork.parent_id', true)::bigint end,
    start_workflow.deadline, v_total);
  perform legwork.make_step_jobs(v_id, x.all_of, x.all_of, x.all_of) from (select array(select generate_series(1, v_total)) as all_of) x;
  return v_id;
end $$;
comment on function legwork.start_workflow(text, jsonb, text, text, timestamptz) is
  'Starts a workflow in the caller''s transaction and returns its id. steps: an array of objects, or an object of them by name: name, task, payload, depends_on (names of '
  'steps that have to end before), on_failure (when it does not complete: stop, the default, cancels those that depend on it and the workflow fails; continue lets them run; '
  'compensate is stop, and then the compensate jobs of the steps that completed run in reverse order), compensate ({task, payload}), max_attempts, priority, run_at, delay (after its last '
  'dependency has ended), serial_key; or, in place of a task, steps: a sub-workflow. deadline: what has not ended then is cancelled. tenant and correlation_id: of all its jobs. '
  'Raises LW400 for steps that make no sense, naming the part (a cycle step by step), LW404 for an unknown step or task, LW413 for more than 20000 steps.';
revoke execute on function legwork.start_workflow(text, jsonb, text, text, timestamptz) from public;

create function legwork.compensate_workflow(workflow_id bigint) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_run legwork.workflow_runs;
  v_count integer;
begin
  select * into v_run from legwork.workflow_runs r where r.id = compensate_workflow.workflow_id;
  -- In reverse order of the dependencies: one after the other, each when the one before has ended.
  with undone as materialized (
    select s.name, s.compensate, nextval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id')) as id
    from (
      select o.* from legwork.workflow_run_steps o
      where o.workflow_id = compensate_workflow.workflow_id and o.compensate is not null and o.compensation_job_id is null
        and exists (select from legwork.end_of(o.job_id) f where f.state = 'completed')
      order by o.position desc
    ) s
  ), known as (
    insert into graphile_worker._private_tasks (identifier)
    select distinct u.compensate ->> 'task' from undone u
    where not exists (select from graphile_worker._private_tasks t where t.identifier = u.compensate ->> 'task')
    on conflict do nothing
  ), noted as (
    update legwork.workflow_run_steps s set compensation_job_id = u.id
    from undone u where s.workflow_id = compensate_workflow.workflow_id and s.name = u.name
    returning 1
  )
  select count(*) into v_count from noted;
  if v_count = 0 then
    return false;
  end if;
  with chain as materialized (
    select s.name, s.compensate, s.compensation_job_id as id, t.id as task_id,
      lag(s.compensation_job_id) over (order by s.compensation_job_id) as before,
      lead(s.compensation_job_id) over (order by s.compensation_job_id) as after
    from legwork.workflow_run_steps s
    join graphile_worker._private_tasks t on t.identifier = s.compensate ->> 'task'
    where s.workflow_id = compensate_workflow.workflow_id and s.compensation_job_id is not null
  ), closing as (
    insert into legwork.dependencies (depends_on, job_id, run_id, on_failure) select c.id, c.after, v_run.id, 'run' from chain c
  ), held as (
    insert into legwork.waiting_jobs (job_id, task_id, lane, gates, priority, run_at, held)
    select c.id, c.task_id, legwork.lane('{}', null), '{}', 0, now(), 'dependency' from chain c where c.before is not null
  )
  insert into graphile_worker._private_jobs (id, task_id, payload, run_at, flags)
  overriding system value
  select c.id, c.task_id, coalesce(nullif(c.compensate -> 'payload', 'null'), '{}')::json, case when c.before is null then now() else 'infinity' end,
    legwork.workflow_flags(v_run) || jsonb_build_object('step:' || c.name, true, 'compensates:' || c.name, true)
  from chain c order by c.id;
  perform legwork.wake_workers(1);
  return true;
end $$;
comment on function legwork.compensate_workflow(bigint) is 'Makes the jobs that undo the completed steps of a workflow, the last step first. Returns whether there are any.';

create function legwork.end_workflow(workflow_id bigint) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_run legwork.workflow_runs;
  v_counts record;
  v_state text;
  v_reason text;
  v_compensates boolean;
begin
  -- Somebody is cancelling or retrying it.
  select * into v_run from legwork.workflow_runs r where r.id = end_workflow.workflow_id for update skip locked;
  if v_run.id is null then
    return not exists (select from legwork.workflow_runs r where r.id = end_workflow.workflow_id);
  elsif v_run.ended_at is not null or exists (select from legwork.dependencies d where d.run_id = v_run.id and d.ended_as is null) then
    return true;
  end if;
  select * into v_counts from legwork.counts_of(v_run.id);
  delete from legwork.run_counts c where c.run_id = v_run.id;
  if v_run.state = 'compensating' or v_run.ending is not null and exists (
    select from legwork.workflow_run_steps s where s.workflow_id = v_run.id and s.compensation_job_id is not null)
  then
    -- What was counted are compensations; the steps were counted before.
    v_state := coalesce(v_run.ending, 'failed');
    v_reason := v_run.reason;
  else
    v_run.completed := v_run.completed + v_counts.completed;
    v_run.failed := v_run.failed + v_counts.failed;
    v_run.cancelled := v_run.cancelled + v_counts.cancelled;
    v_run.expired := v_run.expired + v_counts.expired;
    v_state := v_run.ending;
    v_reason := v_run.reason;
    if v_state is null and v_run.completed = v_run.total then
      v_state := 'completed';
    elsif v_state is null then
      with steps as materialized (
        select s.name, s.position, s.effect, s.waits_for, coalesce(f.state, 'cancelled') as state, f.error, f.finished_at
        from legwork.workflow_run_steps s
        left join lateral legwork.end_of(s.job_id) f on true
        where s.workflow_id = v_run.id and s.position is not null
      ), bad as materialized (
        select s.* from steps s where s.state <> 'completed'
      ), causes as (
        -- Not those that were cancelled because of another one.
        select b.* from bad b
        where b.effect <> 'continue' and (b.state <> 'cancelled' or not b.waits_for && array(select o.position from bad o))
      )
      select case when exists (select from bad b where b.effect <> 'continue') then 'failed' else 'completed' end,
        (select format('Step ''%s'' %s%s', c.name, case c.state when 'cancelled' then 'was cancelled' else c.state::text end, coalesce(': ' || c.error, '.'))
         from causes c order by c.finished_at, c.position limit 1),
        exists (select from causes c where c.effect = 'compensate')
      into v_state, v_reason, v_compensates;
      if v_compensates then
        -- What the workflow was given must not fail the transaction that ends its last step, which may end jobs of others too.
        begin
          if legwork.compensate_workflow(v_run.id) then
            v_state := 'compensating';
          end if;
        exception when data_exception or integrity_constraint_violation or program_limit_exceeded or raise_exception then
          v_reason := concat_ws(' ', v_reason, format('Its compensation could not start: %s.', sqlerrm));
        end;
      end if;
    end if;
  end if;
  update legwork.workflow_runs r set
    state = v_state, reason = v_reason, completed = v_run.completed, failed = v_run.failed, cancelled = v_run.cancelled, expired = v_run.expired,
    ended_at = case when v_state <> 'compensating' then clock_timestamp() end
  where r.id = v_run.id;
  if v_state = 'completed' and exists (select from legwork.task_definitions d where d.redact is not null) then
    -- Payloads are kept for a retry, and there will be none.
    update legwork.workflow_run_steps s set payload = null, compensate = null
    where s.workflow_id = v_run.id and exists (
      select from legwork.workflow_run_steps o
      join legwork.task_definitions d on d.name = o.task or d.name = o.compensate ->> 'task'
      where o.workflow_id = v_run.id and d.redact is not null);
  end if;
  return true;
end $$;
comment on function legwork.end_workflow(bigint) is
  'Ends a workflow none of whose jobs is open, or begins to undo it. Its caller holds the advisory lock legwork.admission_lock() or the workflow''s row. Returns false when somebody '
  'else has the row.';

create function legwork.end_run(run_id bigint) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from legwork.workflow_runs r where r.id = end_run.run_id) then
    return legwork.end_workflow(run_id);
  end if;
  return legwork.end_batch(run_id);
end $$;
comment on function legwork.end_run(bigint) is 'Ends a workflow or batch none of whose jobs is open. Returns false when somebody else has its row.';

create function legwork.cancel_steps(workflow_id bigint, reason text, waits boolean) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_ids bigint[] := array(select d.depends_on from legwork.dependencies d where d.run_id = cancel_steps.workflow_id and d.ended_as is null);
  v_waiting bigint[];
  v_told bigint[];
begin
  -- A job's row decides between this and a worker that is just fetching it.
  if waits then
    v_waiting := array(
      select j.id from graphile_worker._private_jobs j where j.id = any (v_ids) order by j.id for update);
  else
    v_waiting := array(
      select j.id from graphile_worker._private_jobs j where j.id = any (v_ids) order by j.id for update skip locked);
  end if;
  perform set_config('legwork.ended_as', 'cancelled', true), set_config('legwork.end_reason', reason, true);
  delete from graphile_worker._private_jobs j where j.id = any (v_waiting) and j.locked_at is null and j.attempts < j.max_attempts;
  perform set_config('legwork.ended_as', '', true), set_config('legwork.end_reason', '', true);
  with told as (
    insert into legwork.cancellations (job_id, reason)
    select j.id, cancel_steps.reason from graphile_worker._private_jobs j where j.id = any (v_waiting) and j.locked_at is not null
    on conflict do nothing
    returning cancellations.job_id
  )
  select array_agg(t.job_id) into v_told from told t;
  perform pg_notify('legwork', json_build_object('cancelled', x::text)::text) from unnest(v_told) x;
end $$;
comment on function legwork.cancel_steps(bigint, text, boolean) is 'Cancels the open jobs of a workflow; those that run are told to stop. waits: for rows that others have locked, in place of passing them over.';

create function legwork.locked_workflow(workflow_id bigint) returns legwork.workflow_runs
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_run legwork.workflow_runs;
begin
  perform legwork.assert_may('operator');
  select * into v_run from legwork.workflow_runs r
  where r.id = locked_workflow.workflow_id and (legwork.confined_tenant() is null or r.tenant = legwork.confined_tenant()) for update;
  if v_run.id is null then
    raise exception 'There is no workflow %.', coalesce(workflow_id::text, 'null') using
      errcode = 'LW404', hint = 'Ended workflows are kept for the setting history_retention; select id, name from legwork.workflows lists them.';
  end if;
  return v_run;
end $$;
comment on function legwork.locked_workflow(bigint) is
  'A workflow''s row, locked, for whoever may change it. Raises LW404 for an unknown one and for another tenant''s, LW403.';

create function legwork.cancel_workflow(workflow_id bigint, reason text default null) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_run legwork.workflow_runs := legwork.locked_workflow(workflow_id);
  v_reason text := 'Cancelled by ' || legwork.who() || coalesce(': ' || nullif(reason, ''), '.');
begin
  if v_run.state = 'cancelled' then
    return v_run.state;
  elsif v_run.ended_at is not null then
    raise exception 'Workflow % has already ended: it is %.', workflow_id, v_run.state using errcode = 'LW409', hint = 'What has ended stays as it is.';
  end if;
  perform legwork.audit('cancel_workflow', 'workflow', v_run.id::text, jsonb_build_object('state', v_run.state),
    jsonb_build_object('state', 'cancelled', 'reason', v_reason), v_run.tenant);
  update legwork.workflow_runs r set ending = 'cancelled', state = 'cancelling', reason = v_reason where r.id = v_run.id;
  perform legwork.cancel_steps(v_run.id, 'Workflow ' || v_run.id || ': ' || v_reason, true);
  perform legwork.end_workflow(v_run.id);
  return (select r.state from legwork.workflow_runs r where r.id = v_run.id);
end $$;
comment on function legwork.cancel_workflow(bigint, text) is
  'Cancels a workflow: steps that wait never start, steps that run are told to stop, nothing is compensated. Returns cancelled, or cancelling while steps '
  'still run. Raises LW404 for an unknown workflow and LW409 for one that has ended otherwise.';
revoke execute on function legwork.cancel_workflow(bigint, text) from public;

create function legwork.expire_workflows(only_workflow bigint default null) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_run legwork.workflow_runs;
begin
  for v_run in
    select r.* from legwork.workflow_runs r where r.ended_at is null and r.deadline <= clock_timestamp() and (r.id = only_workflow or only_workflow is null
      and not exists (select from legwork.set_aside a where a.what = 'deadline' and a.item = r.id::text))
    order by r.deadline limit 100 for update skip locked
  loop
    if v_run.ending is null then
      update legwork.workflow_runs r set ending = 'expired', state = 'cancelling', reason = 'Its deadline ' || to_char(r.deadline at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || ' passed.'
      where r.id = v_run.id;
    end if;
    -- Jobs whose rows are locked are passed over; every tick comes by here until all have ended.
    perform legwork.cancel_steps(v_run.id, 'Workflow ' || v_run.id || ': its deadline passed.', false);
    perform legwork.end_workflow(v_run.id);
  end loop;
end $$;
comment on function legwork.expire_workflows(bigint) is 'Cancels what is open of workflows whose deadline has passed, or of one of them. legwork.tick() calls it.';
revoke execute on function legwork.expire_workflows(bigint) from public;

create function legwork.retry_workflow(workflow_id bigint, deadline timestamptz default null, from_step text default null) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_run legwork.workflow_runs := legwork.locked_workflow(workflow_id);
  v_step record;
  v_made integer[] := '{}';
  v_retried integer[] := '{}';
  v_open integer[] := '{}';
  v_again integer[] := '{}';
  v_kept integer := 0;
begin
  if v_run.state in ('running', 'compensating', 'cancelling') then
    raise exception 'Workflow % cannot be retried: it is %.', workflow_id, v_run.state using errcode = 'LW409', hint = 'Wait for its end, or cancel it.';
  elsif v_run.state = 'completed' and from_step is null then
    raise exception 'Workflow % has completed.', workflow_id using errcode = 'LW409',
      hint = 'Start another one, select legwork.start_workflow(…), or name the step from which on it is run again.';
  elsif v_run.state = 'completed' and exists (
    select from legwork.workflow_run_steps s
    join legwork.task_definitions d on d.name = s.task
    where s.workflow_id = v_run.id and d.redact is not null)
  then
    raise exception 'The payloads of workflow % were forgotten when it completed, because one of its tasks redacts.', workflow_id using errcode = 'LW409',
      hint = 'Start another one: select legwork.start_workflow(…).';
  elsif from_step is not null and not exists (select from legwork.workflow_run_steps s where s.workflow_id = v_run.id and s.name = from_step) then
    raise exception 'Workflow % has no step ''%''.', workflow_id, from_step using errcode = 'LW404', hint =
      coalesce('Did you mean ''' || legwork.nearest_name(from_step, array(select s.name from legwork.workflow_run_steps s where s.workflow_id = v_run.id)) || '''? ', '')
        || 'select name from legwork.workflow_steps where workflow_id = ' || v_run.id || ' lists them.';
  elsif deadline <= clock_timestamp() then
    raise exception 'The deadline % has passed.', deadline using errcode = 'LW400', hint = 'Give a later deadline, or none.';
  end if;
  perform legwork.assert_time('deadline', deadline);
  perform legwork.audit('retry_workflow', 'workflow', v_run.id::text, jsonb_build_object('state', v_run.state), '{"state": "running"}', v_run.tenant);
  -- In the order of dependencies. Rows of failed jobs are locked, so that nobody retries or discards them meanwhile.
  for v_step in
    select s.name, s.position, s.waits_for, s.job_id, coalesce(from_step = any (s.groups || s.name), false) as is_named,
      exists (select from legwork.end_of(s.compensation_job_id) f where f.state in ('completed', 'failed')) as is_undone,
      j.id is not null as has_row, j.id is not null and (j.locked_at is not null or j.attempts < j.max_attempts) as lives,
      (select f.state from legwork.end_of(s.job_id) f) as state
    from legwork.workflow_run_steps s
    left join lateral (select k.* from graphile_worker._private_jobs k where k.id = s.job_id for update) j on true
    where s.workflow_id = v_run.id and s.position is not null
    order by s.position
  loop
    if v_step.is_named or v_step.waits_for && v_again then
      v_again := v_again || v_step.position;
    end if;
    if v_step.lives then
      v_open := v_open || v_step.position;
    elsif v_step.state = 'completed' and not v_step.is_undone and not v_step.position = any (v_again) then
      v_kept := v_kept + 1;
    elsif v_step.state = 'failed' and v_step.has_row and not v_step.waits_for && v_made then
      v_retried := v_retried || v_step.position;
    else
      v_made := v_made || v_step.position;
    end if;
  end loop;
  if v_made = '{}' and v_retried = '{}' and v_open = '{}' then
    raise exception 'Every step of workflow % has completed.', workflow_id using errcode = 'LW409', hint = 'There is nothing to retry.';
  end if;
  -- Failed jobs in whose place another one is made cannot be retried by themselves any more.
  delete from graphile_worker._private_jobs j
  using legwork.workflow_run_steps s
  where s.workflow_id = v_run.id and s.position = any (v_made) and j.id = s.job_id and j.locked_at is null and j.attempts >= j.max_attempts;
  update legwork.workflow_run_steps s set compensation_job_id = null where s.workflow_id = v_run.id and s.compensation_job_id is not null;
  -- Materialized, because the ids have to rise with the positions: joined as a subquery, they may be drawn in any order, and more than once.
  with numbered as materialized (
    select x.position, nextval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id')) as job_id
    from (select unnest(v_made) as position order by 1) x
  )
  update legwork.workflow_run_steps s set job_id = n.job_id from numbered n where s.workflow_id = v_run.id and s.position = n.position;
  update legwork.workflow_runs r set
    state = 'running', ending = null, reason = null, ended_at = null, completed = v_kept, failed = 0, cancelled = 0, expired = 0,
    deadline = coalesce(retry_workflow.deadline, case when r.deadline > clock_timestamp() then r.deadline end)
  where r.id = v_run.id;
  -- Folded just while it was cancelled.
  delete from legwork.run_counts c where c.run_id = v_run.id;
  perform legwork.make_step_jobs(v_run.id, v_made, v_made || v_retried, v_made || v_retried || v_open);
  -- Those that have to wait are sent to the waiting room by the trigger on this.
  update graphile_worker._private_jobs j set attempts = 0, run_at = now(), updated_at = now(), revision = j.revision + 1, flags = legwork.without_expiry(j.flags)
  from legwork.workflow_run_steps s
  where s.workflow_id = v_run.id and s.position = any (v_retried) and j.id = s.job_id;
  if v_retried <> '{}' then
    perform legwork.wake_workers(cardinality(v_retried));
  end if;
  return 'running';
end $$;
comment on function legwork.retry_workflow(bigint, timestamptz, text) is
  'Goes on with a workflow that failed, expired or was cancelled: failed steps are retried, those that were cancelled are made again, completed ones are kept unless they were '
  'compensated. deadline: a new one; one that has passed is dropped. from_step: that step, or the steps of that sub-workflow, and all behind it are run again, also when they, or the '
  'workflow, have completed. Returns running. Raises LW404 for an unknown workflow or step, LW409 for one that runs, that has completed and of which no step is named, or whose payloads were forgotten.';
revoke execute on function legwork.retry_workflow(bigint, timestamptz, text) from public;

create function legwork.step_results(workflow_id bigint) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork.assert_may('viewer');
  return (
    select coalesce(jsonb_object_agg(s.name, case when f.id is not null then f.result else k.result end), '{}')
    from legwork.workflow_run_steps s
    join legwork.workflow_runs r on r.id = s.workflow_id
    -- As legwork.end_of, for all of them at once. A minute, because a worker's clock may be behind; the time keeps old partitions out.
    left join legwork.finished_jobs f on f.id = s.job_id and f.finished_at >= r.created_at - interval '1 minute'
    left join legwork.kept_ends k on k.job_id = s.job_id
    where coalesce(f.state, k.state) = 'completed' and s.workflow_id = step_results.workflow_id and (legwork.confined_tenant() is null or r.tenant = legwork.confined_tenant()));
end $$;
comment on function legwork.step_results(bigint) is
  'What the steps of a workflow that have completed returned, as an object by their names: an empty one for an unknown workflow and for another tenant''s. Raises LW403.';
revoke execute on function legwork.step_results(bigint) from public;

create view legwork.workflows as
select
  r.id, r.name, r.state, r.reason, r.total, r.completed + c.completed as completed, r.failed + c.failed as failed,
  r.cancelled + c.cancelled as cancelled, r.expired + c.expired as expired,
  round(100.0 * (r.completed + c.completed + r.failed + c.failed + r.cancelled + c.cancelled + r.expired + c.expired) / greatest(r.total, 1), 1)::float8 as progress,
  r.tenant, r.correlation_id, r.parent_id, r.deadline, r.created_at, r.ended_at
from legwork.workflow_runs r
cross join lateral (
  select case when x.shown then x.completed else 0 end as completed, case when x.shown then x.failed else 0 end as failed,
    case when x.shown then x.cancelled else 0 end as cancelled, case when x.shown then x.expired else 0 end as expired
  from (
    -- As legwork.counts_of, whose rights would be those of whoever reads.
    select coalesce(sum(n.completed), 0)::bigint as completed, coalesce(sum(n.failed), 0)::bigint as failed,
      coalesce(sum(n.cancelled), 0)::bigint as cancelled, coalesce(sum(n.expired), 0)::bigint as expired,
      r.ended_at is null and not exists (
        select from legwork.workflow_run_steps s where s.workflow_id = r.id and s.compensation_job_id is not null) as shown
    from legwork.run_counts n where n.run_id = r.id
  ) x
) c;
comment on view legwork.workflows is 'Every workflow with its state and progress. Order by id: newest last.';
comment on column legwork.workflows.id is E'@notNull\nThe workflow''s id.';
comment on column legwork.workflows.name is E'@notNull\nWhat it was called when it was started.';
comment on column legwork.workflows.state is E'@notNull\nrunning, compensating (completed steps are being undone) or cancelling (steps that were told to stop still run); then completed, failed, cancelled or expired.';
comment on column legwork.workflows.reason is 'Why it failed or was cancelled.';
comment on column legwork.workflows.total is E'@notNull\nHow many steps it has.';
comment on column legwork.workflows.completed is E'@notNull\nSteps that have completed.';
comment on column legwork.workflows.failed is E'@notNull\nSteps that have failed.';
comment on column legwork.workflows.cancelled is E'@notNull\nSteps that were cancelled.';
comment on column legwork.workflows.expired is E'@notNull\nSteps that have expired.';
comment on column legwork.workflows.progress is E'@notNull\nHow many of its steps have ended, in percent.';
comment on column legwork.workflows.tenant is 'Whose it is.';
comment on column legwork.workflows.correlation_id is E'@notNull\nShared by all its jobs.';
comment on column legwork.workflows.parent_id is 'The job that started it.';
comment on column legwork.workflows.deadline is 'When what has not ended is cancelled.';
comment on column legwork.workflows.created_at is E'@notNull\nWhen it was started.';
comment on column legwork.workflows.ended_at is 'When it ended; null before that.';

create view legwork.workflow_steps as
select
  s.workflow_id, s.name, s.position, s.task, s.depends_on, s.on_failure, s.job_id, coalesce(j.state, k.state) as state,
  coalesce(j.attempts, k.attempts, 0) as attempts,
  case when j.state is null then k.result else j.result end as result, case when j.state is null then k.error else j.error end as error,
  case when j.state is null then k.started_at else j.started_at end as started_at,
  case when j.state is null then k.finished_at else j.finished_at end as finished_at, s.compensation_job_id,
  coalesce((select o.state from legwork.jobs o where o.id = s.compensation_job_id limit 1),
    (select e.state from legwork.kept_ends e where e.job_id = s.compensation_job_id)) as compensation_state, r.tenant
from legwork.workflow_run_steps s
join legwork.workflow_runs r on r.id = s.workflow_id
left join lateral (
  select o.state, o.attempts, o.result, o.error, o.started_at, o.finished_at from legwork.jobs o where o.id = s.job_id limit 1
) j on true
-- What the history does not show any more.
left join legwork.kept_ends k on k.job_id = s.job_id
where s.position is not null;
comment on view legwork.workflow_steps is 'The steps of workflows with the states of their jobs. Look up by workflow_id; order by position.';
comment on column legwork.workflow_steps.workflow_id is E'@notNull\nThe workflow.';
comment on column legwork.workflow_steps.name is E'@notNull\nThe step''s name, behind the names of the sub-workflows it belongs to.';
comment on column legwork.workflow_steps.position is E'@notNull\nIts place in an order in which every step comes after those it depends on.';
comment on column legwork.workflow_steps.task is E'@notNull\nThe task.';
comment on column legwork.workflow_steps.depends_on is E'@notNull\nThe steps and sub-workflows it was said to depend on.';
comment on column legwork.workflow_steps.on_failure is E'@notNull\nstop, continue or compensate.';
comment on column legwork.workflow_steps.job_id is E'@notNull\nIts job.';
comment on column legwork.workflow_steps.state is 'The job''s state, kept as long as the workflow is; null when its history was deleted by hand.';
comment on column legwork.workflow_steps.attempts is E'@notNull\nThe job''s attempts.';
comment on column legwork.workflow_steps.result is 'What its task returned; null until it has completed.';
comment on column legwork.workflow_steps.error is 'The message of the last error.';
comment on column legwork.workflow_steps.started_at is 'When its last attempt started.';
comment on column legwork.workflow_steps.finished_at is 'When it ended; null before that.';
comment on column legwork.workflow_steps.compensation_job_id is 'The job that undoes it; null when nothing does.';
comment on column legwork.workflow_steps.compensation_state is 'That job''s state.';
comment on column legwork.workflow_steps.tenant is 'Whose it is.';
