-- Limits on enqueueing: how legwork.enqueue handles requests that come too often.
--
-- Each limit has one row per key, and the lock on that row makes the limit exact: the second of two requests for a key waits until the
-- first one's transaction has ended, and then sees its outcome. Times come from the clock, not from the transaction,
-- because a window begins with the request, not with the start of a long transaction.

comment on table legwork_private.unique_requests is 'The jobs that were enqueued with unique_for, until their windows end.';
comment on column legwork_private.unique_requests.key is 'A hash of the values that identify the request: tenant, task, and unique_key or payload.';
comment on column legwork_private.unique_requests.job_id is 'The job that was created. Null only within the transaction that creates it.';
comment on column legwork_private.unique_requests.expires_at is 'When the window ends and the same request creates a job again.';
comment on table legwork_private.quota_keys is 'The keys of enqueue quotas (rate_limit). The lock on a row lets one request at a time be counted.';
comment on column legwork_private.quota_keys.key is 'The key by which requests are counted: rate_key, or the task''s name, prefixed with the tenant (legwork.tenant_key).';
comment on column legwork_private.quota_keys.requests is 'How many requests were accepted so far, which is the number of the last one.';
comment on column legwork_private.quota_keys.expires_at is 'When the last request leaves its window and the key can be deleted.';
comment on table legwork_private.quota_requests is 'The requests that an enqueue quota accepted and that are still within a window.';
comment on column legwork_private.quota_requests.key is 'The key by which it was counted.';
comment on column legwork_private.quota_requests.number is 'The number of the request among those with its key, without gaps.';
comment on column legwork_private.quota_requests.requested_at is 'When it was accepted.';
comment on table legwork_private.paced_keys is 'The job keys of debounce and throttle. The lock on a row lets one request at a time decide when to start.';
comment on column legwork_private.paced_keys.job_key is 'The job key in the form of graphile-worker''s tables (legwork.tenant_key).';
comment on column legwork_private.paced_keys.job_id is 'The job that the last request created or changed. Null only within the transaction that creates it.';
comment on column legwork_private.paced_keys.first_requested_at is 'When the waiting debounced job was first requested.';
comment on column legwork_private.paced_keys.started_at is 'The last start of a throttled job that a request has seen. Null if none has started.';
comment on column legwork_private.paced_keys.throttle is 'The time between two starts, from the last request. Null for debounce.';
comment on column legwork_private.paced_keys.requested_at is 'When the last request came.';

create or replace function legwork_private.assert_enqueue_limits(spec legwork_private.job_spec) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_message text;
  v_hint text;
begin
  perform legwork_private.assert_interval(v.name, v.value, '1 millisecond')
  from (values ('unique_for', spec.unique_for), ('debounce', spec.debounce), ('debounce_max', spec.debounce_max), ('throttle', spec.throttle),
    ('rate_per', spec.rate_per)) as v (name, value);
  perform legwork_private.assert_number('rate_limit', spec.rate_limit, 1, 2147483647);
  if isfinite(spec.expires_at) then
    perform legwork_private.assert_time('expires_at', spec.expires_at);
  end if;
  select v.message, v.hint into v_message, v_hint
  from (values
    (spec.overlap not in ('allow', 'serial'), format('''%s'' is not a valid overlap.', spec.overlap), 'Use allow or serial.'),
    (num_nonnulls(spec.unique_for, spec.debounce, spec.throttle) > 1, 'unique_for, debounce and throttle cannot be combined.',
      'unique_for drops a repeated request, debounce waits for the last one, and throttle spreads them out.'),
    (num_nonnulls(spec.debounce, spec.throttle) > 0 and spec.job_key is null, 'debounce and throttle need a job_key.',
      'Requests with the same job_key, such as search-index:7, are merged.'),
    (num_nonnulls(spec.debounce, spec.throttle) > 0 and spec.run_at is not null, 'run_at cannot be combined with debounce or throttle.',
      'They decide when the job starts.'),
    (num_nonnulls(spec.debounce, spec.throttle) > 0 and spec.job_key_mode <> 'replace', 'job_key_mode cannot be combined with debounce or throttle.',
      'They decide how the waiting job is replaced.'),
    (spec.overlap = 'serial' and spec.job_key is null, 'overlap serial needs a job_key.',
      'It keeps jobs with the same job_key from running at the same time. For jobs without one, use serial_key.'),
    (spec.unique_key is not null and spec.unique_for is null, 'unique_key needs unique_for.', 'Set unique_for to the period in which it is unique.'),
    (spec.debounce_max is not null and spec.debounce is null, 'debounce_max needs debounce.', 'It limits how far debounce postpones the start.'),
    (spec.debounce_max < spec.debounce, format('debounce_max (%s) is shorter than debounce (%s).', legwork_private.in_all_words(spec.debounce_max), legwork_private.in_all_words(spec.debounce)),
      'It limits how far debounce postpones the start.'),
    (num_nonnulls(spec.rate_limit, spec.rate_per) = 1, 'rate_limit and rate_per must be given together.', 'For example rate_limit 5 and rate_per 1 minute.'),
    (spec.rate_key is not null and spec.rate_limit is null, 'rate_key needs rate_limit.', 'It is the key by which rate_limit counts requests.'),
    (length(spec.rate_key) > 512, 'rate_key is longer than 512 characters.', 'Use a shorter key, or a hash of it.'),
    (spec.expires_at <= clock_timestamp(), format('expires_at %s is in the past.', spec.expires_at), 'Nothing was enqueued.')
  ) as v (holds, message, hint)
  where v.holds
  limit 1;
  if v_message is not null then
    raise exception '%', v_message using errcode = 'LW400', hint = v_hint;
  end if;
end $$;
comment on function legwork_private.assert_enqueue_limits(legwork_private.job_spec) is
  'Does nothing for options of legwork.enqueue that can be combined. Raises LW400, naming an option that cannot.';

create or replace function legwork_private.unique_identity(task text, payload jsonb, tenant text, unique_key text) returns text
language sql stable
return encode(sha256(convert_to(jsonb_build_array(
  coalesce(tenant, nullif(current_setting('legwork.tenant', true), '')), task, unique_key, case when unique_key is null then payload end
)::text, 'UTF8')), 'hex');
comment on function legwork_private.unique_identity(text, jsonb, text, text) is
  'The identity of a request for unique_for: a hash of tenant, task, and unique_key or else the payload. Hashed, because the values '
  'may be too long for an index.';

create or replace function legwork_private.claim_unique(identity text, unique_for interval) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_id bigint;
begin
  -- A committed request whose window has not ended is read without a lock, so that repeated requests do not wait for each other.
  select u.job_id into v_id from legwork_private.unique_requests u where u.key = identity and u.expires_at > clock_timestamp();
  if v_id is not null then
    return v_id;
  end if;
  -- This is exact, because the primary key lets only one transaction insert. The other waits here until the first has ended. If that was rolled
  -- back, this one inserts. If it committed, its window has not ended and nothing is updated, but the row is locked anyway.
  insert into legwork_private.unique_requests as u (key, expires_at) values (identity, clock_timestamp() + unique_for)
  on conflict on constraint unique_requests_pkey do update set job_id = null, expires_at = clock_timestamp() + unique_for
  where u.expires_at <= clock_timestamp();
  if not found then
    select u.job_id into v_id from legwork_private.unique_requests u where u.key = identity;
  end if;
  return v_id;
end $$;
comment on function legwork_private.claim_unique(text, interval) is
  'The job that a request with this identity has created within its window. Null if it has not: then the caller must '
  'create it and write its id to legwork_private.unique_requests.';

create or replace function legwork_private.count_against_quota(rate_key text, rate_limit integer, rate_per interval) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_number bigint;
  v_now timestamptz;
  v_free_at timestamptz;
  v_free_at_text text;
begin
  insert into legwork_private.quota_keys as k (key, requests, expires_at) values (rate_key, 1, clock_timestamp() + rate_per)
  on conflict on constraint quota_keys_pkey do update
    set requests = k.requests + 1, expires_at = greatest(k.expires_at, clock_timestamp() + rate_per)
  returning k.requests into v_number;
  -- Read after acquiring the lock, so that times are in the order of the numbers.
  v_now := clock_timestamp();
  -- The quota holds for every window if each request is at least rate_per later than the request that came rate_limit requests earlier.
  select r.requested_at + rate_per into v_free_at
  from legwork_private.quota_requests r where r.key = rate_key and r.number = v_number - rate_limit;
  if v_free_at > v_now then
    -- Rounded up to the next millisecond, so that a request at exactly this time succeeds even if the client's clock counts only milliseconds.
    v_free_at := date_trunc('milliseconds', v_free_at) + interval '1 millisecond';
    v_free_at_text := to_char(v_free_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
    raise exception '''%'' is limited to % per %; the next one may be enqueued at %.',
      legwork.given_key(rate_key), legwork_private.counted(rate_limit, 'job'), legwork_private.period_in_words(rate_per), v_free_at_text using
      errcode = 'LW429', detail = v_free_at_text, hint = 'Nothing was enqueued. Try again at that time.';
  end if;
  delete from legwork_private.quota_requests r where r.key = rate_key and r.number <= v_number - rate_limit;
  insert into legwork_private.quota_requests (key, number, requested_at) values (rate_key, v_number, v_now);
end $$;
comment on function legwork_private.count_against_quota(text, integer, interval) is
  'Counts a request. Raises LW429, with the time of the next possible request, if there were already rate_limit requests within rate_per. Requests with the same key '
  'wait for each other''s transactions.';

create or replace function legwork_private.paced_start(job_key text, debounce interval, debounce_max interval, throttle interval) returns timestamptz
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_paced legwork_private.paced_keys;
  v_now timestamptz;
  v_waits boolean;
  v_taken_at timestamptz;
begin
  insert into legwork_private.paced_keys as p (job_key, requested_at) values (paced_start.job_key, clock_timestamp())
  on conflict on constraint paced_keys_pkey do update set requested_at = clock_timestamp()
  returning p.* into v_paced;
  v_now := clock_timestamp();
  -- Locked, so that no worker fetches the waiting job between this check and the request that changes it.
  with held as (
    select j.key, j.locked_at, j.attempts from legwork_private.graphile_jobs j
    where j.key = paced_start.job_key or j.id = v_paced.job_id
    for update
  )
  select bool_or(h.key = paced_start.job_key and h.locked_at is null and h.attempts = 0), max(h.locked_at) into v_waits, v_taken_at
  from held h;
  if v_waits is not true or v_paced.first_requested_at is null then
    v_paced.first_requested_at := v_now;
  end if;
  if throttle is not null then
    -- The actual start, which may have been later than requested.
    v_paced.started_at := greatest(v_paced.started_at, v_taken_at,
      (select max(f.started_at) from legwork_private.finished_jobs f where f.id = v_paced.job_id),
      (select max(a.started_at) from legwork_private.failed_attempts a where a.job_id = v_paced.job_id));
  end if;
  update legwork_private.paced_keys p set
    first_requested_at = v_paced.first_requested_at, started_at = v_paced.started_at, throttle = paced_start.throttle
  where p.job_key = paced_start.job_key;
  return case
    when debounce is not null then least(v_now + debounce, v_paced.first_requested_at + debounce_max)
    else greatest(now(), legwork_private.later(v_paced.started_at, paced_start.throttle))
  end;
end $$;
comment on function legwork_private.paced_start(text, interval, interval, interval) is
  'When the job of a debounced or throttled request may start. Requests with the same key wait for each other''s transactions.';

create or replace function legwork_private.forget_enqueue_limits() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  -- skip locked: rows that another session is using are kept, and no session waits.
  delete from legwork_private.unique_requests u where u.key in (
    select o.key from legwork_private.unique_requests o where o.expires_at <= clock_timestamp() for update skip locked);
  delete from legwork_private.quota_keys k where k.key in (
    select o.key from legwork_private.quota_keys o where o.expires_at <= clock_timestamp() for update skip locked);
  delete from legwork_private.paced_keys p where p.job_key in (
    select o.job_key from legwork_private.paced_keys o
    -- A minute, because a request that has just ended may have created a job that this statement does not see.
    where o.requested_at < clock_timestamp() - interval '1 minute'
      and not exists (select from legwork_private.graphile_jobs j where j.id = o.job_id and (j.locked_at is not null or j.attempts < j.max_attempts))
      and (o.throttle is null or not exists (
        select from (
          select o.started_at
          union all select f.started_at from legwork_private.finished_jobs f where f.id = o.job_id
          union all select a.started_at from legwork_private.failed_attempts a where a.job_id = o.job_id
        ) s where legwork_private.later(s.started_at, o.throttle) > clock_timestamp()))
    for update skip locked);
  delete from legwork_private.expirations e where e.job_id in (
    select o.job_id from legwork_private.expirations o
    where not exists (select from legwork_private.graphile_jobs j where j.id = o.job_id)
    for update skip locked);
end;
comment on function legwork_private.forget_enqueue_limits() is
  'Deletes rows that the limits of legwork.enqueue no longer need. Called by legwork.maintain_history.';
revoke execute on function legwork_private.forget_enqueue_limits() from public;
