create or replace function legwork.discard_job(job_id bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_state legwork.job_state;
  v_flags jsonb;
begin
  perform legwork_private.assert_role('operator');
  perform legwork_private.assert_visible(job_id);
  delete from legwork_private.graphile_jobs j
  where j.id = discard_job.job_id and j.locked_at is null and j.attempts >= j.max_attempts
  returning j.flags into v_flags;
  if not found then
    v_state := legwork_private.assert_job(job_id);
    if v_state = 'failed' then
      return;
    end if;
    raise exception 'Job % has not failed: it is %.', job_id, v_state using errcode = 'LW409',
      detail = case when v_state not in ('completed', 'cancelled', 'expired') then jsonb_build_object('do', 'cancel_job', 'id', job_id)::text else '' end,
      hint = case when v_state in ('completed', 'cancelled', 'expired') then 'Only failed jobs can be discarded. There is nothing to do.'
        else '`select legwork.cancel_job(' || job_id || ')` cancels a job that has not ended.' end;
  end if;
  perform legwork_private.audit('discard_job', 'job', job_id::text, '{"state": "failed"}', '{"state": "failed"}', legwork_private.flag_value(v_flags, 'tenant'));
end $$;
comment on function legwork.discard_job(bigint) is
  'Discards a failed job: it can no longer be retried, and it stays in the history as failed. Raises LW404 for an unknown job, and LW409 for a job that has not failed.';
revoke execute on function legwork.discard_job(bigint) from public;

create or replace function legwork_private.discard_failed(job_ids bigint[]) returns bigint[]
language sql volatile set search_path = pg_catalog, pg_temp
as $$
  with gone as (
    delete from legwork_private.graphile_jobs j
    where j.id = any (array(
      select k.id from legwork_private.graphile_jobs k
      where k.id = any (discard_failed.job_ids) and k.locked_at is null and k.attempts >= k.max_attempts order by k.id for update skip locked))
    returning j.id
  )
  select coalesce(array_agg(g.id order by g.id), '{}') from gone g
$$;
comment on function legwork_private.discard_failed(bigint[]) is 'Discards those of the given jobs that have failed, without checking roles, and returns their ids.';
revoke execute on function legwork_private.discard_failed(bigint[]) from public;

create or replace function legwork.discard_jobs(filter jsonb, preview boolean default false, at_most integer default 10000) returns setof bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_ids bigint[] := array(select x from legwork_private.failed_jobs_like(filter, at_most => discard_jobs.at_most) x);
begin
  if preview then
    return query select unnest(v_ids);
    return;
  end if;
  v_ids := legwork_private.discard_failed(v_ids);
  perform legwork_private.audit('discard_jobs', 'jobs', null, '{"state": "failed"}', jsonb_build_object('filter', filter), filter ->> 'tenant', cardinality(v_ids));
  return query select unnest(v_ids);
end $$;
comment on function legwork.discard_jobs(jsonb, boolean, integer) is
  'Discards the failed jobs that match a filter, like discard_job. The filter, preview, at_most and the result are as for retry_jobs.';
revoke execute on function legwork.discard_jobs(jsonb, boolean, integer) from public;
