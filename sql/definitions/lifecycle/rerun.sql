-- Rerunning jobs that have ended.
--
-- Locks: none on existing tables.

comment on table legwork_private.reruns is 'Jobs that rerun a job that had ended. Kept as long as the history.';
comment on column legwork_private.reruns.job_id is 'The new job.';
comment on column legwork_private.reruns.original_id is 'The job that it reruns.';
comment on column legwork_private.reruns.payload_changed is 'Whether it has a different payload.';
comment on column legwork_private.reruns.requested_by is 'The actor who requested it, as in the audit log.';
comment on column legwork_private.reruns.requested_at is 'When it was requested.';

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
  'The reruns that involve a job, at most 100. In the row whose id is the job''s own, original_id is the job that it reruns; the other rows are reruns of the job. Raises LW404 for an unknown job.';
revoke execute on function legwork.job_reruns(bigint) from public;

create or replace function legwork_private.rerun_payload(job_id bigint, given jsonb, history json) returns json
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_kept json;
  v_payload json;
begin
  -- A failed job keeps the payload with which it was enqueued. For any other job, the history has the payload without the parts that its definition
  -- redacts.
  select j.payload into v_kept from legwork_private.graphile_jobs j where j.id = rerun_payload.job_id;
  v_payload := case when given is null then coalesce(v_kept, history, '{}') else legwork_private.restore_redacted(given::json, legwork_private.readable_json(v_kept)) end;
  if v_kept is null and legwork_private.has_redacted(v_payload) or v_kept is not null and legwork_private.has_redacted(v_payload) and not legwork_private.has_redacted(v_kept) then
    raise exception 'Job % cannot be rerun with this payload: parts of it are redacted, and the history does not have them.', job_id using
      errcode = 'LW409', hint = 'Give the complete payload.';
  end if;
  return v_payload;
end $$;
comment on function legwork_private.rerun_payload(bigint, jsonb, json) is
  'The payload for a rerun of a job: the given payload, or else the one from graphile-worker''s table or from the history. Raises LW409 if parts of it are redacted.';

create or replace function legwork_private.rerun_finished(original legwork_private.finished_jobs, payload json, payload_changed boolean) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_before text[] := array[current_setting('legwork.tenant', true), current_setting('legwork.correlation_id', true), current_setting('legwork.parent_id', true)];
  v_id bigint;
begin
  -- Its tenant, correlation id and parent come from the original job only.
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
  'Enqueues a rerun of a job that has ended, with its task, priority, serial key, attempts, tenant and correlation id, and with the original as its parent.';

create or replace function legwork.rerun_job(job_id bigint, payload jsonb default null, discard boolean default false, task text default null) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_original legwork_private.finished_jobs;
  v_state legwork.job_state;
  v_id bigint;
  v_was text;
begin
  perform legwork_private.assert_role('operator');
  perform legwork_private.assert_visible(job_id);
  select f.* into v_original from legwork_private.finished_jobs f where f.id = rerun_job.job_id order by f.finished_at desc limit 1;
  if v_original.id is null then
    v_state := legwork_private.assert_job(job_id);
    raise exception 'Job % has not ended: it is %.', job_id, v_state using
      errcode = 'LW409', detail = case when v_state <> 'running' then jsonb_build_object('do', 'retry_job', 'id', job_id)::text else '' end,
      hint = case when v_state = 'running' then 'Wait for it to end. To run it twice, enqueue it again.'
        else '`select legwork.retry_job(' || job_id || ')` starts a job early. To run it twice, enqueue it again.' end;
  end if;
  v_was := v_original.task;
  v_original.task := coalesce(rerun_job.task, v_was);
  perform legwork_private.assert_task(v_original.task);
  if discard and v_original.state <> 'failed' then
    raise exception 'Job % cannot be discarded: it is %.', job_id, v_original.state using errcode = 'LW409', hint = 'Only failed jobs can be discarded. Omit discard.';
  end if;
  v_id := legwork_private.rerun_finished(v_original, legwork_private.rerun_payload(job_id, rerun_job.payload, v_original.payload), rerun_job.payload is not null);
  perform legwork_private.audit('rerun_job', 'job', job_id::text, jsonb_build_object('state', v_original.state),
    jsonb_strip_nulls(jsonb_build_object('job_id', v_id::text, 'payload_changed', rerun_job.payload is not null, 'task', nullif(v_original.task, v_was))), v_original.tenant);
  if discard then
    perform legwork.discard_job(job_id);
  end if;
  return v_id;
end $$;
comment on function legwork.rerun_job(bigint, jsonb, boolean, text) is
  'Reruns a job that has ended: enqueues a new job with its task, payload, priority, serial key, attempts, tenant and correlation id, and with the old job as its parent. '
  'Returns the new job''s id. The job key, run_at, expiry and dependencies are not copied. payload: a different payload; "[redacted]" in it stands for the original value, as long as the job is kept for a retry. '
  'discard: also discard the old job, which must have failed. task: a different task, for example if its name was misspelled. Raises LW404 for an unknown job or task. Raises LW409 for a job that has not ended, and if the history does not have '
  'the complete payload because the task''s definition redacts parts of it.';
revoke execute on function legwork.rerun_job(bigint, jsonb, boolean, text) from public;

create or replace function legwork_private.rerun_ended(job_ids bigint[]) returns bigint[]
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_original legwork_private.finished_jobs;
  v_ids bigint[] := '{}';
begin
  for v_original in select f.* from legwork_private.finished_jobs f where f.id = any (job_ids) order by f.id loop
    perform legwork_private.rerun_finished(v_original, legwork_private.rerun_payload(v_original.id, null, v_original.payload), false);
    v_ids := v_ids || v_original.id;
  end loop;
  return v_ids;
end $$;
comment on function legwork_private.rerun_ended(bigint[]) is
  'Reruns those of the given jobs that have ended, without checking roles, and returns their ids. Raises LW409, without any effect, if one of the payloads is redacted.';
revoke execute on function legwork_private.rerun_ended(bigint[]) from public;

create or replace function legwork.rerun_jobs(filter jsonb, as_of timestamptz default null, preview boolean default false, at_most integer default 10000)
returns setof bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_as_of timestamptz := coalesce(as_of, clock_timestamp());
  v_ids bigint[];
begin
  perform legwork_private.assert_role('operator');
  if not preview then
    -- One call at a time: two calls that match the same jobs would both rerun them. Each statement below sees what was committed before it.
    perform pg_advisory_xact_lock(hashtextextended('legwork.rerun_jobs', 0));
  end if;
  v_ids := array(select x from legwork_private.finished_jobs_like(filter, v_as_of, at_most => rerun_jobs.at_most) x);
  if preview then
    return query select unnest(v_ids);
    return;
  end if;
  v_ids := legwork_private.rerun_ended(v_ids);
  perform legwork_private.audit('rerun_jobs', 'jobs', null, null, jsonb_build_object('filter', filter), filter ->> 'tenant', cardinality(v_ids));
  return query select unnest(v_ids);
end $$;
comment on function legwork.rerun_jobs(jsonb, timestamptz, boolean, integer) is
  'Reruns the jobs that match a filter, like rerun_job, at most 10,000 at a time, and returns the ids of the old jobs. as_of: when the operation began, now by default; pass the same value to '
  'the next call to continue with the jobs that have not been rerun since then. With preview => true it only returns the ids of the jobs that it would rerun. Raises the errors of finished_jobs_like, '
  'and LW409, without any effect, if one of the payloads is redacted.';
revoke execute on function legwork.rerun_jobs(jsonb, timestamptz, boolean, integer) from public;
