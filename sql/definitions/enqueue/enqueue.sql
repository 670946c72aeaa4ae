create or replace function legwork.enqueue(
  task text,
  payload jsonb default '{}',
  run_at timestamptz default null,
  priority integer default null,
  job_key text default null,
  job_key_mode text default 'replace',
  serial_key text default null,
  max_attempts integer default null,
  tenant text default null,
  correlation_id text default null,
  expires_at timestamptz default null,
  unique_for interval default null,
  unique_key text default null,
  debounce interval default null,
  debounce_max interval default null,
  throttle interval default null,
  rate_limit integer default null,
  rate_per interval default null,
  rate_key text default null,
  overlap text default 'allow',
  depends_on bigint[] default null,
  on_dependency_failure text default 'cancel'
) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_id bigint;
  v_identity text;
  v_flags text[] := legwork_private.context_flags(tenant, correlation_id);
  v_run_at timestamptz := run_at;
  v_key_mode text := job_key_mode;
  v_tenant text;
  v_job_key text;
  v_serial_key text;
begin
  perform legwork_private.assert_may('enqueuer');
  if legwork_private.confined_tenant() is not null then
    tenant := legwork_private.own_tenant(tenant);
    v_flags := legwork_private.context_flags(tenant, correlation_id);
  end if;
  perform legwork_private.assert_task(task);
  if not coalesce(run_at between legwork_private.first_time() and legwork_private.last_time() and priority between -32768 and 32767 and max_attempts between 1 and 32767, true) then
    perform legwork_private.assert_time('run_at', run_at), legwork_private.assert_job_numbers(priority, max_attempts);
  end if;
  -- Names are everybody's in graphile-worker: a tenant has its own.
  if num_nonnulls(job_key, serial_key, rate_limit) > 0 then
    v_tenant := coalesce(tenant, nullif(current_setting('legwork.tenant', true), ''));
    v_job_key := legwork_private.kept_key(job_key, v_tenant);
    v_serial_key := legwork_private.kept_key(serial_key, v_tenant, 'serial_key');
  end if;
  -- Most requests have none of these and skip all of it.
  if overlap <> 'allow' or num_nonnulls(
    expires_at, unique_for, unique_key, debounce, debounce_max, throttle, rate_limit, rate_per, rate_key) > 0
  then
    perform legwork_private.assert_enqueue_limits(run_at, job_key, job_key_mode, expires_at, unique_for, unique_key, debounce,
      debounce_max, throttle, rate_limit, rate_per, rate_key, overlap);
    if unique_for is not null then
      v_identity := legwork_private.unique_identity(task, payload, tenant, unique_key);
      v_id := legwork_private.claim_unique(v_identity, unique_for);
      if v_id is not null then
        return v_id;
      end if;
    end if;
    if rate_limit is not null then
      perform legwork_private.count_request(legwork.tenant_key(coalesce(rate_key, task), v_tenant), rate_limit, rate_per);
    end if;
    if num_nonnulls(debounce, throttle) > 0 then
      v_run_at := legwork_private.paced_start(v_job_key, debounce, debounce_max, throttle);
      -- A throttled job that waits already has its place.
      v_key_mode := case when throttle is null then 'replace' else 'preserve_run_at' end;
    end if;
    if overlap = 'serial' and serial_key is null then
      -- graphile-worker takes serial keys of 128 characters and job keys of 512.
      v_serial_key := legwork.tenant_key(
        'job_key:' || case when length(job_key) <= 120 - length(legwork_private.key_prefix(v_tenant)) then job_key else md5(job_key) end, v_tenant);
    end if;
    if isfinite(expires_at) then
      if expires_at <= greatest(v_run_at, clock_timestamp()) then
        raise exception 'The job would expire at %, before it may start at %.', expires_at, greatest(v_run_at, clock_timestamp()) using
          errcode = 'LW400', hint = 'Nothing was enqueued. Give a later expires_at.';
      end if;
      v_flags := v_flags || ('expires:' || ceil(extract(epoch from expires_at) * 1000)::bigint);
    end if;
  end if;

  -- A keyed add_job finds the old job free, a worker takes that job, and the request is neither merged nor inserted:
  -- add_job returns null. Every round is a statement of its own and sees that the job is now running, so the next one inserts.
  v_id := null;
  for v_round in 1..100 loop
    select j.id into v_id
    from graphile_worker.add_job(
      identifier => enqueue.task, payload => enqueue.payload::json, queue_name => v_serial_key,
      run_at => v_run_at, max_attempts => enqueue.max_attempts, job_key => v_job_key,
      priority => enqueue.priority, flags => v_flags, job_key_mode => v_key_mode
    ) j;
    exit when v_id is not null;
  end loop;
  if v_id is null then
    raise exception 'The job with key ''%'' is being taken and given back too fast to be replaced.', job_key using
      errcode = 'LW409', hint = 'Nothing was enqueued. Try again, or use another key.';
  end if;

  if v_identity is not null then
    update legwork_private.unique_requests u set job_id = v_id where u.key = v_identity;
  end if;
  if num_nonnulls(debounce, throttle) > 0 then
    update legwork_private.paced_keys p set job_id = v_id where p.job_key = v_job_key;
  end if;
  if isfinite(expires_at) then
    -- From the job, because unsafe_dedupe keeps the one that is there, with its own time or none.
    insert into legwork_private.expirations (job_id, expires_at)
    select j.id, legwork_private.expiry_of(j.flags) from graphile_worker._private_jobs j
    where j.id = v_id and legwork_private.expiry_of(j.flags) is not null
    on conflict on constraint expirations_pkey do update set expires_at = excluded.expires_at;
  end if;
  if cardinality(depends_on) > 0 then
    perform legwork_private.add_dependencies(v_id, depends_on, on_dependency_failure);
  end if;
  return v_id;
end $$;
comment on function legwork.enqueue(text, jsonb, timestamptz, integer, text, text, text, integer, text, text, timestamptz, interval,
  text, interval, interval, interval, integer, interval, text, text, bigint[], text) is
  'Enqueues a job in the caller''s transaction and returns its id: it exists when the transaction commits and not before. '
  'task: a known task. payload: what the task is given, {} by default. run_at: when it may start, now by default. '
  'priority: smaller runs first, 0 by default. job_key: while a job with this key waits, it is replaced (job_key_mode replace), '
  'replaced but for its run_at (preserve_run_at) or kept (unsafe_dedupe). serial_key: jobs that share it run one at a time. '
  'max_attempts: 25 by default. tenant and correlation_id: kept with the job and in its history. Each tenant has job keys, serial keys, unique keys and rate keys of its own. '
  'expires_at: a job that has not started by then ends as expired. unique_for: for that long the same request makes no other job '
  'and returns the id of this one; the same means tenant, task and payload, or unique_key in place of the payload. '
  'debounce, with job_key: each request replaces the waiting job and moves its start that far ahead, but never further than '
  'debounce_max after the first. throttle, with job_key: one start in that time; requests between are merged into one job that runs when '
  'it is over. rate_limit and rate_per: at most so many requests in any such time, counted by rate_key (the task by default). '
  'overlap serial, with job_key: a job enqueued while one with its key runs waits for that one; allow by default. '
  'depends_on: jobs that have to end before it may start; a keyed job that waits goes on waiting for those it was enqueued with before. on_dependency_failure: what '
  'happens when one of them ends otherwise than completed: cancel, the default, cancels it too; run lets it run. '
  'Raises LW404 for an unknown task or dependency, LW409 when a keyed job cannot be replaced, LW400 for options that do not go together, LW429 '
  'over the rate limit, with the time to come back as the error''s detail. Times lie between 1970 and 9999, intervals between a millisecond and 100 years, priority between '
  '-32768 and 32767, max_attempts between 1 and 32767: LW400 names the one that does not.';

-- Enqueueing and telling of tasks take no other right than to call these: a login that enqueues reads no payload, a worker's writes no rule.
revoke execute on function legwork.enqueue from public;

create or replace function legwork_private.assert_job_fields(job jsonb) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.read_time(f.name, job ->> f.name) from unnest(array['run_at', 'expires_at']) as f (name)
  -- No expiry is an infinite one.
  where not (f.name = 'expires_at' and job ->> f.name = 'infinity');
  perform legwork_private.read_number(f.name, job ->> f.name, f.low, f.high)
  from (values ('priority', -32768, 32767), ('max_attempts', 1, 32767), ('rate_limit', 1, 2147483647)) as f (name, low, high);
  perform legwork_private.read_interval(f.name, job ->> f.name, '1 millisecond')
  from unnest(array['unique_for', 'debounce', 'debounce_max', 'throttle', 'rate_per']) as f (name);
end $$;
comment on function legwork_private.assert_job_fields(jsonb) is
  'Does nothing for a job of legwork.enqueue_many whose times, intervals and numbers are within bounds. Raises LW400 with the field, the value and the range.';

create or replace function legwork.enqueue_many(jobs jsonb) returns setof bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_unknown text;
  v_ids bigint[];
  v_tenant text := nullif(current_setting('legwork.tenant', true), '');
begin
  perform legwork_private.assert_may('enqueuer');
  if jobs is null or jsonb_typeof(jobs) <> 'array' then
    raise exception 'enqueue_many takes a JSON array of jobs, not %.', coalesce(jsonb_typeof(jobs), 'null') using
      errcode = 'LW400', hint = 'For example: [{"task": "notify/email", "payload": {"to": "a@b.c"}}].';
  end if;
  select key into v_unknown
  from jsonb_array_elements(jobs) as element, lateral jsonb_object_keys(element) as key
  where key <> all (array['task', 'payload', 'run_at', 'priority', 'job_key', 'job_key_mode', 'serial_key',
    'max_attempts', 'tenant', 'correlation_id', 'expires_at', 'unique_for', 'unique_key', 'debounce', 'debounce_max', 'throttle',
    'rate_limit', 'rate_per', 'rate_key', 'overlap', 'depends_on', 'on_dependency_failure'])
  limit 1;
  if v_unknown is not null then
    raise exception 'A job has no field ''%''.', v_unknown using errcode = 'LW400',
      hint = 'Fields are task, payload, run_at, priority, job_key, job_key_mode, serial_key, '
        'max_attempts, tenant, correlation_id, expires_at, unique_for, unique_key, debounce, debounce_max, throttle, rate_limit, '
        'rate_per, rate_key, overlap, depends_on and on_dependency_failure.';
  end if;
  -- What is plainly within bounds is not looked at more closely.
  perform legwork_private.assert_job_fields(element)
  from jsonb_array_elements(jobs) as element
  where element ->> 'run_at' !~ '^(19[7-9]|[2-9]\d\d)\d-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?Z$'
    or element ->> 'priority' !~ '^-?\d{1,4}$' or element ->> 'max_attempts' !~ '^[1-9]\d{0,3}$'
    or element ?| array['expires_at', 'unique_for', 'debounce', 'debounce_max', 'throttle', 'rate_limit', 'rate_per'];
  perform legwork_private.assert_task(t.task)
  from (select distinct coalesce(element ->> 'task', '') as task from jsonb_array_elements(jobs) as element) t;

  -- Keys and limits must be compared with what is there, one after the other; everything else is one statement. The ids are drawn
  -- first, because add_jobs does not promise to return jobs in the order it was given them.
  if exists (select from jsonb_array_elements(jobs) as element
    where element ?| array['job_key', 'expires_at', 'unique_for', 'unique_key', 'debounce', 'debounce_max', 'throttle', 'rate_limit',
      'rate_per', 'rate_key', 'overlap', 'depends_on', 'on_dependency_failure'])
  then
    return query
      select legwork.enqueue(
        task => j.task, payload => coalesce(j.payload, '{}'), run_at => j.run_at, priority => j.priority,
        job_key => j.job_key, job_key_mode => coalesce(j.job_key_mode, 'replace'), serial_key => j.serial_key,
        max_attempts => j.max_attempts, tenant => j.tenant, correlation_id => j.correlation_id, expires_at => j.expires_at,
        unique_for => j.unique_for, unique_key => j.unique_key, debounce => j.debounce, debounce_max => j.debounce_max,
        throttle => j.throttle, rate_limit => j.rate_limit, rate_per => j.rate_per, rate_key => j.rate_key,
        overlap => coalesce(j.overlap, 'allow'), depends_on => j.depends_on,
        on_dependency_failure => coalesce(j.on_dependency_failure, 'cancel'))
      from rows from (jsonb_to_recordset(jobs) as (
        task text, payload jsonb, run_at timestamptz, priority integer, job_key text, job_key_mode text,
        serial_key text, max_attempts integer, tenant text, correlation_id text, expires_at timestamptz, unique_for interval,
        unique_key text, debounce interval, debounce_max interval, throttle interval, rate_limit integer, rate_per interval,
        rate_key text, overlap text, depends_on bigint[], on_dependency_failure text)) with ordinality
        as j (task, payload, run_at, priority, job_key, job_key_mode, serial_key, max_attempts, tenant, correlation_id, expires_at,
          unique_for, unique_key, debounce, debounce_max, throttle, rate_limit, rate_per, rate_key, overlap, depends_on,
          on_dependency_failure, n)
      order by j.n;
    return;
  end if;

  if legwork_private.confined_tenant() is not null then
    jobs := (
      select coalesce(jsonb_agg(e.element || jsonb_strip_nulls(jsonb_build_object(
        'tenant', legwork_private.own_tenant(e.element ->> 'tenant'))) order by e.n), '[]')
      from jsonb_array_elements(jobs) with ordinality as e (element, n));
  end if;
  -- graphile-worker's clean-up of unused tasks may have taken the names.
  insert into graphile_worker._private_tasks (identifier)
  select distinct element ->> 'task' from jsonb_array_elements(jobs) as element
  where not exists (select from graphile_worker._private_tasks t where t.identifier = element ->> 'task')
  on conflict do nothing;
  insert into graphile_worker._private_job_queues (queue_name)
  select distinct k.name
  from jsonb_array_elements(jobs) as element
  cross join lateral (
    select legwork_private.kept_key(element ->> 'serial_key', coalesce(element ->> 'tenant', v_tenant), 'serial_key') as name offset 0
  ) k
  where element ->> 'serial_key' is not null and not exists (select from graphile_worker._private_job_queues q where q.queue_name = k.name)
  on conflict do nothing;

  with specs as (
    select j.*, legwork.tenant_key(j.serial_key, coalesce(j.tenant, v_tenant)) as queue_name, nextval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id')) as id
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
      (select q.id from graphile_worker._private_job_queues q where q.queue_name = s.queue_name),
      (select t.id from graphile_worker._private_tasks t where t.identifier = s.task),
      coalesce(s.payload, '{}')::json, coalesce(s.run_at, now()), coalesce(s.max_attempts, 25), coalesce(s.priority, 0),
      (select jsonb_object_agg(flag, true) from unnest(legwork_private.context_flags(s.tenant, s.correlation_id)) as flag)
    from specs s
    returning id
  )
  select array_agg(s.id order by s.n) into v_ids from specs s join inserted i using (id);
  perform legwork_private.wake_workers(coalesce(cardinality(v_ids), 0));
  return query select unnest(v_ids);
end $$;
comment on function legwork.enqueue_many(jsonb) is
  'Enqueues an array of jobs in the caller''s transaction and returns their ids in the same order. Each is an object with '
  'the parameters of legwork.enqueue as fields; only task is required. All or nothing: raises LW400 for a field that does '
  'not exist, LW404 for an unknown task, and what legwork.enqueue raises for any of them.';
revoke execute on function legwork.enqueue_many(jsonb) from public;
