-- Cancelling jobs: a single job, or all that match a filter.

comment on table legwork_private.cancellations is 'Jobs that were cancelled while they ran. Their worker is notified, and the attempt is not retried if it fails.';
comment on column legwork_private.cancellations.job_id is 'The job.';
comment on column legwork_private.cancellations.reason is 'The reason that the history will record.';
comment on column legwork_private.cancellations.cancelled_by is 'The actor who cancelled it, as in the audit log.';
comment on column legwork_private.cancellations.cancelled_at is 'When it was cancelled.';

create or replace function legwork_private.cancelled_jobs(job_ids bigint[]) returns setof bigint
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select c.job_id from legwork_private.cancellations c where c.job_id = any (cancelled_jobs.job_ids);
end;
comment on function legwork_private.cancelled_jobs(bigint[]) is
  'Those of the given jobs that were cancelled while they ran. A worker calls this to verify a notification, because any login can send notifications.';
revoke execute on function legwork_private.cancelled_jobs(bigint[]) from public;

create or replace function legwork_private.hint_for_unknown_job(job_id bigint) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_kept text := 'Finished jobs are kept for the period set in history_retention.';
  v_after timestamptz;
  v_before timestamptz;
  v_open record;
begin
  -- A tenant must not find out whether another tenant's job has the id. assert_visible gives the same hint.
  if legwork_private.confined_tenant() is not null or job_id is null then
    return v_kept;
  end if;
  if job_id > coalesce(legwork_private.last_job_id(), 0) or job_id < 1 then
    return case when coalesce(legwork_private.last_job_id(), 0) = 0 then 'No job has been enqueued yet.'
      else format('No job has had this id yet: the last id is %s.', legwork_private.last_job_id()) end;
  end if;
  select max(m.at) filter (where m.last_id < job_id), min(m.at) filter (where m.last_id >= job_id) into v_after, v_before from legwork_private.id_marks m;
  if v_before < clock_timestamp() - legwork_private.history_retention() then
    return format('It was enqueued before %s. Finished jobs are kept for %s (setting history_retention).', to_char(v_before, 'YYYY-MM-DD HH24:MI:SS TZ'),
      legwork_private.in_words(legwork_private.history_retention()));
  end if;
  select a.pid, a.usename, a.application_name, a.xact_start into v_open from pg_stat_activity a
  where a.backend_xid is not null and a.datname = current_database() and a.pid <> pg_backend_pid() order by a.xact_start limit 1;
  return format('The id was assigned%s. Either the transaction that enqueued the job is still open or was rolled back, or the job has ended and is no longer in the history '
      '(it is kept for %s, setting history_retention).%s',
    coalesce(', after ' || to_char(v_after, 'YYYY-MM-DD HH24:MI:SS TZ'), ''), legwork_private.in_words(legwork_private.history_retention()),
    case when v_open.pid is not null then format(' The oldest open transaction that has written something belongs to session %s of user ''%s''%s, and has been open since %s.', v_open.pid, v_open.usename,
      coalesce(' in ''' || nullif(v_open.application_name, '') || '''', ''), to_char(v_open.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ')) else '' end);
end $$;
comment on function legwork_private.hint_for_unknown_job(bigint) is
  'Why no job has an id: it has not been assigned, its transaction has not been committed, or its history has expired. The text is always the same for a session that is confined to a tenant.';

create or replace function legwork_private.assert_job(job_id bigint) returns legwork.job_state
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_state legwork.job_state;
begin
  select j.state into v_state from legwork_private.all_jobs j
  where j.id = assert_job.job_id and (legwork_private.confined_tenant() is null or j.tenant = legwork_private.confined_tenant());
  if v_state is null then
    raise exception 'No job has id %.', coalesce(job_id::text, 'null') using
      errcode = 'LW404', hint = legwork_private.hint_for_unknown_job(job_id);
  end if;
  return v_state;
end $$;
comment on function legwork_private.assert_job(bigint) is 'A job''s state. Raises LW404 for an unknown job, and for another tenant''s job if the session is confined to a tenant.';

create or replace function legwork_private.cancel_locked(job legwork_private.graphile_jobs, reason text) returns legwork.job_state
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  if job.locked_at is null then
    perform legwork_private.delete_jobs_as('cancelled', array[job.id], reason);
    return 'cancelled';
  end if;
  insert into legwork_private.cancellations (job_id, reason) values (job.id, cancel_locked.reason) on conflict do nothing;
  -- The job's worker reads this row and triggers the job's abort signal. A worker that misses this notification reads the row with its next
  -- heartbeat.
  perform pg_notify('legwork', json_build_object('cancelled', job.id::text)::text);
  return 'running';
end $$;
comment on function legwork_private.cancel_locked(legwork_private.graphile_jobs, text) is
  'Cancels a job that has not ended and whose row the caller has locked, without checking roles. Returns cancelled, or running while its worker is being notified.';

create or replace function legwork.cancel_job(job_id bigint, reason text default null) returns legwork.job_state
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_job legwork_private.graphile_jobs;
  v_state legwork.job_state;
  v_reason text := 'Cancelled by ' || legwork_private.current_actor() || coalesce(': ' || nullif(reason, ''), '.');
begin
  perform legwork_private.assert_role('operator');
  perform legwork_private.assert_visible(job_id);
  -- The row's lock decides between this call and a worker that is fetching the job.
  select * into v_job from legwork_private.graphile_jobs j where j.id = cancel_job.job_id for update;
  if v_job.id is null or (v_job.locked_at is null and v_job.attempts >= v_job.max_attempts) then
    v_state := legwork_private.assert_job(job_id);
    if v_state = 'cancelled' then
      return v_state;
    end if;
    raise exception 'Job % has already ended: it is %.', job_id, v_state using
      errcode = 'LW409',
      detail = jsonb_strip_nulls(jsonb_build_object('state', v_state, 'do', case v_state when 'failed' then 'discard_job' end, 'id', job_id)),
      hint = case when v_state = 'failed' then '`select legwork.discard_job(' || job_id || ')` discards a failed job.' else 'A job that has ended cannot be cancelled.' end;
  end if;
  perform legwork_private.audit('cancel_job', 'job', job_id::text, jsonb_build_object('state', legwork_private.assert_job(job_id)),
    jsonb_build_object('state', case when v_job.locked_at is null then 'cancelled' else 'running' end, 'reason', v_reason),
    legwork_private.flag_value(v_job.flags, 'tenant'));
  return legwork_private.cancel_locked(v_job, v_reason);
end $$;
comment on function legwork.cancel_job(bigint, text) is
  'Cancels a job. A waiting job never starts. A running job is signaled to stop: its abort signal is triggered within a second, and it is not retried. If it completes '
  'anyway, it counts as completed. Returns cancelled, or running while its worker is being notified. Raises LW404 for an unknown job, and LW409 for a job '
  'that has ended.';
revoke execute on function legwork.cancel_job(bigint, text) from public;

create or replace function legwork_private.cancel_live(job_ids bigint[], reason text) returns bigint[]
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_waiting bigint[];
  v_running bigint[];
begin
  -- Jobs whose rows are locked, for example by a worker that is fetching them, are skipped. The next call finds them again.
  select
    coalesce(array_agg(l.id order by l.id) filter (where l.locked_at is null), '{}'),
    coalesce(array_agg(l.id order by l.id) filter (where l.locked_at is not null), '{}')
  into v_waiting, v_running
  from (
    select j.id, j.locked_at from legwork_private.graphile_jobs j
    where j.id = any (job_ids) and (j.locked_at is not null or j.attempts < j.max_attempts)
    order by j.id for update skip locked
  ) l;
  perform legwork_private.delete_jobs_as('cancelled', v_waiting, cancel_live.reason);
  insert into legwork_private.cancellations (job_id, reason) select r.id, cancel_live.reason from unnest(v_running) as r (id) on conflict do nothing;
  perform pg_notify('legwork', json_build_object('cancelled', r.id::text)::text) from unnest(v_running) as r (id);
  return array(select x from unnest(v_waiting || v_running) x order by x);
end $$;
comment on function legwork_private.cancel_live(bigint[], text) is
  'Cancels those of the given jobs that have not ended, without checking roles, and returns their ids. The reason is recorded unchanged.';
revoke execute on function legwork_private.cancel_live(bigint[], text) from public;

create or replace function legwork.cancel_jobs(filter jsonb, reason text default null, preview boolean default false, at_most integer default 10000)
returns setof bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_ids bigint[] := array(select x from legwork_private.live_jobs_like(filter, at_most => cancel_jobs.at_most) x);
  v_reason text := 'Cancelled by ' || legwork_private.current_actor() || coalesce(': ' || nullif(reason, ''), '.');
begin
  if preview then
    return query select unnest(v_ids);
    return;
  end if;
  v_ids := legwork_private.cancel_live(v_ids, v_reason);
  perform legwork_private.audit('cancel_jobs', 'jobs', null, null, jsonb_build_object('filter', filter, 'reason', v_reason), filter ->> 'tenant', cardinality(v_ids));
  return query select unnest(v_ids);
end $$;
comment on function legwork.cancel_jobs(jsonb, text, boolean, integer) is
  'Cancels the jobs that match a filter, like cancel_job, at most 10,000 at a time, and returns their ids. With preview => true it only returns the ids of the jobs that it would cancel. '
  'The filter and its errors are the same as for live_jobs_like.';
revoke execute on function legwork.cancel_jobs(jsonb, text, boolean, integer) from public;
