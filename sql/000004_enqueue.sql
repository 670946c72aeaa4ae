-- Enqueueing: thin over graphile_worker.add_job, in the caller's transaction, and never losing a request.

create function legwork.nearest_name(name text, candidates text[]) returns text
language sql immutable parallel safe
return (
  -- Dice's coefficient over pairs of neighbouring letters; 0.4 is where suggestions stop looking like typing errors.
  select c.candidate
  from unnest(candidates) as c (candidate)
  cross join lateral (
    select 2.0 * count(*) filter (where a.pair is not null and b.pair is not null)
      / nullif(count(a.pair) + count(b.pair), 0) as likeness
    from (select distinct substr(lower(name), i, 2) as pair from generate_series(1, length(name) - 1) i) a
    full join (select distinct substr(lower(c.candidate), i, 2) as pair from generate_series(1, length(c.candidate) - 1) i) b
      using (pair)
  ) l
  where l.likeness >= 0.4
  order by l.likeness desc, c.candidate
  limit 1
);
comment on function legwork.nearest_name(text, text[]) is 'The candidate that looks most like a mistyped name; null when none does.';

create function legwork.assert_task(task text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_nearest text;
begin
  if exists (select from graphile_worker._private_tasks t where t.identifier = assert_task.task) then
    return;
  end if;
  v_nearest := legwork.nearest_name(assert_task.task, array(select t.identifier from graphile_worker._private_tasks t));
  raise exception 'No task is called ''%''.', assert_task.task using
    errcode = 'LW404',
    hint = case when v_nearest is not null then format('Did you mean ''%s''? ', v_nearest) else '' end
      || 'Tasks are known once a worker that has them has started; select name from legwork.tasks lists them.';
end $$;
comment on function legwork.assert_task(text) is 'Does nothing for a known task. Raises LW404 with the nearest name for an unknown one.';

create function legwork.enqueue(
  task text,
  payload jsonb default '{}',
  run_at timestamptz default null,
  priority integer default null,
  job_key text default null,
  job_key_mode text default 'replace',
  serial_key text default null,
  max_attempts integer default null,
  tenant text default null,
  correlation_id text default null
) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_id bigint;
  v_flags text[] := legwork.context_flags(tenant, correlation_id);
begin
  perform legwork.assert_task(task);
  -- A keyed add_job finds the old job free, a worker takes that job, and the request is neither merged nor inserted:
  -- add_job returns null. Every round is a statement of its own and sees that the job is now running, so the next one inserts.
  for v_round in 1..100 loop
    select j.id into v_id
    from graphile_worker.add_job(
      identifier => enqueue.task, payload => enqueue.payload::json, queue_name => enqueue.serial_key,
      run_at => enqueue.run_at, max_attempts => enqueue.max_attempts, job_key => enqueue.job_key,
      priority => enqueue.priority, flags => v_flags, job_key_mode => enqueue.job_key_mode
    ) j;
    if v_id is not null then
      return v_id;
    end if;
  end loop;
  raise exception 'The job with key ''%'' is being taken and given back too fast to be replaced.', job_key using
    errcode = 'LW409', hint = 'Nothing was enqueued. Try again, or use another key.';
end $$;

create function legwork.context_flags(tenant text, correlation_id text) returns text[]
language sql stable
return nullif(array_remove(array[
  'tenant:' || coalesce(tenant, nullif(current_setting('legwork.tenant', true), '')),
  'correlation:' || coalesce(correlation_id, nullif(current_setting('legwork.correlation_id', true), '')),
  'parent:' || nullif(current_setting('legwork.parent_id', true), '')
], null), '{}');
comment on function legwork.context_flags(text, text) is
  'The flags that carry a job''s context. What is not given comes from the settings legwork.tenant, legwork.correlation_id '
  'and legwork.parent_id, which a running task has on its connection and which anyone may set for a transaction. Null when there is no context.';

comment on function legwork.enqueue(text, jsonb, timestamptz, integer, text, text, text, integer, text, text) is
  'Enqueues a job in the caller''s transaction and returns its id: it exists when the transaction commits and not before. '
  'task: a known task. payload: what the task is given, {} by default. run_at: when it may start, now by default. '
  'priority: smaller runs first, 0 by default. job_key: while a job with this key waits, it is replaced (job_key_mode replace), '
  'replaced but for its run_at (preserve_run_at) or kept (unsafe_dedupe). serial_key: jobs that share it run one at a time. '
  'max_attempts: 25 by default. tenant and correlation_id: kept with the job and in its history. '
  'Raises LW404 for an unknown task and LW409 when a keyed job cannot be replaced.';

create function legwork.enqueue_many(jobs jsonb) returns setof bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_unknown text;
  v_ids bigint[];
begin
  if jobs is null or jsonb_typeof(jobs) <> 'array' then
    raise exception 'enqueue_many takes a JSON array of jobs, not %.', coalesce(jsonb_typeof(jobs), 'null') using
      errcode = 'LW400', hint = 'For example: [{"task": "notify/email", "payload": {"to": "a@b.c"}}].';
  end if;
  select key into v_unknown
  from jsonb_array_elements(jobs) as element, lateral jsonb_object_keys(element) as key
  where key <> all (array['task', 'payload', 'run_at', 'priority', 'job_key', 'job_key_mode', 'serial_key',
    'max_attempts', 'tenant', 'correlation_id'])
  limit 1;
  if v_unknown is not null then
    raise exception 'A job has no field ''%''.', v_unknown using errcode = 'LW400',
      hint = 'Fields are task, payload, run_at, priority, job_key, job_key_mode, serial_key, max_attempts, tenant and correlation_id.';
  end if;
  perform legwork.assert_task(t.task)
  from (select distinct coalesce(element ->> 'task', '') as task from jsonb_array_elements(jobs) as element) t;

  -- Keys must be compared with what waits, one after the other; everything else is one statement. The ids are drawn
  -- first, because add_jobs does not promise to return jobs in the order it was given them.
  if exists (select from jsonb_array_elements(jobs) as element where element ->> 'job_key' is not null) then
    return query
      select legwork.enqueue(
        task => j.task, payload => coalesce(j.payload, '{}'), run_at => j.run_at, priority => j.priority,
        job_key => j.job_key, job_key_mode => coalesce(j.job_key_mode, 'replace'), serial_key => j.serial_key,
        max_attempts => j.max_attempts, tenant => j.tenant, correlation_id => j.correlation_id)
      from rows from (jsonb_to_recordset(jobs) as (
        task text, payload jsonb, run_at timestamptz, priority integer, job_key text, job_key_mode text,
        serial_key text, max_attempts integer, tenant text, correlation_id text)) with ordinality
        as j (task, payload, run_at, priority, job_key, job_key_mode, serial_key, max_attempts, tenant, correlation_id, n)
      order by j.n;
    return;
  end if;

  insert into graphile_worker._private_job_queues (queue_name)
  select distinct element ->> 'serial_key' from jsonb_array_elements(jobs) as element
  where element ->> 'serial_key' is not null
    and not exists (select from graphile_worker._private_job_queues q where q.queue_name = element ->> 'serial_key')
  on conflict do nothing;

  with specs as (
    select j.*, nextval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id')) as id
    from rows from (jsonb_to_recordset(jobs) as (
      task text, payload jsonb, run_at timestamptz, priority integer, serial_key text, max_attempts integer, tenant text,
      correlation_id text)) with ordinality
      as j (task, payload, run_at, priority, serial_key, max_attempts, tenant, correlation_id, n)
    order by j.n
  ), inserted as (
    insert into graphile_worker._private_jobs (id, job_queue_id, task_id, payload, run_at, max_attempts, priority, flags)
    overriding system value
    select
      s.id,
      (select q.id from graphile_worker._private_job_queues q where q.queue_name = s.serial_key),
      (select t.id from graphile_worker._private_tasks t where t.identifier = s.task),
      coalesce(s.payload, '{}')::json, coalesce(s.run_at, now()), coalesce(s.max_attempts, 25), coalesce(s.priority, 0),
      (select jsonb_object_agg(flag, true) from unnest(legwork.context_flags(s.tenant, s.correlation_id)) as flag)
    from specs s
    returning id
  )
  select array_agg(s.id order by s.n) into v_ids from specs s join inserted i using (id);
  perform legwork.wake_workers(coalesce(cardinality(v_ids), 0));
  return query select unnest(v_ids);
end $$;
comment on function legwork.enqueue_many(jsonb) is
  'Enqueues an array of jobs in the caller''s transaction and returns their ids in the same order. Each is an object with '
  'the parameters of legwork.enqueue as fields; only task is required. All or nothing: raises LW400 for a field that does '
  'not exist, LW404 for an unknown task.';

create function legwork.register_tasks(definitions jsonb) returns void
language sql volatile
begin atomic
  insert into graphile_worker._private_tasks (identifier)
  select d.name from jsonb_to_recordset(definitions) as d (name text)
  where not exists (select from graphile_worker._private_tasks t where t.identifier = d.name)
  on conflict do nothing;
  insert into legwork.task_definitions as t (name, description, queue, payload_schema, result_schema, redact)
  select
    d ->> 'name',
    case when d ? 'description' then d ->> 'description' else k.description end,
    case when d ? 'queue' then coalesce(d ->> 'queue', 'default') else coalesce(k.queue, 'default') end,
    case when d ? 'payload_schema' then nullif(d -> 'payload_schema', 'null') else k.payload_schema end,
    case when d ? 'result_schema' then nullif(d -> 'result_schema', 'null') else k.result_schema end,
    case when d ? 'redact' then (
      select array_agg(r.path) from jsonb_array_elements_text(case when jsonb_typeof(d -> 'redact') = 'array' then d -> 'redact' end) as r (path)
      where r.path <> ''
    ) else k.redact end
  from jsonb_array_elements(definitions) as d
  left join legwork.task_definitions k on k.name = d ->> 'name'
  -- In one order everywhere, so that workers starting together wait for each other and do not deadlock.
  order by d ->> 'name'
  on conflict (name) do update set
    description = excluded.description, queue = excluded.queue, payload_schema = excluded.payload_schema,
    result_schema = excluded.result_schema, redact = excluded.redact, updated_at = now()
  where (t.description, t.queue, t.payload_schema, t.result_schema, t.redact)
    is distinct from (excluded.description, excluded.queue, excluded.payload_schema, excluded.result_schema, excluded.redact);
end;
comment on function legwork.register_tasks(jsonb) is
  'Tells the database of tasks: an array of {name, description, queue, payload_schema, result_schema, redact}. A field that is not given '
  'stays as it is, null clears it: [{"name": "a"}] only makes a task known, so that jobs and triggers can be made for it before a '
  'worker has it.';
