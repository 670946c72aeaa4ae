-- What a server in front of the jobs needs: requests that may be repeated, pages by time, and cancelling everything that fits.
--
-- Locks: none but those on what is made here.

create table legwork.idempotent_requests (
  subject text not null,
  key text not null,
  request_hash text not null,
  response jsonb,
  requested_at timestamptz not null default clock_timestamp(),
  primary key (subject, key)
);
comment on table legwork.idempotent_requests is 'Requests that were sent with an idempotency key, with what was answered; kept for a day.';
comment on column legwork.idempotent_requests.subject is 'Who sent it. A key is its sender''s own.';
comment on column legwork.idempotent_requests.key is 'The key.';
comment on column legwork.idempotent_requests.request_hash is 'Tells whether a later request with the key is the same one.';
comment on column legwork.idempotent_requests.response is 'What was answered. Null only within the transaction that answers.';
comment on column legwork.idempotent_requests.requested_at is 'When.';
alter table legwork.idempotent_requests enable row level security;
create index idempotent_requests_requested_at on legwork.idempotent_requests (requested_at);

create function legwork.assert_server() returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from legwork.confined_logins c where c.login = session_user) then
    raise exception 'This is for the server, and the login % is confined to a tenant.', session_user using
      errcode = 'LW403', hint = 'Run `legwork server` as a login that is not confined: its tokens and JWTs say for which tenant each request is.';
  end if;
end $$;
comment on function legwork.assert_server() is
  'Does nothing for a login that may act for any tenant. Raises LW403 for one that is confined (legwork.confine_login): it would answer for others.';

create function legwork.claim_request(subject text, key text, request_hash text) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_known legwork.idempotent_requests;
begin
  perform legwork.assert_server();
  loop
    -- A second request with the key waits here for the transaction of the first one, by the primary key. When that is rolled back, this
    -- one is the first.
    insert into legwork.idempotent_requests as r (subject, key, request_hash)
    values (claim_request.subject, claim_request.key, claim_request.request_hash)
    on conflict on constraint idempotent_requests_pkey do update set
      request_hash = excluded.request_hash, response = null, requested_at = clock_timestamp()
    where r.requested_at < clock_timestamp() - interval '24 hours';
    if found then
      return null;
    end if;
    select * into v_known from legwork.idempotent_requests r
    where r.subject = claim_request.subject and r.key = claim_request.key;
    -- Forgotten in this moment: ask again.
    exit when found;
  end loop;
  if v_known.request_hash <> claim_request.request_hash then
    raise exception 'The idempotency key ''%'' was used for another request.', key using
      errcode = 'LW409', hint = 'Nothing was done. Send a new key with each new request, and the same one only to repeat a request.';
  end if;
  return v_known.response;
end $$;
comment on function legwork.claim_request(text, text, text) is
  'Asks whether a request with this key was answered within 24 hours: returns what was answered, or null when this is the first one; it is then done in the '
  'same transaction and its answer kept with keep_response. Raises LW409 when the key came with another request, LW403 for a login that is confined to a tenant.';

create function legwork.keep_response(subject text, key text, response jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork.assert_server();
  update legwork.idempotent_requests r set response = keep_response.response
  where r.subject = keep_response.subject and r.key = keep_response.key;
end $$;
comment on function legwork.keep_response(text, text, jsonb) is 'Keeps the answer to a request that claim_request has let in, in the same transaction.';
revoke execute on function legwork.claim_request(text, text, text), legwork.keep_response(text, text, jsonb) from public;

create table legwork.id_marks (
  at timestamptz primary key,
  last_id bigint not null,
  settled_before timestamptz
);
comment on table legwork.id_marks is
  'How far the ids of jobs had come at some moments, so that jobs of a span of time are found by their ids: created_at has no index, which every job would pay for.';
comment on column legwork.id_marks.at is 'Every job of a transaction that began at this time or later has an id above last_id.';
comment on column legwork.id_marks.last_id is 'The last id that had been given.';
comment on column legwork.id_marks.settled_before is
  'Every job of a transaction that began before this has an id of at most last_id. Null when it is not known, because this user may not see all sessions.';
alter table legwork.id_marks enable row level security;

create function legwork.note_ids() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- A session tells the time its transaction began a moment after it has begun.
  v_settled timestamptz := clock_timestamp() - interval '1 second';
  v_oldest timestamptz;
  v_is_known boolean;
  v_last bigint;
begin
  if exists (select from legwork.id_marks m where m.at > clock_timestamp() - interval '1 minute') then
    return;
  end if;
  -- Sessions as they are now, not as this transaction saw them first. The order matters: sessions, then the id, then the time.
  perform pg_stat_clear_snapshot();
  select min(a.xact_start), coalesce(bool_and(a.query is distinct from '<insufficient privilege>' and a.state is distinct from 'disabled'), true)
  into v_oldest, v_is_known
  from pg_stat_activity a
  where a.datname = current_database() and a.pid <> pg_backend_pid();
  v_last := coalesce(pg_sequence_last_value(pg_get_serial_sequence('graphile_worker._private_jobs', 'id')::regclass), 0);
  insert into legwork.id_marks (at, last_id, settled_before)
  values (clock_timestamp(), v_last, case when v_is_known then least(v_settled, v_oldest) end)
  on conflict do nothing;
end $$;
comment on function legwork.note_ids() is 'Notes once a minute how far the ids of jobs have come. legwork.tick calls it.';

create function legwork.ids_created(after timestamptz, before timestamptz, out above bigint, out up_to bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select
    (select m.last_id from legwork.id_marks m where m.at <= ids_created.after order by m.at desc limit 1),
    (select m.last_id from legwork.id_marks m where m.at >= ids_created.before and m.settled_before >= ids_created.before order by m.at limit 1);
end;
comment on function legwork.ids_created(timestamptz, timestamptz) is
  'Bounds of the ids of jobs created at after or later, and before before: each such id is above the one and at most the other. Null where there is no bound. '
  'The bounds are wider than the span of time, so created_at is still to be compared.';
revoke execute on function legwork.note_ids(), legwork.ids_created(timestamptz, timestamptz) from public;

create function legwork.forget_requests() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  delete from legwork.idempotent_requests r where (r.subject, r.key) in (
    select o.subject, o.key from legwork.idempotent_requests o
    where o.requested_at < clock_timestamp() - interval '24 hours' for update skip locked);
  -- One mark that is older than everything stays, as a bound.
  delete from legwork.id_marks m where m.at < now() - legwork.history_retention() * 1.125 - interval '1 day';
end;
comment on function legwork.forget_requests() is
  'Deletes answers to requests that are older than a day, and marks that are older than the history. legwork.maintain_history calls it.';
revoke execute on function legwork.forget_requests() from public;


create function legwork.live_jobs_like(filter jsonb) returns setof bigint
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_tenant text := legwork.confined_tenant();
begin
  perform legwork.assert_may('operator');
  perform legwork.assert_job_filter(filter, array['ids', 'state', 'task', 'queue', 'tenant', 'correlation_id', 'parent_id', 'created_after', 'created_before'],
    '{"task": "notify/email"}; {} is every job that has not ended');
  if filter ->> 'state' in ('completed', 'failed', 'cancelled', 'expired') then
    raise exception 'Jobs that are % have ended.', filter ->> 'state' using errcode = 'LW400',
      hint = 'Name a state of jobs that have not: scheduled, pending, blocked, paused, running or retrying.';
  end if;
  return query
    select j.id
    from legwork.all_jobs j
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
      -- One that was told to stop already.
      and not exists (select from legwork.cancellations c where c.job_id = j.id)
    order by j.id;
end $$;
comment on function legwork.live_jobs_like(jsonb) is
  'The jobs that a filter names and that can be cancelled, oldest first: an object of ids, state, task, queue, tenant, correlation_id, parent_id, created_after, created_before; all that '
  'are given must fit. Raises LW400 for a field that does not exist, LW404 for an unknown task or queue.';

create function legwork.cancel_jobs(filter jsonb, reason text default null, preview boolean default false, at_most integer default 10000)
returns setof bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_ids bigint[] := array(select x from legwork.live_jobs_like(filter) x limit at_most);
  v_waiting bigint[];
  v_running bigint[];
  v_reason text := 'Cancelled by ' || legwork.who() || coalesce(': ' || nullif(reason, ''), '.');
begin
  if preview then
    return query select unnest(v_ids);
    return;
  end if;
  -- A job whose row somebody has (a worker that is just fetching it) is passed over; the next call finds it again.
  select
    coalesce(array_agg(l.id order by l.id) filter (where l.locked_at is null), '{}'),
    coalesce(array_agg(l.id order by l.id) filter (where l.locked_at is not null), '{}')
  into v_waiting, v_running
  from (
    select j.id, j.locked_at from graphile_worker._private_jobs j
    where j.id = any (v_ids) and (j.locked_at is not null or j.attempts < j.max_attempts)
    order by j.id for update skip locked
  ) l;
  perform set_config('legwork.ended_as', 'cancelled', true), set_config('legwork.end_reason', v_reason, true);
  delete from graphile_worker._private_jobs j where j.id = any (v_waiting);
  perform set_config('legwork.ended_as', '', true), set_config('legwork.end_reason', '', true);
  insert into legwork.cancellations (job_id, reason) select r.id, v_reason from unnest(v_running) as r (id) on conflict do nothing;
  perform pg_notify('legwork', json_build_object('cancelled', r.id::text)::text) from unnest(v_running) as r (id);
  perform legwork.audit('cancel_jobs', 'jobs', null, null, jsonb_build_object('filter', filter, 'reason', v_reason), filter ->> 'tenant',
    cardinality(v_waiting || v_running));
  return query select x from unnest(v_waiting || v_running) x order by x;
end $$;
comment on function legwork.cancel_jobs(jsonb, text, boolean, integer) is
  'Cancels the jobs that a filter names, as cancel_job does, at most 10,000 at a time, and returns their ids. With preview => true it only returns which ones it would cancel. '
  'The filter and its errors are those of live_jobs_like.';
revoke execute on function legwork.cancel_jobs(jsonb, text, boolean, integer) from public;

create function legwork.stopped() returns table (stopped_at timestamptz, stopped_by text, stop_reason text)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select p.paused_at, p.paused_by, p.reason from legwork.pauses p where p.scope = 'all';
end;
comment on function legwork.stopped() is 'The emergency stop, with who asked for it and why; no row when there is none.';
revoke execute on function legwork.stopped() from public;
