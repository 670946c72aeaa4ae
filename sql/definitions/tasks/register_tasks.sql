comment on table legwork_private.task_definitions is 'The definitions of tasks, as registered by workers. Written by legwork_private.register_tasks.';
comment on column legwork_private.task_definitions.name is 'The task''s name: the path of its file in the tasks directory, without the extension.';
comment on column legwork_private.task_definitions.description is 'What the task does, as its author describes it.';
comment on column legwork_private.task_definitions.queue is 'The queue that the task belongs to.';
comment on column legwork_private.task_definitions.payload_schema is 'JSON Schema of the payload; null if the task accepts any payload.';
comment on column legwork_private.task_definitions.result_schema is 'JSON Schema of the result; null if it has none.';
comment on column legwork_private.task_definitions.redact is 'The paths in its payloads and results that are redacted, such as cards.*.number; null if it has none. See legwork.redact.';
comment on column legwork_private.task_definitions.timeout is 'How long an attempt may take; null without a timeout.';
comment on column legwork_private.task_definitions.registered_at is 'When a worker first registered the task.';
comment on column legwork_private.task_definitions.updated_at is 'When a worker last registered a change of the task.';

create or replace function legwork_private.nearest_name(name text, candidates text[]) returns text
language sql immutable parallel safe
return (
  -- Dice's coefficient over pairs of adjacent letters, where the start and the end of a name count as letters. Below 0.4, suggestions no longer look
  -- like typing errors.
  select c.candidate
  from unnest(candidates) as c (candidate)
  cross join lateral (
    select 2.0 * count(*) filter (where a.pair is not null and b.pair is not null)
      / nullif(count(a.pair) + count(b.pair), 0) as likeness
    from (select distinct substr('^' || lower(name) || '$', i, 2) as pair from generate_series(1, length(name) + 1) i) a
    full join (
      select distinct substr('^' || lower(c.candidate) || '$', i, 2) as pair from generate_series(1, length(c.candidate) + 1) i
    ) b using (pair)
  ) l
  where l.likeness >= 0.4
  order by l.likeness desc, c.candidate
  limit 1
);
comment on function legwork_private.nearest_name(text, text[]) is 'The candidate that is most similar to a mistyped name; null if none is similar.';

create or replace function legwork_private.assert_task(task text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_announced text[];
  v_nearest text;
begin
  if exists (select from legwork_private.task_definitions d where d.name = assert_task.task) then
    return;
  end if;
  v_announced := array(select d.name from legwork_private.task_definitions d union select unnest(w.tasks) from legwork_private.worker_processes w);
  v_nearest := legwork_private.nearest_name(task, v_announced);
  -- graphile-worker stores every name that add_job is called with, and a plain worker does not register its tasks. So a name that only
  -- graphile-worker has is considered misspelled if it resembles a registered one and no job with it has ever completed. (graphile-worker's
  -- cleanup deletes names without jobs. The next job adds its name again.)
  if exists (select from legwork_private.graphile_tasks t where t.identifier = assert_task.task)
    and (v_nearest is null or task = any (v_announced)
      or exists (select from legwork_private.task_totals t where t.task = assert_task.task and t.completed > 0)
      or exists (select from legwork_private.finished_jobs f where f.task = assert_task.task and f.state = 'completed'))
  then
    return;
  end if;
  v_nearest := coalesce(v_nearest, legwork_private.nearest_name(task, array(select t.identifier from legwork_private.graphile_tasks t)));
  raise exception 'There is no task named ''%''.', assert_task.task using
    errcode = 'LW404',
    detail = '{"do": "list_tasks"}',
    hint = case when v_nearest is not null then format('Did you mean ''%s''? ', v_nearest) else '' end
      || 'Tasks are known once a worker that has them has started; `select name from legwork.tasks` lists them.';
end $$;
comment on function legwork_private.assert_task(text) is 'Does nothing for a known task: one that a Legwork worker has registered, or a name from add_job that does not look misspelled. Raises LW404, suggesting the most similar name, for any other.';

create or replace function legwork_private.register_tasks(definitions jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_definition jsonb;
  v_moved text[];
  v_refused record;
begin
  select n.kind, n.name into v_refused
  from jsonb_array_elements(definitions) d
  cross join lateral (values ('task', coalesce(d ->> 'name', '')), ('queue', coalesce(d ->> 'queue', 'default'))) n (kind, name)
  where length(n.name) not between 1 and 128 or n.name in ('.', '..')
  limit 1;
  if v_refused.kind is not null then
    raise exception '''%'' is not a valid name for a %.', v_refused.name, v_refused.kind using errcode = 'LW400',
      hint = 'A name must have 1 to 128 characters, and must not be . or .., because a URL cannot contain those.';
  end if;
  perform legwork_private.restore_names(array(select d.name from jsonb_to_recordset(definitions) as d (name text)));
  with before as materialized (
    select k.name, k.queue from legwork_private.task_definitions k
  ), put as (
    insert into legwork_private.task_definitions as t (name, description, queue, payload_schema, result_schema, redact, timeout)
    select
      d ->> 'name',
      case when d ? 'description' then d ->> 'description' else k.description end,
      case when d ? 'queue' then coalesce(d ->> 'queue', 'default') else coalesce(k.queue, 'default') end,
      case when d ? 'payload_schema' then nullif(d -> 'payload_schema', 'null') else k.payload_schema end,
      case when d ? 'result_schema' then nullif(d -> 'result_schema', 'null') else k.result_schema end,
      case when d ? 'redact' then (
        select array_agg(r.path) from jsonb_array_elements_text(case when jsonb_typeof(d -> 'redact') = 'array' then d -> 'redact' end) as r (path)
        where r.path <> ''
      ) else k.redact end,
      case when d ? 'timeout' then justify_hours(make_interval(secs => (d ->> 'timeout')::double precision / 1000)) else k.timeout end
    from jsonb_array_elements(definitions) as d
    left join legwork_private.task_definitions k on k.name = d ->> 'name'
    -- Always in the same order, so that workers starting together queue up instead of deadlocking.
    order by d ->> 'name'
    on conflict (name) do update set
      description = excluded.description, queue = excluded.queue, payload_schema = excluded.payload_schema,
      result_schema = excluded.result_schema, redact = excluded.redact, timeout = excluded.timeout, updated_at = now()
    where (t.description, t.queue, t.payload_schema, t.result_schema, t.redact, t.timeout)
      is distinct from (excluded.description, excluded.queue, excluded.payload_schema, excluded.result_schema, excluded.redact, excluded.timeout)
    returning t.name, t.queue
  )
  select array_agg(p.name) into v_moved from put p left join before b using (name) where p.queue <> coalesce(b.queue, 'default');
  if v_moved is not null and legwork_private.has_limits_or_pauses() then
    perform legwork_private.apply_limits_and_pauses(array(select t.id from legwork_private.graphile_tasks t where t.identifier = any (v_moved)));
  end if;
  for v_definition in
    select d from jsonb_array_elements(definitions) as d where d ?| array['limits', 'retry'] order by d ->> 'name'
  loop
    if v_definition ? 'limits' then
      perform legwork_private.declare_limits(v_definition ->> 'name', coalesce(nullif(v_definition -> 'limits', 'null'), '[]'));
    end if;
    if v_definition ? 'retry' then
      perform legwork_private.declare_retry(v_definition ->> 'name', v_definition -> 'retry');
    end if;
  end loop;
end $$;
comment on function legwork_private.register_tasks(jsonb) is
  'Registers tasks, given as an array of {name, description, queue, payload_schema, result_schema, redact, timeout, limits, retry}. A field that is not given '
  'stays as it is, and null clears it. [{"name": "a"}] only makes a task known, so that jobs and triggers can be created for it before a '
  'worker has it. limits: [{kind, max, per, key}], where key is an array of names. retry: the parameters of set_retry_policy. timeout: in milliseconds. '
  'Raises LW400 for a name of a task or queue that is empty, longer than 128 characters, or "." or "..".';
revoke execute on function legwork_private.register_tasks(jsonb) from public;

-- graphile-worker's workers read the ids of their tasks once, when they start. Its cleanup GC_TASK_IDENTIFIERS deletes tasks that have no
-- jobs. The next job of such a task would get a new id, which running workers never look for.
create or replace function legwork_private.tg_tasks__keep() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from legwork_private.worker_processes w where old.identifier = any (w.tasks) and w.seen_at > clock_timestamp() - interval '1 minute') then
    return null;
  end if;
  return old;
end $$;
comment on function legwork_private.tg_tasks__keep() is 'Trigger that prevents graphile-worker''s row of a task from being deleted while a running Legwork worker has the task, so that the worker finds its next job.';
revoke execute on function legwork_private.tg_tasks__keep() from public;
