-- Waiting for the end of jobs: legwork.jobs.result, enqueueAndWait, GET /jobs/:id/result and legwork add --wait.
--
-- A process that waits adds a row for each job to legwork_private.awaited_jobs. The transaction that ends a job with such a row sends the
-- job's id on the channel legwork_results. The notification is a hint: the process then reads legwork_private.results_of, so a forged or lost
-- notification does no harm.
-- Why the end of a job is never missed: the process listens, commits its row, and then reads results_of. A transaction that ends the job and was
-- committed before that read is seen by it. A transaction that did not see the row had taken its snapshot before the row was committed, so it was
-- already in progress, with a transaction id, when the read took its snapshot. So the process reads again until all transactions in progress at its
-- first read have ended (src/jobs/result-waits.ts). Any later transaction sees the row.
-- A repeatable read transaction may have a snapshot from before the row was committed. It notifies all waiting processes.

comment on table legwork_private.awaited_jobs is 'The jobs whose ends processes wait for. A transaction that ends one of them notifies its process. Unlogged, because a lost row only delays the process until its next check.';
comment on column legwork_private.awaited_jobs.job_id is 'The job.';
comment on column legwork_private.awaited_jobs.waiter is 'A random id of the process that waits.';
comment on column legwork_private.awaited_jobs.expires_at is 'When the row expires unless the process renews it. (The process may have died.)';

create or replace function legwork_private.await_results(job_ids bigint[], no_longer bigint[], waiter uuid) returns setof bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
begin
  perform legwork_private.assert_role('viewer');
  delete from legwork_private.awaited_jobs a where a.waiter = await_results.waiter and a.job_id = any (no_longer);
  -- Jobs that have ended are not waited for, so there are never more rows than live jobs for each process.
  return query insert into legwork_private.awaited_jobs as a (job_id, waiter, expires_at)
  select j.id, await_results.waiter, clock_timestamp() + interval '5 minutes'
  from legwork_private.graphile_jobs j
  where j.id = any (job_ids)
    and (legwork_private.confined_tenant() is null or legwork_private.flag_value(j.flags, 'tenant') = legwork_private.confined_tenant())
  on conflict on constraint awaited_jobs_pkey do update set expires_at = excluded.expires_at
  returning a.job_id;
end $$;
comment on function legwork_private.await_results(bigint[], bigint[], uuid) is
  'Registers the jobs whose ends a process waits for, for five minutes, and removes the jobs that it no longer waits for. Returns the ids that were registered: those of jobs that have not ended. Needs the role viewer.';
revoke execute on function legwork_private.await_results(bigint[], bigint[], uuid) from public;

create or replace function legwork_private.results_of(job_ids bigint[])
returns table (id bigint, state legwork.job_state, result jsonb, error text, finished_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_tenant text := legwork_private.confined_tenant();
begin
  perform legwork_private.assert_role('viewer');
  -- One statement, and so one snapshot: each job is either live or in the history.
  return query
    with live as materialized (
      select j.id, j.flags from legwork_private.graphile_jobs j
      where j.id = any (job_ids) and (j.locked_at is not null or j.attempts < j.max_attempts)
    )
    select l.id, null::legwork.job_state, null::jsonb, null::text, null::timestamptz
    from live l where v_tenant is null or legwork_private.flag_value(l.flags, 'tenant') = v_tenant
    union all
    select a.id, f.state, f.result, f.error, f.finished_at
    from (select distinct unnest(job_ids) as id) a
    cross join lateral (
      select h.state, h.result, h.error, h.finished_at from legwork_private.finished_jobs h
      where h.id = a.id and (v_tenant is null or h.tenant = v_tenant) limit 1
    ) f
    where not exists (select from live l where l.id = a.id);
end $$;
comment on function legwork_private.results_of(bigint[]) is
  'How jobs ended: state, result, and error or reason, as in legwork.jobs. state is null for a job that has not ended, including one that waits for another attempt. Jobs that do not exist, or that '
  'belong to a different tenant than the session, are missing. Needs the role viewer.';
revoke execute on function legwork_private.results_of(bigint[]) from public;

create or replace function legwork_private.is_awaited(first bigint, last bigint) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp
-- Always uses the index, because the table may be full of dead rows.
set enable_seqscan = off set jit = off set enable_bitmapscan = off as $$
begin
  return exists (select from legwork_private.awaited_jobs a where a.job_id between first and last)
    or current_setting('transaction_isolation') <> 'read committed';
end $$;
comment on function legwork_private.is_awaited(bigint, bigint) is
  'Whether a process may wait for a job with an id in this range. Also true in a transaction whose snapshot may be too old to see that.';

create or replace function legwork_private.notify_waiters(job_ids bigint[]) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    perform pg_notify('legwork_results', '*');
    return;
  end if;
  -- A notification has less than 8,000 bytes: 300 ids of up to 19 digits.
  perform pg_notify('legwork_results', p.ids)
  from (
    select string_agg(n.id::text, ',') as ids
    from (
      select w.id, (row_number() over () - 1) / 300 as part
      from (select distinct a.job_id as id from legwork_private.awaited_jobs a where a.job_id = any (job_ids) and a.expires_at > now()) w
    ) n
    group by n.part
  ) p;
end $$;
comment on function legwork_private.notify_waiters(bigint[]) is
  'Notifies the processes that wait for any of these jobs, which end in this transaction. The channel is legwork_results, and the payload is a list of ids, or * if any job may have ended.';
