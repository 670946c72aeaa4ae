-- Dependencies: jobs that start only when other jobs have ended. Workflows and batches are built on them.
--
-- A job with an open dependency is in the waiting room (../admission/waiting_room.sql) with held = 'dependency'. The transaction that ends a job also
-- closes the dependencies on it. As it commits, it releases the jobs that wait for nothing else, under the lock that guards all releases.
--
-- Why no job is released too early: a row of legwork_private.dependencies is deleted only by the transaction that ends the job it names, or by
-- legwork_private.check_dependencies() when that job is known to have ended.
-- Why no job is forgotten when its last two dependencies end at the same time, in two transactions that do not see each other: each checks
-- at its commit, under the lock and with a snapshot taken after the lock was acquired. So the second one sees the first.
-- Why a job that is enqueued while its dependency ends is not forgotten: its row is committed first, together with a row of
-- legwork_private.dependency_checks, and is checked afterward. There are three cases. If the dependency's row can be locked, the dependency has not
-- ended: a transaction that ends it must first wait for this lock, and then reads legwork_private.dependencies with a newer snapshot. If the row is
-- gone, the history has the dependency's state. If another session has locked the row, the check is repeated. The lock is for share, not for key
-- share, because the update that marks a job as failed leaves its key alone.
-- Jobs that are created in the same transaction as the jobs that wait for them need no check: no other session can end them before it commits.
-- A repeatable read transaction may end a job without seeing which jobs wait for it. It leaves a check for each job that it ends.
-- Why an open transaction delays no other job: when rows of jobs to be released or cancelled are locked by other sessions, they are skipped and
-- checked again.
-- Why there are no cycles: a job can only depend on older jobs, which is a constraint of the table.

comment on table legwork_private.dependencies is
  'Dependencies on jobs. A job, the workflow or batch that a job belongs to, or both wait for a job. The row is deleted when that job has ended.';
comment on column legwork_private.dependencies.depends_on is 'The job that has to end.';
comment on column legwork_private.dependencies.job_id is 'The job that waits. If it has been cancelled in the meantime, this has no effect.';
comment on column legwork_private.dependencies.run_id is 'The workflow or batch that cannot end before depends_on does.';
comment on column legwork_private.dependencies.on_failure is
  'The effect on the waiting job when depends_on ends in any state but completed. cancel: the waiting job is cancelled. run: it runs. continue: it runs, unless '
  'depends_on was itself cancelled because of a dependency.';
comment on column legwork_private.dependencies.ended_as is 'The state in which depends_on ended, if the waiting job must be cancelled because of it and has not been cancelled yet. Null while depends_on has not ended.';
comment on table legwork_private.dependency_checks is 'Jobs that may have ended in a transaction that did not see the jobs that wait for them. legwork.tick() checks them.';
comment on column legwork_private.dependency_checks.id is 'A sequence number that gives the order in which the checks were added.';
comment on column legwork_private.dependency_checks.depends_on is 'The job to check.';
comment on sequence legwork_private.run_ids is 'The ids of workflows and batches.';
comment on table legwork_private.run_counts is
  'How many jobs of open workflows and batches have ended, and how. Each transaction that ends some of these jobs adds a row, so that transactions do not wait for each other. legwork.tick() sums the rows up.';
comment on column legwork_private.run_counts.run_id is 'The workflow or batch.';
comment on column legwork_private.run_counts.completed is 'Jobs that completed.';
comment on column legwork_private.run_counts.failed is 'Jobs that failed.';
comment on column legwork_private.run_counts.cancelled is 'Jobs that were cancelled.';
comment on column legwork_private.run_counts.expired is 'Jobs that expired.';

create or replace function legwork_private.has_dependants(first bigint, last bigint) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp
-- Always uses the index, because the table may be full of dead rows after a workflow.
set enable_seqscan = off set jit = off set enable_bitmapscan = off as $$
begin
  return exists (select from legwork_private.dependencies d where d.depends_on between first and last)
    or current_setting('transaction_isolation') <> 'read committed';
end $$;
comment on function legwork_private.has_dependants(bigint, bigint) is
  'Whether anything waits for a job with an id in this range. Also true in a transaction whose snapshot may be too old to see it.';

create or replace function legwork_private.dependency_failure(job_id bigint) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select format('Cancelled because job %s, which it depends on, %s.', d.depends_on,
      case d.ended_as when 'cancelled' then 'was cancelled' else d.ended_as::text end)
    from legwork_private.dependencies d
    where d.job_id = dependency_failure.job_id and d.ended_as is not null
    order by d.ended_as = 'cancelled', d.depends_on limit 1);
end $$;
comment on function legwork_private.dependency_failure(bigint) is 'The reason that the history records for a job cancelled because of a dependency.';

create or replace function legwork_private.close_dependencies(job_ids bigint[], ends legwork.job_state[], cascaded boolean default false) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off set enable_mergejoin = off set enable_hashjoin = off as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    -- The transaction's snapshot may miss rows that were committed after it began.
    insert into legwork_private.dependency_checks (depends_on) select x from unnest(job_ids) x;
    perform pg_notify('legwork', '{"wakeups":true}');
  end if;
  with ended as materialized (
    select e.id, e.state from unnest(job_ids, ends) as e (id, state)
  ), doomed as (
    update legwork_private.dependencies d set ended_as = e.state
    from ended e
    where d.depends_on = e.id and d.ended_as is null and d.job_id is not null and e.state <> 'completed'
      and (d.on_failure = 'cancel' or d.on_failure = 'continue' and cascaded)
    returning d.job_id, d.run_id, e.state
  ), closed as (
    delete from legwork_private.dependencies d
    using ended e
    where d.depends_on = e.id and d.ended_as is null
      and not (d.job_id is not null and e.state <> 'completed' and (d.on_failure = 'cancel' or d.on_failure = 'continue' and cascaded))
    returning d.job_id, d.run_id, e.state
  ), over as materialized (
    select * from doomed union all select * from closed
  ), counted as (
    insert into legwork_private.run_counts (run_id, completed, failed, cancelled, expired)
    select o.run_id, count(*) filter (where o.state = 'completed'), count(*) filter (where o.state = 'failed'),
      count(*) filter (where o.state = 'cancelled'), count(*) filter (where o.state = 'expired')
    from over o where o.run_id is not null group by o.run_id
  )
  insert into legwork_private.wakeups (unblocked, advanced, at_commit)
  select coalesce(array_agg(distinct o.job_id) filter (where o.job_id is not null), '{}'),
    coalesce(array_agg(distinct o.run_id) filter (where o.run_id is not null), '{}'),
    -- A caller that is already releasing or cancelling jobs reads these rows itself.
    case when current_setting('legwork.admitting', true) is distinct from 'on' then 'wait' end
  from over o having count(*) > 0;
end $$;
comment on function legwork_private.close_dependencies(bigint[], legwork.job_state[], boolean) is
  'Closes the dependencies on jobs that end in this transaction. cascaded: these jobs are cancelled because of a dependency of their own.';

create or replace function legwork_private.hold_for_dependencies(job_ids bigint[]) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  with held as (
    insert into legwork_private.waiting_jobs as w (job_id, task_id, line, gates, priority, run_at, held)
    select j.id, j.task_id, legwork_private.line_of('{}', null), '{}', j.priority, j.run_at, 'dependency'
    from legwork_private.graphile_jobs j
    where j.id = any (job_ids) and j.locked_at is null and j.attempts < j.max_attempts
    on conflict (job_id) do update set
      task_id = excluded.task_id, priority = excluded.priority, held = 'dependency',
      run_at = case when excluded.run_at = 'infinity' then w.run_at else excluded.run_at end
    returning w.job_id
  )
  update legwork_private.graphile_jobs j set run_at = 'infinity' from held h where j.id = h.job_id and j.run_at <> 'infinity';
  -- Slots that the job got before it had dependencies are released.
  if legwork_private.has_limits_or_pauses() then
    perform legwork_private.send_to_waiting_room(job_ids);
  end if;
end $$;
comment on function legwork_private.hold_for_dependencies(bigint[]) is 'Sends these jobs to the waiting room until their dependencies have ended.';

create or replace function legwork_private.add_dependencies(job_id bigint, depends_on bigint[], on_failure text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_unknown bigint;
  v_added integer;
begin
  if on_failure is null or on_failure not in ('cancel', 'run') then
    raise exception '''%'' is not a valid on_dependency_failure.', coalesce(on_failure, 'null') using errcode = 'LW400',
      hint = 'Use cancel (the job is cancelled too) or run (the job runs anyway).';
  end if;
  if not exists (select from legwork_private.graphile_jobs j where j.id = add_dependencies.job_id and j.locked_at is null and j.attempts < j.max_attempts) then
    -- unsafe_dedupe has kept a running job.
    return;
  end if;
  -- In one snapshot, every job is either in the history or live.
  select x into v_unknown
  from unnest(depends_on) x
  where x is null
    or not exists (
      select from legwork_private.graphile_jobs j
      where j.id = x and (legwork_private.confined_tenant() is null or legwork_private.flag_value(j.flags, 'tenant') = legwork_private.confined_tenant()))
    and not exists (
      select from legwork_private.finished_jobs f where f.id = x and (legwork_private.confined_tenant() is null or f.tenant = legwork_private.confined_tenant()))
  limit 1;
  if found then
    raise exception 'Cannot depend on job %, which does not exist.', coalesce(v_unknown::text, 'null') using
      errcode = 'LW404', hint = 'Nothing was enqueued. Finished jobs are kept for the period set in history_retention.';
  end if;
  select x into v_unknown from unnest(depends_on) x where x >= add_dependencies.job_id limit 1;
  if found then
    raise exception 'Job % is older than job % and cannot wait for it.', job_id, v_unknown using errcode = 'LW409',
      hint = 'Nothing was changed. A job can only depend on older jobs. Cancel the waiting job first, or use another job_key.';
  end if;
  with asked as materialized (
    select x.id, j.id is not null as lives, f.state
    from (select distinct unnest(add_dependencies.depends_on) as id) x
    left join legwork_private.graphile_jobs j on j.id = x.id and (j.locked_at is not null or j.attempts < j.max_attempts)
    left join lateral (select o.state from legwork_private.finished_jobs o where o.id = x.id limit 1) f on true
  ), added as (
    insert into legwork_private.dependencies as d (depends_on, job_id, on_failure, ended_as)
    select a.id, add_dependencies.job_id, add_dependencies.on_failure, case when not a.lives then coalesce(a.state, 'cancelled') end
    from asked a
    where a.lives or (a.state is distinct from 'completed' and add_dependencies.on_failure = 'cancel')
    on conflict on constraint dependencies_depends_on_job_id_key do update set on_failure = excluded.on_failure
    returning d.depends_on, d.ended_as
  ), checks as (
    insert into legwork_private.dependency_checks (depends_on) select a.depends_on from added a where a.ended_as is null returning 1
  ), woken as (
    insert into legwork_private.wakeups (unblocked, advanced, at_commit)
    select array[add_dependencies.job_id], '{}', 'try' from added a where a.ended_as is not null having count(*) > 0
  )
  select count(*) into v_added from added;
  if v_added > 0 then
    perform legwork_private.hold_for_dependencies(array[job_id]);
    -- A worker processes the checks once this has committed.
    perform pg_notify('legwork', '{"wakeups":true}');
  end if;
end $$;
comment on function legwork_private.add_dependencies(bigint, bigint[], text) is
  'Makes a job that this transaction has enqueued wait for other jobs. Raises LW404 if one of them does not exist, and LW409 if one of them is not older.';

create or replace function legwork_private.check_dependencies(at_most integer default 1000) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_checks bigint[];
  v_ids bigint[];
  v_live bigint[];
  v_dead bigint[];
  v_busy bigint[];
  v_ended bigint[];
  v_fetchable integer;
begin
  select array_agg(c.id), array_agg(distinct c.depends_on) into v_checks, v_ids
  from (select k.id, k.depends_on from legwork_private.dependency_checks k order by k.id limit at_most for update skip locked) c;
  if v_checks is null then
    return;
  end if;
  with locked as (
    select j.id, j.locked_at is not null or j.attempts < j.max_attempts as lives, j.is_available and j.run_at <= now() as fetchable
    from legwork_private.graphile_jobs j where j.id = any (v_ids) for share skip locked
  )
  select coalesce(array_agg(l.id) filter (where l.lives), '{}'), coalesce(array_agg(l.id) filter (where not l.lives), '{}'),
    count(*) filter (where l.fetchable)
  into v_live, v_dead, v_fetchable
  from locked l;
  v_busy := array(
    select j.id from legwork_private.graphile_jobs j
    where j.id = any (v_ids) and j.id <> all (v_live) and j.id <> all (v_dead));
  v_ended := array(select x from unnest(v_ids) x where x <> all (v_live) and x <> all (v_busy));
  if v_ended <> '{}' then
    perform legwork_private.close_dependencies(array_agg(e.id), array_agg(e.state))
    from (
      -- If a job's history has been deleted, it is not known to have completed.
      select x as id, coalesce((select f.state from legwork_private.finished_jobs f where f.id = x limit 1), 'cancelled') as state
      from unnest(v_ended) x
    ) e;
  end if;
  delete from legwork_private.dependency_checks c where c.id = any (v_checks) and c.depends_on <> all (v_busy);
  -- A worker that fetched jobs just now has skipped them because of the lock.
  if v_fetchable > 0 then
    perform legwork_private.wake_workers(v_fetchable);
  end if;
end $$;
comment on function legwork_private.check_dependencies(integer) is
  'Checks jobs that may have ended in a transaction that did not see the jobs that wait for them. The caller must hold the advisory lock legwork_private.admission_lock() in a '
  'read committed transaction.';
revoke execute on function legwork_private.check_dependencies(integer) from public;

create or replace function legwork_private.release_dependants(job_ids bigint[]) returns integer
language plpgsql volatile set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_count integer;
begin
  update legwork_private.waiting_jobs w set run_at = greatest(w.run_at, legwork_private.later(clock_timestamp(), w.delay)), delay = null
  where w.job_id = any (job_ids) and w.delay is not null;
  if legwork_private.has_limits_or_pauses() then
    with before as (
      select w.job_id, w.entered_at from legwork_private.waiting_jobs w
      where w.job_id = any (job_ids)
        and w.task_id in (select r.task_id from legwork_private.task_limits r where r.is_paused or r.limits <> '{}')
    ), moved as (
      update legwork_private.waiting_jobs w set held = null, entered_at = clock_timestamp() from before b where w.job_id = b.job_id
    )
    -- The wait in the line begins now, and is recorded when it ends.
    insert into legwork_private.job_waits (job_id, kind, started_at, ended_at, gates)
    select b.job_id, 'dependency', b.entered_at, clock_timestamp(), '{}' from before b where b.entered_at < clock_timestamp() - legwork_private.shortest_wait();
    perform legwork_private.send_to_waiting_room(job_ids, null);
  end if;
  with gone as (
    delete from legwork_private.waiting_jobs w where w.job_id = any (job_ids) and w.held = 'dependency' returning w.job_id, w.run_at
  ), started as (
    update legwork_private.graphile_jobs j set run_at = g.run_at from gone g where j.id = g.job_id returning 1
  )
  select count(*) into v_count from started;
  return v_count;
end $$;
comment on function legwork_private.release_dependants(bigint[]) is
  'Moves jobs without open dependencies out of the waiting room, or into one of its lines if a limit or pause applies to them. Returns how many jobs have left it.';

create or replace function legwork_private.settle_dependants() returns integer
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_jobs bigint[];
  v_runs bigint[];
  v_ready bigint[];
  v_locked bigint[];
  v_doomed bigint[];
  v_free bigint[];
  v_run bigint;
  v_passed bigint[] := '{}';
  v_passed_runs bigint[] := '{}';
  v_total integer := 0;
begin
  -- Makes the trigger _legwork_record_change ignore these changes.
  perform set_config('legwork.admitting', legwork_private.admission_pass(), true);
  -- In rounds: cancelling a job cancels those that depend on it.
  loop
    with taken as (
      delete from legwork_private.wakeups w where w.unblocked is not null returning w.unblocked, w.advanced
    )
    select array(select distinct x from taken t, unnest(t.unblocked) x), array(select distinct x from taken t, unnest(t.advanced) x)
    into v_jobs, v_runs;
    exit when v_jobs = '{}' and v_runs = '{}';
    if v_jobs <> '{}' then
      v_ready := array(
        select x from unnest(v_jobs) x
        where exists (select from legwork_private.dependencies d where d.job_id = x and d.ended_as is not null)
          -- Reads the index from its end, because jobs end roughly in the order of their ids, and the index still has entries for deleted rows.
          or (select d.depends_on from legwork_private.dependencies d where d.job_id = x order by d.depends_on desc limit 1) is null);
      -- A session that has locked a job's row is replacing, cancelling or explaining the job.
      v_locked := array(
        select j.id from legwork_private.graphile_jobs j
        where j.id = any (v_ready) and j.locked_at is null and j.attempts < j.max_attempts
          and exists (select from legwork_private.waiting_jobs w where w.job_id = j.id and w.held = 'dependency')
        order by j.id for update skip locked);
      v_passed := v_passed || array(
        select w.job_id from legwork_private.waiting_jobs w where w.job_id = any (v_ready) and w.held = 'dependency' and w.job_id <> all (v_locked));
      -- Checked again now that the rows are locked, because dependencies may have been added.
      v_doomed := array(select distinct d.job_id from legwork_private.dependencies d where d.job_id = any (v_locked) and d.ended_as is not null);
      v_free := array(
        select x from unnest(v_locked) x where not exists (select from legwork_private.dependencies d where d.job_id = x));
      if v_doomed <> '{}' then
        perform legwork_private.delete_jobs_as('dependency', v_doomed);
      end if;
      if v_free <> '{}' then
        v_total := v_total + legwork_private.release_dependants(v_free);
      end if;
      delete from legwork_private.dependencies d where d.job_id = any (v_jobs) and d.ended_as is not null and d.job_id <> all (v_passed);
    end if;
    for v_run in
      select x from unnest(v_runs) x
      where (
        select d.depends_on from legwork_private.dependencies d where d.run_id = x and d.ended_as is null order by d.depends_on desc limit 1) is null
    loop
      if not legwork_private.end_run(v_run) then
        v_passed_runs := v_passed_runs || v_run;
      end if;
    end loop;
  end loop;
  perform set_config('legwork.admitting', '', true);
  if v_passed <> '{}' or v_passed_runs <> '{}' then
    insert into legwork_private.wakeups (unblocked, advanced) values (v_passed, v_passed_runs);
  end if;
  if v_total > 0 then
    perform legwork_private.wake_workers(v_total);
  end if;
  return v_total;
end $$;
comment on function legwork_private.settle_dependants() is
  'Releases jobs whose last dependency has ended, cancels jobs for which a dependency has failed, and ends workflows and batches whose last job has ended. The caller must hold '
  'the advisory lock legwork_private.admission_lock() in a read committed transaction. Returns how many jobs are now ready to run.';
revoke execute on function legwork_private.settle_dependants() from public;

create or replace function legwork_private.fold_run_counts() returns void
language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
  with gone as (
    delete from legwork_private.run_counts c
    where c.run_id in (select o.run_id from legwork_private.run_counts o group by o.run_id having count(*) > 500)
    returning *
  )
  insert into legwork_private.run_counts (run_id, completed, failed, cancelled, expired)
  select g.run_id, sum(g.completed), sum(g.failed), sum(g.cancelled), sum(g.expired) from gone g group by g.run_id;
end;
comment on function legwork_private.fold_run_counts() is
  'Sums up the rows of a workflow or batch in legwork_private.run_counts into one. The caller must hold the advisory lock legwork_private.admission_lock(), so that nothing is counted twice.';

create or replace function legwork_private.run_counts_so_far(run_id bigint, out completed bigint, out failed bigint, out cancelled bigint, out expired bigint)
language sql stable
return (
  select row(coalesce(sum(c.completed), 0)::bigint, coalesce(sum(c.failed), 0)::bigint, coalesce(sum(c.cancelled), 0)::bigint,
    coalesce(sum(c.expired), 0)::bigint)
  from legwork_private.run_counts c where c.run_id = run_counts_so_far.run_id);
comment on function legwork_private.run_counts_so_far(bigint) is 'How many jobs of an open workflow or batch have ended so far, by state, apart from those already counted in its own row.';

create or replace function legwork_private.reconcile_dependencies() returns table (problem text, job_id bigint)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from legwork_private.set_aside a where a.set_aside_at < clock_timestamp() - interval '5 minutes') then
    perform legwork.take_up(interval '5 minutes');
  end if;
  -- Only if there are no checks or wakeups left to process, because those may still handle these rows.
  return query
    with lost as (
      select distinct d.depends_on from legwork_private.dependencies d
      where d.ended_as is null
        and not exists (select from legwork_private.graphile_jobs j where j.id = d.depends_on and (j.locked_at is not null or j.attempts < j.max_attempts))
        and not exists (select from legwork_private.dependency_checks)
    ), noted as (
      insert into legwork_private.dependency_checks (depends_on) select l.depends_on from lost l returning depends_on
    )
    select 'a dependency on a job that has ended'::text, n.depends_on from noted n;
  return query
    with early as materialized (
      select j.id from legwork_private.graphile_jobs j
      where j.id in (select d.job_id from legwork_private.dependencies d) and j.locked_at is null and j.attempts < j.max_attempts and j.run_at <> 'infinity'
      for update of j skip locked
    ), sent as (
      select legwork_private.hold_for_dependencies(array(select e.id from early e))
    )
    select 'a job that was free to start before its dependencies had ended'::text, e.id from early e, sent;
  return query
    with stuck as (
      select w.job_id as id, null::bigint as run from legwork_private.waiting_jobs w
      where w.held = 'dependency' and not exists (select from legwork_private.dependencies d where d.job_id = w.job_id)
      union
      select d.job_id, null from legwork_private.dependencies d where d.ended_as is not null
      union
      select null, r.id from legwork_private.workflow_runs r
      where r.ended_at is null and not exists (select from legwork_private.dependencies d where d.run_id = r.id and d.ended_as is null)
      union
      select null, b.id from legwork_private.batch_runs b
      where b.ended_at is null and not exists (select from legwork_private.dependencies d where d.run_id = b.id and d.ended_as is null)
    ), woken as (
      insert into legwork_private.wakeups (unblocked, advanced, at_commit)
      select coalesce(array_agg(s.id) filter (where s.id is not null), '{}'), coalesce(array_agg(s.run) filter (where s.run is not null), '{}'), 'try'
      from stuck s
      where not exists (select from legwork_private.wakeups)
        -- Items that were set aside are already known, and legwork.doctor() reports them.
        and not exists (
          select from legwork_private.set_aside a
          where a.what = 'job' and a.item = s.id::text or a.what in ('workflow', 'deadline') and a.item = s.run::text)
      having count(*) > 0
      returning unblocked, advanced
    )
    select 'a job that waits although its dependencies have ended'::text, x from woken k, unnest(k.unblocked) x
    union all
    select 'a workflow or batch that has ended but was not closed'::text, x from woken k, unnest(k.advanced) x;
end $$;
comment on function legwork_private.reconcile_dependencies() is 'The part of legwork.reconcile that compares dependencies, workflows and batches with the jobs that exist.';
