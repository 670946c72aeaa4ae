-- What people do with jobs in the dashboard: running one again, changing when its turn comes, and finding jobs by what is in their payload.
--
-- Locks: none but those on what is made here.

create table legwork.reruns (
  job_id bigint primary key,
  original_id bigint not null,
  payload_changed boolean not null,
  requested_by text not null default legwork.who(),
  requested_at timestamptz not null default clock_timestamp()
);
comment on table legwork.reruns is 'Jobs that are another run of a job that had ended, as somebody asked for. Kept as long as the history.';
comment on column legwork.reruns.job_id is 'The new job.';
comment on column legwork.reruns.original_id is 'The job that it repeats.';
comment on column legwork.reruns.payload_changed is 'Whether it was given another payload.';
comment on column legwork.reruns.requested_by is 'Who asked for it: the database role, or whom the server acted for.';
comment on column legwork.reruns.requested_at is 'When.';
alter table legwork.reruns enable row level security;
create index reruns_original_id on legwork.reruns (original_id, requested_at);

create function legwork.job_reruns(job_id bigint)
returns table (id bigint, original_id bigint, payload_changed boolean, requested_by text, requested_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork.assert_may('viewer');
  perform legwork.assert_job(job_id);
  return query
    select r.job_id, r.original_id, r.payload_changed, r.requested_by, r.requested_at
    from legwork.reruns r
    where r.job_id = job_reruns.job_id or r.original_id = job_reruns.job_id
    order by r.job_id
    limit 100;
end $$;
comment on function legwork.job_reruns(bigint) is
  'The re-runs that a job has to do with: the row whose id is the job''s says what it is a re-run of, the others are re-runs of it; 100 at most. Raises LW404 for an unknown job.';

create function legwork.has_redacted(payload json) returns boolean
language sql immutable parallel safe
-- In its text, because not every payload can become a jsonb. A quote within a text has a backslash before it, a key has a colon behind it.
return payload is not null and payload::text ~ '"\[redacted\]"(?!\s*:)';
comment on function legwork.has_redacted(json) is 'Whether something in a payload was taken out of it (legwork.redact).';

create function legwork.restore_redacted(given json, original json) returns json
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  if given is null or original is null then
    return given;
  end if;
  if json_typeof(given) = 'string' and given #>> '{}' = '[redacted]' then
    return original;
  end if;
  if json_typeof(given) = 'object' and json_typeof(original) = 'object' then
    return coalesce((
      select json_object_agg(e.key, legwork.restore_redacted(e.value, original -> e.key) order by e.n)
      from json_each(given) with ordinality as e (key, value, n)), given);
  end if;
  if json_typeof(given) = 'array' and json_typeof(original) = 'array' then
    return coalesce((
      select json_agg(legwork.restore_redacted(e.value, original -> (e.n - 1)::integer) order by e.n)
      from json_array_elements(given) with ordinality as e (value, n)), given);
  end if;
  return given;
end $$;
comment on function legwork.restore_redacted(json, json) is
  'The payload with what the original has in place of each "[redacted]" that stands where the original has something.';

create function legwork.rerun_payload(job_id bigint, given jsonb, history json) returns json
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_kept json;
  v_payload json;
begin
  -- A failed job is kept as it was enqueued; of every other one the history has what its definition does not redact.
  select j.payload into v_kept from graphile_worker._private_jobs j where j.id = rerun_payload.job_id;
  v_payload := case when given is null then coalesce(v_kept, history, '{}') else legwork.restore_redacted(given::json, legwork.readable_json(v_kept)) end;
  if v_kept is null and legwork.has_redacted(v_payload) or v_kept is not null and legwork.has_redacted(v_payload) and not legwork.has_redacted(v_kept) then
    raise exception 'Job % cannot be run again with this payload: parts of it are redacted, and the history does not have them.', job_id using
      errcode = 'LW409', hint = 'Give the payload whole: rerun_job(job_id, payload => …).';
  end if;
  return v_payload;
end $$;
comment on function legwork.rerun_payload(bigint, jsonb, json) is
  'The payload of another run of a job, from what is given, what graphile-worker''s table has and what the history has. Raises LW409 when something in it is redacted.';

create function legwork.rerun_finished(original legwork.finished_jobs, payload json, payload_changed boolean) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_before text[] := array[current_setting('legwork.tenant', true), current_setting('legwork.correlation_id', true), current_setting('legwork.parent_id', true)];
  v_id bigint;
begin
  -- Whose it is and where it comes from is said by the original and by nothing else.
  perform set_config('legwork.tenant', '', true), set_config('legwork.correlation_id', '', true), set_config('legwork.parent_id', original.id::text, true);
  select j.id into v_id
  from graphile_worker.add_job(
    identifier => original.task, payload => rerun_finished.payload, queue_name => original.serial_key, max_attempts => original.max_attempts,
    priority => original.priority, flags => legwork.context_flags(original.tenant, original.correlation_id)) j;
  perform set_config('legwork.tenant', coalesce(v_before[1], ''), true), set_config('legwork.correlation_id', coalesce(v_before[2], ''), true),
    set_config('legwork.parent_id', coalesce(v_before[3], ''), true);
  insert into legwork.reruns (job_id, original_id, payload_changed) values (v_id, original.id, rerun_finished.payload_changed);
  return v_id;
end $$;
comment on function legwork.rerun_finished(legwork.finished_jobs, json, boolean) is
  'Enqueues another run of a job that has ended: its task, priority, serial key, attempts, tenant and correlation id, with the original as its parent.';

create function legwork.rerun_job(job_id bigint, payload jsonb default null, discard boolean default false) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_original legwork.finished_jobs;
  v_state legwork.job_state;
  v_id bigint;
begin
  perform legwork.assert_may('operator');
  perform legwork.assert_visible(job_id);
  select f.* into v_original from legwork.finished_jobs f where f.id = rerun_job.job_id order by f.finished_at desc limit 1;
  if v_original.id is null then
    v_state := legwork.assert_job(job_id);
    raise exception 'Job % has not ended: it is %.', job_id, v_state using
      errcode = 'LW409', hint = 'legwork.retry_job lets a job start that waits for its time. To run it twice, enqueue it again.';
  end if;
  perform legwork.assert_task(v_original.task);
  if discard and v_original.state <> 'failed' then
    raise exception 'Job % cannot be discarded: it is %.', job_id, v_original.state using errcode = 'LW409', hint = 'Only a failed job can. Leave discard out.';
  end if;
  v_id := legwork.rerun_finished(v_original, legwork.rerun_payload(job_id, rerun_job.payload, v_original.payload), rerun_job.payload is not null);
  perform legwork.audit('rerun_job', 'job', job_id::text, jsonb_build_object('state', v_original.state),
    jsonb_build_object('job_id', v_id::text, 'payload_changed', rerun_job.payload is not null), v_original.tenant);
  if discard then
    perform legwork.discard_job(job_id);
  end if;
  return v_id;
end $$;
comment on function legwork.rerun_job(bigint, jsonb, boolean) is
  'Runs a job again that has ended: enqueues a new one with its task, payload, priority, serial key, attempts, tenant and correlation id, and the old one as its parent; '
  'returns its id. Its job key, run_at, expiry and dependencies are not taken. payload: another payload; "[redacted]" in it stays what it was, as long as the job is kept for a retry. '
  'discard: give up the old one too, which must have failed. Raises LW404 for an unknown job or task, LW409 for a job that has not ended and where the history has not '
  'the whole payload, because the task''s definition redacts parts of it.';

create function legwork.finished_jobs_like(filter jsonb, as_of timestamptz) returns setof bigint
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_tenant text := legwork.confined_tenant();
  v_bounds record;
begin
  perform legwork.assert_may('operator');
  perform legwork.assert_job_filter(filter, array['ids', 'state', 'task', 'queue', 'tenant', 'correlation_id', 'parent_id', 'error', 'created_after', 'created_before'],
    '{"task": "notify/email", "state": "completed"}');
  if filter ->> 'state' not in ('completed', 'failed', 'cancelled', 'expired') then
    raise exception 'Jobs that are % have not ended.', filter ->> 'state' using errcode = 'LW400',
      hint = 'Name a state of jobs that have: completed, failed, cancelled or expired.';
  end if;
  -- A search of the whole history is refused.
  if not filter ?| array['ids', 'task', 'queue', 'tenant', 'correlation_id', 'parent_id', 'created_after']
    and coalesce(filter ->> 'state', 'completed') = 'completed'
  then
    raise exception 'The filter matches too much of the history.' using errcode = 'LW400',
      hint = 'Add a task, a queue, a tenant, a correlation id, a parent, created_after, or a state other than completed.';
  end if;
  select * into v_bounds from legwork.ids_created((filter ->> 'created_after')::timestamptz,
    least((filter ->> 'created_before')::timestamptz, finished_jobs_like.as_of));
  return query
    select f.id
    from legwork.finished_jobs f
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
      and (v_bounds.above is null or f.id > v_bounds.above) and (v_bounds.up_to is null or f.id <= v_bounds.up_to)
      and f.created_at < finished_jobs_like.as_of
      and not exists (select from legwork.reruns r where r.original_id = f.id and r.requested_at >= finished_jobs_like.as_of)
    order by f.id;
end $$;
comment on function legwork.finished_jobs_like(jsonb, timestamptz) is
  'The jobs that have ended, were made before as_of and have not been run again since then, and that a filter names, oldest first: an object of ids, state, task, queue, tenant, '
  'correlation_id, parent_id, error (a part of the message), created_after, created_before; all that are given must fit. Raises LW400 for a field that does not exist and for a filter '
  'that no index serves, LW404 for an unknown task or queue.';

create function legwork.rerun_jobs(filter jsonb, as_of timestamptz default null, preview boolean default false, at_most integer default 10000)
returns setof bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_as_of timestamptz := coalesce(as_of, clock_timestamp());
  v_ids bigint[];
  v_original legwork.finished_jobs;
  v_count integer := 0;
begin
  perform legwork.assert_may('operator');
  if not preview then
    -- One at a time: two that fit the same jobs would both find them not run again yet. Each statement below sees what was committed before it.
    perform pg_advisory_xact_lock(hashtextextended('legwork.rerun_jobs', 0));
  end if;
  v_ids := array(select x from legwork.finished_jobs_like(filter, v_as_of) x limit at_most);
  if preview then
    return query select unnest(v_ids);
    return;
  end if;
  for v_original in select f.* from legwork.finished_jobs f where f.id = any (v_ids) order by f.id loop
    perform legwork.rerun_finished(v_original, legwork.rerun_payload(v_original.id, null, v_original.payload), false);
    v_count := v_count + 1;
    return next v_original.id;
  end loop;
  perform legwork.audit('rerun_jobs', 'jobs', null, null, jsonb_build_object('filter', filter), filter ->> 'tenant', v_count);
end $$;
comment on function legwork.rerun_jobs(jsonb, timestamptz, boolean, integer) is
  'Runs the jobs that a filter names again, as rerun_job does, at most 10,000 at a time, and returns the ids of the old ones. as_of: when this began, now by default; given again '
  'with the next call, that one goes on with what has not been run again since. With preview => true it only returns which ones it would run. Raises what finished_jobs_like raises, '
  'and LW409 without having done anything when a payload among them is redacted.';

create function legwork.set_priority(job_id bigint, priority integer) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_job graphile_worker._private_jobs;
  v_state legwork.job_state;
begin
  perform legwork.assert_may('operator');
  perform legwork.assert_visible(job_id);
  perform legwork.assert_priority(priority);
  -- The row's lock: a job that a worker is just fetching has the priority either before or after.
  select * into v_job from graphile_worker._private_jobs j where j.id = set_priority.job_id for update;
  if v_job.id is null or (v_job.locked_at is null and v_job.attempts >= v_job.max_attempts) then
    v_state := legwork.assert_job(job_id);
    raise exception 'Job % has already ended: it is %.', job_id, v_state using errcode = 'LW409', hint = 'What has ended stays as it is.';
  end if;
  -- Nothing else is touched: updated_at of a running job says that somebody has removed it.
  update graphile_worker._private_jobs j set priority = set_priority.priority where j.id = set_priority.job_id and j.priority <> set_priority.priority;
  if found then
    perform legwork.audit('set_priority', 'job', job_id::text, jsonb_build_object('priority', v_job.priority), jsonb_build_object('priority', set_priority.priority),
      legwork.flag_value(v_job.flags, 'tenant'));
  end if;
  return v_job.priority;
end $$;
comment on function legwork.set_priority(bigint, integer) is
  'Changes when a job''s turn comes: smaller runs first. Of a running job it holds for its next attempt; one that a worker has fetched ahead keeps its turn. Returns what it was before, '
  'so that it can be taken back. Raises LW404 for an unknown job, LW409 for one that has ended, LW400 for a number that is none of -32768 to 32767.';

create function legwork.assert_priority(priority integer) returns void
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  if priority is null then
    raise exception 'priority is null; it must be between -32768 and 32767.' using errcode = 'LW400', hint = 'Smaller runs first; 0 is the default.';
  end if;
  perform legwork.assert_number('priority', priority, -32768, 32767);
end $$;
comment on function legwork.assert_priority(integer) is 'Does nothing for a number that graphile-worker takes as a priority. Raises LW400.';

create function legwork.set_priorities(filter jsonb, priority integer, preview boolean default false, at_most integer default 10000)
returns table (id bigint, was integer)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_ids bigint[];
  v_count integer;
begin
  perform legwork.assert_may('operator');
  perform legwork.assert_priority(priority);
  v_ids := array(
    select j.id from legwork.live_jobs_like(filter) x join graphile_worker._private_jobs j on j.id = x
    where j.priority <> set_priorities.priority order by j.id limit at_most);
  if preview then
    return query select j.id, j.priority::integer from graphile_worker._private_jobs j where j.id = any (v_ids) order by j.id;
    return;
  end if;
  return query
    with held as materialized (
      -- A job whose row somebody has (a worker that is just fetching it) is passed over; the next call finds it again.
      select j.id, j.priority::integer as was from graphile_worker._private_jobs j
      where j.id = any (v_ids) and j.priority <> set_priorities.priority and (j.locked_at is not null or j.attempts < j.max_attempts)
      order by j.id for update skip locked
    ), changed as (
      update graphile_worker._private_jobs j set priority = set_priorities.priority from held h where j.id = h.id returning j.id, h.was
    )
    select c.id, c.was from changed c order by c.id;
  get diagnostics v_count = row_count;
  perform legwork.audit('set_priorities', 'jobs', null, null, jsonb_build_object('filter', filter, 'priority', set_priorities.priority), filter ->> 'tenant', v_count);
end $$;
comment on function legwork.set_priorities(jsonb, integer, boolean, integer) is
  'Changes the priority of the jobs that a filter names and that have another one, as set_priority does, at most 10,000 at a time; returns their ids and what it was before. '
  'With preview => true it only returns which ones it would change. The filter and its errors are those of live_jobs_like.';
revoke execute on function legwork.job_reruns(bigint), legwork.rerun_job(bigint, jsonb, boolean), legwork.rerun_jobs(jsonb, timestamptz, boolean, integer),
  legwork.set_priority(bigint, integer), legwork.set_priorities(jsonb, integer, boolean, integer) from public;

create function legwork.payload_text(payload json, path text[]) returns text
language sql immutable parallel safe
return legwork.readable_json(payload) #>> path;
comment on function legwork.payload_text(json, text[]) is 'What a payload has at a path, as text: 42 for both the number and the text. Null where it has nothing, and for a payload of more than 1,000 levels.';

create or replace function legwork.forget_requests() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  delete from legwork.idempotent_requests r where (r.subject, r.key) in (
    select o.subject, o.key from legwork.idempotent_requests o
    where o.requested_at < clock_timestamp() - interval '24 hours' for update skip locked);
  -- One mark that is older than everything stays, as a bound.
  delete from legwork.id_marks m where m.at < now() - legwork.history_retention() * 1.125 - interval '1 day';
  delete from legwork.reruns r where r.requested_at < now() - legwork.history_retention() * 1.125 - interval '1 day';
end;
comment on function legwork.forget_requests() is
  'Deletes answers to requests that are older than a day, and marks and re-runs that are older than the history. legwork.maintain_history calls it.';
