-- Expiry: a job that has waited too long for its purpose ends instead of running.
--
-- The time travels with the job as the flag expires:<milliseconds since 1970>, so that whoever fetches the job sees it without a
-- join and replacing a keyed job replaces it too. The table below is only how expired jobs are found; the flag is the truth.

comment on table legwork_private.expirations is 'When waiting jobs expire, for those that do; what finds them. The job''s own flag says whether it is still so.';
comment on column legwork_private.expirations.job_id is 'The job.';
comment on column legwork_private.expirations.expires_at is 'When it is too late to start it.';

create or replace function legwork_private.expire_jobs(max integer default 1000, only_job bigint default null) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_due bigint[];
  v_expired bigint[];
begin
  -- A running job started in time and is passed over; it comes back here if it is to be retried.
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
    -- Whoever has the row is fetching or replacing the job; the next call looks again.
    select j.id from legwork_private.graphile_jobs j
    where j.id = any (v_due) and j.locked_at is null and j.attempts < j.max_attempts and legwork_private.expiry_of(j.flags) <= clock_timestamp()
    for update skip locked);
  perform legwork_private.delete_jobs_as('expired', v_expired);

  -- What is left of these jobs does not expire any more: ended, failed, or replaced by a request without expires_at.
  delete from legwork_private.expirations e
  where e.job_id = any (v_due) and not exists (
    select from legwork_private.graphile_jobs j
    where j.id = e.job_id and legwork_private.expiry_of(j.flags) is not null and (j.locked_at is not null or j.attempts < j.max_attempts));
  return cardinality(v_expired);
end $$;
comment on function legwork_private.expire_jobs(integer, bigint) is
  'Ends waiting jobs whose expires_at has come, max of them at most or only one, and returns how many. Each is in the history as expired. '
  'Running jobs are left alone. Every worker calls it every second; any number may at once.';
revoke execute on function legwork_private.expire_jobs(integer, bigint) from public;
