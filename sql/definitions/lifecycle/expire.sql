-- Expiry: a job that has waited too long to be useful ends instead of running.
--
-- The time travels with the job as the flag expires:<milliseconds since 1970>. So a worker that fetches the job sees it without a
-- join, and replacing a keyed job replaces it too. The table below only serves to find expired jobs; the flag decides.

comment on table legwork_private.expirations is 'When waiting jobs expire, for jobs that can. Serves to find them; the flag of a job decides whether the time still applies.';
comment on column legwork_private.expirations.job_id is 'The job.';
comment on column legwork_private.expirations.expires_at is 'When it is too late to start it.';

create or replace function legwork_private.expire_jobs(max integer default 1000, only_job bigint default null) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_due bigint[];
  v_expired bigint[];
begin
  -- A running job has started in time and is skipped. It is considered again here if it is retried.
  select array_agg(d.job_id) into v_due
  from (
    select e.job_id from legwork_private.expirations e
    where e.expires_at <= clock_timestamp() and (e.job_id = only_job or only_job is null
        and not exists (select from legwork_private.set_aside a where a.what = 'expiry' and a.item = e.job_id::text))
      and not exists (select from legwork_private.graphile_jobs j where j.id = e.job_id and j.locked_at is not null)
    order by e.expires_at
    limit expire_jobs.max
    for update of e skip locked
  ) d;
  if v_due is null then
    return 0;
  end if;

  v_expired := array(
    -- A session that has locked the row is fetching or replacing the job. The next call checks it again.
    select j.id from legwork_private.graphile_jobs j
    where j.id = any (v_due) and j.locked_at is null and j.attempts < j.max_attempts and legwork_private.expiry_of(j.flags) <= clock_timestamp()
    for update skip locked);
  perform legwork_private.delete_jobs_as('expired', v_expired);
  -- For the log of the worker that called legwork.tick().
  perform set_config('legwork.expired', array_to_string(v_expired[:100], ','), true);

  -- The other jobs no longer expire: they have ended, failed or been replaced by a request without expires_at.
  delete from legwork_private.expirations e
  where e.job_id = any (v_due) and not exists (
    select from legwork_private.graphile_jobs j
    where j.id = e.job_id and legwork_private.expiry_of(j.flags) is not null and (j.locked_at is not null or j.attempts < j.max_attempts));
  return cardinality(v_expired);
end $$;
comment on function legwork_private.expire_jobs(integer, bigint) is
  'Ends waiting jobs whose expires_at has passed, at most max of them or only the given one, and returns how many. The history records each as expired. '
  'Running jobs are left alone. Every worker calls this in legwork.tick(), and any number may call it at once.';
revoke execute on function legwork_private.expire_jobs(integer, bigint) from public;
