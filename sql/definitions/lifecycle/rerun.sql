-- What people do with jobs in the dashboard: running one again, changing when its turn comes, and finding jobs by what is in their payload.
--
-- Locks: none but those on what is made here.

comment on table legwork_private.reruns is 'Jobs that are another run of a job that had ended, as somebody asked for. Kept as long as the history.';
comment on column legwork_private.reruns.job_id is 'The new job.';
comment on column legwork_private.reruns.original_id is 'The job that it repeats.';
comment on column legwork_private.reruns.payload_changed is 'Whether it was given another payload.';
comment on column legwork_private.reruns.requested_by is 'Who asked for it: the database role, or whom the server acted for.';
comment on column legwork_private.reruns.requested_at is 'When.';

create or replace function legwork.job_reruns(job_id bigint)
returns table (id bigint, original_id bigint, payload_changed boolean, requested_by text, requested_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_role('viewer');
  perform legwork_private.assert_job(job_id);
  return query
    select r.job_id, r.original_id, r.payload_changed, r.requested_by, r.requested_at
    from legwork_private.reruns r
    where r.job_id = job_reruns.job_id or r.original_id = job_reruns.job_id
    order by r.job_id
    limit 100;
end $$;
comment on function legwork.job_reruns(bigint) is
  'The re-runs that a job has to do with: the row whose id is the job''s says what it is a re-run of, the others are re-runs of it; 100 at most. Raises LW404 for an unknown job.';
revoke execute on function legwork.job_reruns(bigint) from public;

create or replace function legwork_private.rerun_payload(job_id bigint, given jsonb, history json) returns json
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_kept json;
  v_payload json;
begin
  -- A failed job is kept as it was enqueued; of every other one the history has what its definition does not redact.
  select j.payload into v_kept from legwork_private.graphile_jobs j where j.id = rerun_payload.job_id;
  v_payload := case when given is null then coalesce(v_kept, history, '{}') else legwork_private.restore_redacted(given::json, legwork_private.readable_json(v_kept)) end;
  if v_kept is null and legwork_private.has_redacted(v_payload) or v_kept is not null and legwork_private.has_redacted(v_payload) and not legwork_private.has_redacted(v_kept) then
    raise exception 'Job % cannot be run again with this payload: parts of it are redacted, and the history does not have them.', job_id using
      errcode = 'LW409', hint = 'Give the payload whole: rerun_job(job_id, payload => …).';
  end if;
  return v_payload;
end $$;
comment on function legwork_private.rerun_payload(bigint, jsonb, json) is
  'The payload of another run of a job, from what is given, what graphile-worker''s table has and what the history has. Raises LW409 when something in it is redacted.';

create or replace function legwork_private.rerun_finished(original legwork_private.finished_jobs, payload json, payload_changed boolean) returns bigint
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
    priority => original.priority, flags => legwork_private.context_flags(original.tenant, original.correlation_id)) j;
  perform set_config('legwork.tenant', coalesce(v_before[1], ''), true), set_config('legwork.correlation_id', coalesce(v_before[2], ''), true),
    set_config('legwork.parent_id', coalesce(v_before[3], ''), true);
  insert into legwork_private.reruns (job_id, original_id, payload_changed) values (v_id, original.id, rerun_finished.payload_changed);
  return v_id;
end $$;
comment on function legwork_private.rerun_finished(legwork_private.finished_jobs, json, boolean) is
  'Enqueues another run of a job that has ended: its task, priority, serial key, attempts, tenant and correlation id, with the original as its parent.';

create or replace function legwork.rerun_job(job_id bigint, payload jsonb default null, discard boolean default false) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_original legwork_private.finished_jobs;
  v_state legwork.job_state;
  v_id bigint;
begin
  perform legwork_private.assert_role('operator');
  perform legwork_private.assert_visible(job_id);
  select f.* into v_original from legwork_private.finished_jobs f where f.id = rerun_job.job_id order by f.finished_at desc limit 1;
  if v_original.id is null then
    v_state := legwork_private.assert_job(job_id);
    raise exception 'Job % has not ended: it is %.', job_id, v_state using
      errcode = 'LW409', hint = 'legwork.retry_job lets a job start that waits for its time. To run it twice, enqueue it again.';
  end if;
  perform legwork_private.assert_task(v_original.task);
  if discard and v_original.state <> 'failed' then
    raise exception 'Job % cannot be discarded: it is %.', job_id, v_original.state using errcode = 'LW409', hint = 'Only a failed job can. Leave discard out.';
  end if;
  v_id := legwork_private.rerun_finished(v_original, legwork_private.rerun_payload(job_id, rerun_job.payload, v_original.payload), rerun_job.payload is not null);
  perform legwork_private.audit('rerun_job', 'job', job_id::text, jsonb_build_object('state', v_original.state),
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
revoke execute on function legwork.rerun_job(bigint, jsonb, boolean) from public;

create or replace function legwork.rerun_jobs(filter jsonb, as_of timestamptz default null, preview boolean default false, at_most integer default 10000)
returns setof bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_as_of timestamptz := coalesce(as_of, clock_timestamp());
  v_ids bigint[];
  v_original legwork_private.finished_jobs;
  v_count integer := 0;
begin
  perform legwork_private.assert_role('operator');
  if not preview then
    -- One at a time: two that fit the same jobs would both find them not run again yet. Each statement below sees what was committed before it.
    perform pg_advisory_xact_lock(hashtextextended('legwork.rerun_jobs', 0));
  end if;
  v_ids := array(select x from legwork_private.finished_jobs_like(filter, v_as_of) x limit at_most);
  if preview then
    return query select unnest(v_ids);
    return;
  end if;
  for v_original in select f.* from legwork_private.finished_jobs f where f.id = any (v_ids) order by f.id loop
    perform legwork_private.rerun_finished(v_original, legwork_private.rerun_payload(v_original.id, null, v_original.payload), false);
    v_count := v_count + 1;
    return next v_original.id;
  end loop;
  perform legwork_private.audit('rerun_jobs', 'jobs', null, null, jsonb_build_object('filter', filter), filter ->> 'tenant', v_count);
end $$;
comment on function legwork.rerun_jobs(jsonb, timestamptz, boolean, integer) is
  'Runs the jobs that a filter names again, as rerun_job does, at most 10,000 at a time, and returns the ids of the old ones. as_of: when this began, now by default; given again '
  'with the next call, that one goes on with what has not been run again since. With preview => true it only returns which ones it would run. Raises what finished_jobs_like raises, '
  'and LW409 without having done anything when a payload among them is redacted.';
revoke execute on function legwork.rerun_jobs(jsonb, timestamptz, boolean, integer) from public;
