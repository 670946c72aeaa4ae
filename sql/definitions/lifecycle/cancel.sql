-- Cancelling, retrying and discarding jobs, one or all that match.

comment on table legwork_private.cancellations is 'Jobs that were cancelled while they ran: their worker is told, and what then fails is not retried.';
comment on column legwork_private.cancellations.job_id is 'The job.';
comment on column legwork_private.cancellations.reason is 'What its history will say.';
comment on column legwork_private.cancellations.cancelled_by is 'Who cancelled it: the database role, or whom the server acted for.';
comment on column legwork_private.cancellations.cancelled_at is 'When.';

create or replace function legwork_private.cancelled_jobs(job_ids bigint[]) returns setof bigint
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select c.job_id from legwork_private.cancellations c where c.job_id = any (cancelled_jobs.job_ids);
end;
comment on function legwork_private.cancelled_jobs(bigint[]) is
  'Which of these jobs were cancelled while they ran. A worker asks when a notification says that there is something to hear: notifications themselves can come from any login.';
revoke execute on function legwork_private.cancelled_jobs(bigint[]) from public;

create or replace function legwork_private.assert_job(job_id bigint) returns legwork.job_state
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_state legwork.job_state;
begin
  select j.state into v_state from legwork_private.all_jobs j
  where j.id = assert_job.job_id and (legwork_private.confined_tenant() is null or j.tenant = legwork_private.confined_tenant());
  if v_state is null then
    raise exception 'There is no job %.', coalesce(job_id::text, 'null') using
      errcode = 'LW404', hint = 'Finished jobs are kept for the setting history_retention.';
  end if;
  return v_state;
end $$;
comment on function legwork_private.assert_job(bigint) is 'A job''s state. Raises LW404 for an unknown job, and for one of another tenant than the session is confined to.';

create or replace function legwork_private.cancel_locked(job legwork_private.graphile_jobs, reason text) returns legwork.job_state
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  if job.locked_at is null then
    perform legwork_private.delete_jobs_as('cancelled', array[job.id], reason);
    return 'cancelled';
  end if;
  insert into legwork_private.cancellations (job_id, reason) values (job.id, cancel_locked.reason) on conflict do nothing;
  -- Its worker reads the row and aborts the job's signal. One that does not hear this reads it with its next beat.
  perform pg_notify('legwork', json_build_object('cancelled', job.id::text)::text);
  return 'running';
end $$;
comment on function legwork_private.cancel_locked(legwork_private.graphile_jobs, text) is
  'Cancels a job that has not ended and whose row the caller has locked, whoever asks for it. Returns cancelled, or running while its worker is being told.';

create or replace function legwork.cancel_job(job_id bigint, reason text default null) returns legwork.job_state
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_job legwork_private.graphile_jobs;
  v_state legwork.job_state;
  v_reason text := 'Cancelled by ' || legwork_private.current_actor() || coalesce(': ' || nullif(reason, ''), '.');
begin
  perform legwork_private.assert_role('operator');
  perform legwork_private.assert_visible(job_id);
  -- The row's lock decides between this and a worker that is just fetching it.
  select * into v_job from legwork_private.graphile_jobs j where j.id = cancel_job.job_id for update;
  if v_job.id is null or (v_job.locked_at is null and v_job.attempts >= v_job.max_attempts) then
    v_state := legwork_private.assert_job(job_id);
    if v_state = 'cancelled' then
      return v_state;
    end if;
    raise exception 'Job % has already ended: it is %.', job_id, v_state using
      errcode = 'LW409',
      hint = case when v_state = 'failed' then 'legwork.discard_job throws a failed job away.' else 'What has ended stays as it is.' end;
  end if;
  perform legwork_private.audit('cancel_job', 'job', job_id::text, jsonb_build_object('state', legwork_private.assert_job(job_id)),
    jsonb_build_object('state', case when v_job.locked_at is null then 'cancelled' else 'running' end, 'reason', v_reason),
    legwork_private.flag_value(v_job.flags, 'tenant'));
  return legwork_private.cancel_locked(v_job, v_reason);
end $$;
comment on function legwork.cancel_job(bigint, text) is
  'Cancels a job. One that waits never starts. One that runs is told to stop: its signal aborts within a second, and it is not retried; should it complete '
  'all the same, it has completed. Returns cancelled, or running while its worker is being told. Raises LW404 for an unknown job and LW409 for one '
  'that has ended.';
revoke execute on function legwork.cancel_job(bigint, text) from public;

create or replace function legwork.cancel_jobs(filter jsonb, reason text default null, preview boolean default false, at_most integer default 10000)
returns setof bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_ids bigint[] := array(select x from legwork_private.live_jobs_like(filter) x limit at_most);
  v_waiting bigint[];
  v_running bigint[];
  v_reason text := 'Cancelled by ' || legwork_private.current_actor() || coalesce(': ' || nullif(reason, ''), '.');
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
    select j.id, j.locked_at from legwork_private.graphile_jobs j
    where j.id = any (v_ids) and (j.locked_at is not null or j.attempts < j.max_attempts)
    order by j.id for update skip locked
  ) l;
  perform legwork_private.delete_jobs_as('cancelled', v_waiting, v_reason);
  insert into legwork_private.cancellations (job_id, reason) select r.id, v_reason from unnest(v_running) as r (id) on conflict do nothing;
  perform pg_notify('legwork', json_build_object('cancelled', r.id::text)::text) from unnest(v_running) as r (id);
  perform legwork_private.audit('cancel_jobs', 'jobs', null, null, jsonb_build_object('filter', filter, 'reason', v_reason), filter ->> 'tenant',
    cardinality(v_waiting || v_running));
  return query select x from unnest(v_waiting || v_running) x order by x;
end $$;
comment on function legwork.cancel_jobs(jsonb, text, boolean, integer) is
  'Cancels the jobs that a filter names, as cancel_job does, at most 10,000 at a time, and returns their ids. With preview => true it only returns which ones it would cancel. '
  'The filter and its errors are those of live_jobs_like.';
revoke execute on function legwork.cancel_jobs(jsonb, text, boolean, integer) from public;
