-- Enqueues a single job; every job that is not part of a multi-row insert goes through here. It has no search_path of its own, because its callers,
-- legwork.enqueue and legwork.enqueue_many, have set one.
create or replace function legwork_private.enqueue_job(spec legwork_private.job_spec) returns bigint
language plpgsql volatile as $$
declare
  v_id bigint;
  v_identity text;
  v_flags text[];
  v_run_at timestamptz := spec.run_at;
  v_key_mode text := coalesce(spec.job_key_mode, 'replace');
  v_tenant text;
  v_job_key text;
  v_serial_key text;
  v_revision integer;
begin
  if legwork_private.confined_tenant() is not null then
    spec.tenant := legwork_private.own_tenant(spec.tenant);
  end if;
  if spec.payload is null then
    spec.payload := '{}';
  end if;
  perform legwork_private.assert_task(coalesce(spec.task, ''));
  if not coalesce(spec.run_at between legwork_private.first_time() and legwork_private.last_time()
    and spec.priority between -32768 and 32767 and spec.max_attempts between 1 and 32767, true)
  then
    perform legwork_private.assert_time('run_at', spec.run_at), legwork_private.assert_job_numbers(spec.priority, spec.max_attempts);
  end if;
  -- graphile-worker's keys are shared by all tenants. Legwork gives each tenant its own namespace.
  if num_nonnulls(spec.job_key, spec.serial_key, spec.rate_limit) > 0 then
    v_tenant := coalesce(spec.tenant, nullif(current_setting('legwork.tenant', true), ''));
    v_job_key := legwork_private.kept_key(spec.job_key, v_tenant);
    v_serial_key := legwork_private.kept_key(spec.serial_key, v_tenant, 'serial_key');
  end if;
  -- Most requests have none of these options and skip this block.
  if spec.overlap <> 'allow' or num_nonnulls(spec.expires_at, spec.unique_for, spec.unique_key, spec.debounce, spec.debounce_max, spec.throttle,
    spec.rate_limit, spec.rate_per, spec.rate_key) > 0
  then
    perform legwork_private.assert_enqueue_limits(spec);
    if spec.unique_for is not null then
      v_identity := legwork_private.unique_identity(spec.task, spec.payload, spec.tenant, spec.unique_key);
      v_id := legwork_private.claim_unique(v_identity, spec.unique_for);
      if v_id is not null then
        perform set_config('legwork.merged', 'uniqueFor', true);
        return v_id;
      end if;
    end if;
    if spec.rate_limit is not null then
      perform legwork_private.count_against_quota(legwork.tenant_key(coalesce(spec.rate_key, spec.task), v_tenant), spec.rate_limit::integer, spec.rate_per);
    end if;
    if num_nonnulls(spec.debounce, spec.throttle) > 0 then
      v_run_at := legwork_private.paced_start(v_job_key, spec.debounce, spec.debounce_max, spec.throttle);
      -- A waiting throttled job keeps its run_at.
      v_key_mode := case when spec.throttle is null then 'replace' else 'preserve_run_at' end;
    end if;
    if spec.overlap = 'serial' and spec.serial_key is null then
      -- graphile-worker accepts serial keys of up to 128 characters and job keys of up to 512.
      v_serial_key := legwork.tenant_key('job_key:' || case
        when length(spec.job_key) <= 120 - length(legwork_private.key_prefix(v_tenant)) then spec.job_key else md5(spec.job_key) end, v_tenant);
    end if;
    if spec.expires_at <= greatest(v_run_at, clock_timestamp()) and isfinite(spec.expires_at) then
      raise exception 'The job would expire at %, before it can start at %.', spec.expires_at, greatest(v_run_at, clock_timestamp()) using
        errcode = 'LW400', hint = 'Nothing was enqueued. Choose a later expires_at.';
    end if;
  end if;
  v_flags := legwork_private.context_flags(spec.tenant, spec.correlation_id) || legwork_private.option_flags(spec);

  -- If a worker fetches the old job just after a keyed add_job has found it free, the request is neither merged nor inserted, and
  -- add_job returns null. Each round is a separate statement and sees that the job is now running, so the next round inserts.
  v_id := null;
  for v_round in 1..100 loop
    select j.id, j.revision into v_id, v_revision
    from graphile_worker.add_job(
      identifier => spec.task, payload => spec.payload::json, queue_name => v_serial_key,
      run_at => v_run_at, max_attempts => spec.max_attempts::integer, job_key => v_job_key,
      priority => spec.priority::integer, flags => v_flags, job_key_mode => v_key_mode
    ) j;
    exit when v_id is not null;
  end loop;
  if v_id is null then
    raise exception 'The job with key ''%'' cannot be replaced, because workers keep fetching and returning it.', spec.job_key using
      errcode = 'LW409', hint = 'Nothing was enqueued. Try again, or use another key.';
  end if;

  -- For clients that tell their callers what happened (src/jobs/enqueue.ts). A request without a key always creates a job, so it sets nothing.
  if num_nonnulls(v_job_key, v_identity) > 0 then
    perform set_config('legwork.merged', case when v_revision = 0 then '' when spec.debounce is not null then 'debounce' when spec.throttle is not null then 'throttle' else 'jobKey' end, true);
  end if;
  if v_identity is not null then
    update legwork_private.unique_requests u set job_id = v_id where u.key = v_identity;
  end if;
  if num_nonnulls(spec.debounce, spec.throttle) > 0 then
    update legwork_private.paced_keys p set job_id = v_id where p.job_key = v_job_key;
  end if;
  if isfinite(spec.expires_at) then
    -- Read from the job, because unsafe_dedupe keeps the existing job, with its own expiry or none.
    insert into legwork_private.expirations (job_id, expires_at)
    select j.id, legwork_private.expiry_of(j.flags) from legwork_private.graphile_jobs j
    where j.id = v_id and legwork_private.expiry_of(j.flags) is not null
    on conflict on constraint expirations_pkey do update set expires_at = excluded.expires_at;
  end if;
  if cardinality(spec.depends_on) > 0 then
    perform legwork_private.add_dependencies(v_id, spec.depends_on, coalesce(spec.on_dependency_failure, 'cancel'));
  end if;
  return v_id;
end $$;
comment on function legwork_private.enqueue_job(legwork_private.job_spec) is
  'Enqueues a job and returns its id, or the id of the job with which it is merged. Raises the errors of legwork.enqueue.';

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
begin
  perform legwork_private.assert_role('enqueuer');
  return legwork_private.enqueue_job(row(
    task, payload, run_at, priority, job_key, job_key_mode, serial_key, max_attempts, tenant, correlation_id, expires_at, unique_for, unique_key,
    debounce, debounce_max, throttle, rate_limit, rate_per, rate_key, overlap, depends_on, on_dependency_failure)::legwork_private.job_spec);
end $$;
comment on function legwork.enqueue is
  'Enqueues a job in the caller''s transaction and returns its id. The job exists once the transaction commits. '
  'task: a known task. payload: the task''s input, {} by default. run_at: when it may start, now by default. '
  'priority: smaller runs first, 0 by default. job_key: a waiting job with this key is replaced (job_key_mode replace), '
  'replaced except for its run_at (preserve_run_at) or kept (unsafe_dedupe). serial_key: jobs with the same serial key run one at a time. '
  'max_attempts: 25 by default. tenant and correlation_id: stored with the job and in its history. Each tenant has its own job keys, serial keys, unique keys and rate keys. '
  'expires_at: a job that has not started by then ends as expired. unique_for: within this period, an identical request creates no second job '
  'and returns the id of the first. Identical means the same tenant, task and payload, or unique_key instead of the payload. '
  'debounce, with job_key: each request replaces the waiting job and postpones its start by this long, but to no later than '
  'debounce_max after the first request. throttle, with job_key: at most one start per period; requests in between are merged into one job that runs when '
  'the period has ended. rate_limit and rate_per: at most this many requests within any such period, counted by rate_key (the task by default). '
  'overlap serial, with job_key: a job that is enqueued while another with its key runs waits for that job; allow by default. '
  'depends_on: jobs that must end before this one may start; a waiting keyed job also keeps its earlier dependencies. on_dependency_failure: applies '
  'when one of them ends in a state other than completed: cancel, the default, cancels this job too; run lets it run. '
  'Raises LW404 for an unknown task or dependency, LW409 if a keyed job cannot be replaced, LW400 for options that cannot be combined, and LW429 '
  'over the enqueue quota, with the time of the next possible request as the error''s detail. Times must be between 1970 and 9999, intervals between 1 millisecond and 100 years, priority between '
  '-32768 and 32767, and max_attempts between 1 and 32767: LW400 names the value that is not.';

-- The right to call these functions is enough to enqueue jobs and register tasks: a login that enqueues cannot read payloads, and a worker's login
-- cannot change limits or policies.
revoke execute on function legwork.enqueue from public;

create or replace function legwork_private.assert_job_fields(job jsonb, of_job text default '') returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.read_time(of_job || f.name, job ->> f.name) from unnest(array['run_at', 'expires_at']) as f (name)
  -- An infinite expires_at means no expiry.
  where not (f.name = 'expires_at' and job ->> f.name = 'infinity');
  perform legwork_private.read_number(of_job || f.name, job ->> f.name, f.low, f.high)
  from (values ('priority', -32768, 32767), ('max_attempts', 1, 32767), ('rate_limit', 1, 2147483647)) as f (name, low, high);
  perform legwork_private.read_interval(of_job || f.name, job ->> f.name, '1 millisecond')
  from unnest(array['unique_for', 'debounce', 'debounce_max', 'throttle', 'rate_per']) as f (name);
end $$;
comment on function legwork_private.assert_job_fields(jsonb, text) is
  'Does nothing if the times, intervals and numbers of a job of legwork.enqueue_many, or of a workflow step, are within bounds. Raises LW400 with of_job and the field, the value '
  'and the range.';

create or replace function legwork_private.assert_known_fields(jobs jsonb) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_fields text[] := legwork_private.job_fields();
  v_unknown text;
begin
  select key into v_unknown
  from jsonb_array_elements(jobs) as element, lateral jsonb_object_keys(element) as key
  where key <> all (v_fields)
  limit 1;
  if v_unknown is not null then
    raise exception 'A job has no field ''%''.', v_unknown using errcode = 'LW400', hint = format(
      'The fields are %s and %s.', array_to_string(trim_array(v_fields, 1), ', '), v_fields[cardinality(v_fields)]);
  end if;
end $$;
comment on function legwork_private.assert_known_fields(jsonb) is 'Does nothing if legwork.enqueue_many accepts all fields of the jobs. Raises LW400, naming an unknown field.';

create or replace function legwork.enqueue_many(jobs jsonb) returns setof bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Jobs with only these fields can be enqueued in one statement.
  v_plain constant text[] := array['task', 'payload', 'run_at', 'priority', 'serial_key', 'max_attempts', 'tenant', 'correlation_id', 'expires_at'];
  v_are_plain boolean;
  v_have_expiries boolean;
  v_have_serial_keys boolean;
  v_tasks text[];
  v_ids bigint[];
  v_expiries timestamptz[];
  v_sequence constant regclass := legwork_private.job_id_sequence();
  v_tenant text := nullif(current_setting('legwork.tenant', true), '');
begin
  perform legwork_private.assert_role('enqueuer');
  if jobs is null or jsonb_typeof(jobs) <> 'array' then
    raise exception 'enqueue_many needs a JSON array of jobs; got %.', coalesce(jsonb_typeof(jobs), 'null') using
      errcode = 'LW400', hint = 'For example: [{"task": "notify/email", "payload": {"to": "a@b.c"}}].';
  end if;
  select bool_and(case jsonb_typeof(element) when 'object' then element - v_plain = '{}' else false end), array_agg(distinct coalesce(element ->> 'task', '')),
    bool_or(element ? 'serial_key'), bool_or(element ->> 'expires_at' is not null)
  into v_are_plain, v_tasks, v_have_serial_keys, v_have_expiries
  from jsonb_array_elements(jobs) as element;
  if not v_are_plain then
    perform legwork_private.assert_known_fields(jobs);
  end if;
  -- Values that are obviously within bounds skip the full check.
  perform legwork_private.assert_job_fields(element)
  from jsonb_array_elements(jobs) as element
  where element ->> 'run_at' !~ '^(19[7-9]|[2-9]\d\d)\d-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?Z$'
    or element ->> 'priority' !~ '^-?\d{1,4}$' or element ->> 'max_attempts' !~ '^[1-9]\d{0,3}$'
    or element ?| array['expires_at', 'unique_for', 'debounce', 'debounce_max', 'throttle', 'rate_limit', 'rate_per'];
  perform legwork_private.assert_task(t.task) from unnest(v_tasks) as t (task);

  -- A job that would expire before it can start is rejected below.
  v_are_plain := v_are_plain and not (v_have_expiries and exists (
    select from jsonb_array_elements(jobs) as element
    where (element ->> 'expires_at')::timestamptz <= greatest((element ->> 'run_at')::timestamptz, clock_timestamp())));

  -- Jobs with keys and limits must be compared with existing jobs one at a time. All others are inserted in one statement. The ids are drawn
  -- first, because add_jobs does not guarantee to return jobs in the order in which they were given.
  if not v_are_plain then
    return query
      select legwork_private.enqueue_job(jsonb_populate_record(null::legwork_private.job_spec, e.element))
      from jsonb_array_elements(jobs) with ordinality as e (element, n)
      order by e.n;
    return;
  end if;

  if legwork_private.confined_tenant() is not null then
    jobs := (
      select coalesce(jsonb_agg(e.element || jsonb_strip_nulls(jsonb_build_object(
        'tenant', legwork_private.own_tenant(e.element ->> 'tenant'))) order by e.n), '[]')
      from jsonb_array_elements(jobs) with ordinality as e (element, n));
  end if;
  perform legwork_private.restore_names(v_tasks, case when v_have_serial_keys then array(
    select legwork_private.kept_key(element ->> 'serial_key', coalesce(element ->> 'tenant', v_tenant), 'serial_key') from jsonb_array_elements(jobs) as element
    where element ->> 'serial_key' is not null) end);

  with specs as (
    select e.n, nextval(v_sequence) as id, j.task, j.payload, j.run_at, j.max_attempts, j.priority, j.expires_at, legwork_private.context_flags(j.tenant, j.correlation_id) || legwork_private.option_flags(j) as flags,
      legwork.tenant_key(j.serial_key, coalesce(j.tenant, v_tenant)) as queue_name
    from jsonb_array_elements(jobs) with ordinality as e (element, n)
    cross join lateral jsonb_populate_record(null::legwork_private.job_spec, e.element) as j
    order by e.n
  ), inserted as (
    insert into legwork_private.graphile_jobs (id, job_queue_id, task_id, payload, run_at, max_attempts, priority, flags)
    overriding system value
    select
      s.id,
      (select q.id from legwork_private.graphile_job_queues q where q.queue_name = s.queue_name),
      (select t.id from legwork_private.graphile_tasks t where t.identifier = s.task),
      coalesce(s.payload, '{}')::json, coalesce(s.run_at, now()), coalesce(s.max_attempts, 25), coalesce(s.priority, 0),
      (select jsonb_object_agg(flag, true) from unnest(s.flags) as flag)
    from specs s
    returning id
  )
  select array_agg(s.id order by s.n), array_agg(s.expires_at order by s.n) into v_ids, v_expiries from specs s join inserted i using (id);
  if v_have_expiries then
    -- Truncated to milliseconds, as in the flag.
    insert into legwork_private.expirations (job_id, expires_at)
    select x.id, to_timestamp(ceil(extract(epoch from x.expires_at) * 1000)::float8 / 1000) from unnest(v_ids, v_expiries) as x (id, expires_at) where isfinite(x.expires_at);
  end if;
  perform legwork_private.wake_workers(coalesce(cardinality(v_ids), 0));
  return query select unnest(v_ids);
end $$;
comment on function legwork.enqueue_many(jsonb) is
  'Enqueues an array of jobs in the caller''s transaction and returns their ids in the same order. Each job is an object with '
  'the parameters of legwork.enqueue as fields; only task is required. Enqueues all jobs or none: raises LW400 for an unknown '
  'field, LW404 for an unknown task, and the errors of legwork.enqueue for any of them.';
revoke execute on function legwork.enqueue_many(jsonb) from public;
