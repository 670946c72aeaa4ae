create or replace function legwork.retry_job(job_id bigint) returns legwork.job_state
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_job legwork_private.graphile_jobs;
  v_state legwork.job_state;
begin
  perform legwork_private.assert_role('operator');
  perform legwork_private.assert_visible(job_id);
  select * into v_job from legwork_private.graphile_jobs j where j.id = retry_job.job_id for update;
  if v_job.id is null then
    v_state := legwork_private.assert_job(job_id);
    raise exception 'Job % cannot be retried: it is %.', job_id, v_state using
      errcode = 'LW409', detail = jsonb_build_object('do', 'rerun_job', 'id', job_id),
      hint = 'Only failed jobs can be retried. `select legwork.rerun_job(' || job_id || ')` runs it again as a new job.';
  end if;
  if v_job.locked_at is not null then
    raise exception 'Job % cannot be retried: it is running.', job_id using errcode = 'LW409', hint = 'Wait until it has ended, or cancel it.';
  end if;
  v_state := legwork_private.assert_job(job_id);
  -- A retry ends a sleep. A wait for a signal continues.
  if v_job.attempts < v_job.max_attempts then
    update legwork_private.job_steps s set state = 'completed', recorded_at = clock_timestamp()
    where s.job_id = retry_job.job_id and s.kind = 'sleep' and s.state = 'waiting';
  end if;
  update legwork_private.graphile_jobs j
  set attempts = case when j.attempts >= j.max_attempts then 0 else j.attempts end, run_at = now(), updated_at = now(),
    revision = j.revision + 1, flags = legwork_private.without_expiry(j.flags)
  where j.id = retry_job.job_id;
  perform legwork_private.wake_workers(1);
  perform legwork_private.audit('retry_job', 'job', job_id::text, jsonb_build_object('state', v_state, 'attempts', v_job.attempts),
    jsonb_build_object('state', legwork_private.assert_job(job_id)), legwork_private.flag_value(v_job.flags, 'tenant'));
  return legwork_private.assert_job(job_id);
end $$;
comment on function legwork.retry_job(bigint) is
  'Makes a job start now. A failed job gets all its attempts again. A job that is due later no longer waits for its time, and a job that sleeps in a step '
  'continues after the sleep. A job that waits for a signal runs again up to the wait and then keeps waiting; use send_signal to continue it. Limits and pauses still apply. Returns the job''s state. '
  'Raises LW404 for an unknown job, and LW409 for a job that is running or has ended in a state other than failed.';
revoke execute on function legwork.retry_job(bigint) from public;

create or replace function legwork_private.retry_failed(job_ids bigint[]) returns bigint[]
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_ids bigint[];
begin
  -- A job that another session is retrying at the same moment is locked, and is skipped.
  v_ids := array(
    select j.id from legwork_private.graphile_jobs j
    where j.id = any (job_ids) and j.locked_at is null and j.attempts >= j.max_attempts order by j.id for update skip locked);
  update legwork_private.graphile_jobs j
  set attempts = 0, run_at = now(), updated_at = now(), revision = j.revision + 1, flags = legwork_private.without_expiry(j.flags)
  where j.id = any (v_ids);
  perform legwork_private.wake_workers(cardinality(v_ids));
  return v_ids;
end $$;
comment on function legwork_private.retry_failed(bigint[]) is 'Retries those of the given jobs that have failed, without checking roles, and returns their ids.';
revoke execute on function legwork_private.retry_failed(bigint[]) from public;

create or replace function legwork.retry_jobs(filter jsonb, preview boolean default false, at_most integer default 10000) returns setof bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_ids bigint[] := array(select x from legwork_private.failed_jobs_like(filter, at_most => retry_jobs.at_most) x);
begin
  if preview then
    return query select unnest(v_ids);
    return;
  end if;
  v_ids := legwork_private.retry_failed(v_ids);
  perform legwork_private.audit('retry_jobs', 'jobs', null, '{"state": "failed"}', jsonb_build_object('filter', filter), filter ->> 'tenant', cardinality(v_ids));
  return query select unnest(v_ids);
end $$;
comment on function legwork.retry_jobs(jsonb, boolean, integer) is
  'Retries the failed jobs that match a filter, like retry_job, at most 10,000 at a time, and returns their ids. With preview => true it only returns the ids of the jobs that it would retry. '
  'The filter and its errors are the same as for failed_jobs_like.';
revoke execute on function legwork.retry_jobs(jsonb, boolean, integer) from public;
