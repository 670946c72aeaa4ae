create or replace function legwork.reconcile() returns table (problem text, job_id bigint, gate text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_role('operator', true);
  -- Each statement sees one snapshot, and every function that moves a job changes its rows in one transaction. So a contradiction that a
  -- statement sees is an error, not a change in progress.
  return query
    with leaked as (
      delete from legwork_private.slots s
      where s.per is null and (
        not exists (select from legwork_private.graphile_jobs j
          where j.id = s.job_id and (j.locked_at is not null or j.attempts < j.max_attempts))
        or exists (select from legwork_private.waiting_jobs w where w.job_id = s.job_id))
      returning s.gate, s.job_id
    ), unstarted as (
      update legwork_private.slots s set free_at = legwork_private.later(clock_timestamp(), legwork_private.rate_window(s.gate, s.per))
      where s.per is not null and s.free_at is null and (
        not exists (select from legwork_private.graphile_jobs j
          where j.id = s.job_id and (j.locked_at is not null or j.attempts < j.max_attempts))
        or exists (select from legwork_private.waiting_jobs w where w.job_id = s.job_id))
      returning s.gate, s.job_id
    ), wrong as (
      select l.gate, l.job_id from leaked l union all select u.gate, u.job_id from unstarted u
    ), woken as (
      insert into legwork_private.wakeups (freed, at_commit) select array_agg(distinct x.gate), 'try' from wrong x having count(*) > 0
    )
    select 'a slot whose job is not running'::text, w.job_id, w.gate from wrong w;
  return query
    delete from legwork_private.waiting_jobs w
    where not exists (select from legwork_private.graphile_jobs j where j.id = w.job_id and j.locked_at is null and j.attempts < j.max_attempts)
    returning 'a job in the waiting room that is not waiting'::text, w.job_id, null::text;
  return query
    with limited_tasks as materialized (
      select r.task_id, r.is_paused, r.limits from legwork_private.task_limits r where r.is_paused or r.limits <> '{}'
    ), free as materialized (
      select j.id from legwork_private.graphile_jobs j
      join limited_tasks r on r.task_id = j.task_id
      where j.locked_at is null and j.attempts < j.max_attempts and j.run_at <> 'infinity'
        and (r.is_paused or cardinality(r.limits) > (
          select count(*) from legwork_private.slots s
          where s.job_id = j.id and s.free_at is null and legwork_private.gate_limit(s.gate) = any (r.limits)))
      -- A job that is just being fetched is allowed to run.
      for update of j skip locked
    ), sent as (
      select legwork_private.send_to_waiting_room(array(select f.id from free f)) as jobs
    )
    select 'a job that was free to start without a slot'::text, f.id, null::text from free f, sent where sent.jobs > 0;
  return query
    with lost as (
      select w.line, min(w.gates) as gates from legwork_private.waiting_jobs w
      where w.held is null and w.gates <> '{}' and not exists (select from legwork_private.lines l where l.line = w.line)
        -- Only if there are no wakeups, because a pending wakeup may be for this line.
        and not exists (select from legwork_private.wakeups)
      group by w.line
    ), ready as (
      select l.line, l.gates from legwork_private.lines l
      where exists (select from legwork_private.waiting_jobs w where w.line = l.line and w.held is null)
        and not exists (select from legwork_private.free_slots(l.gates, clock_timestamp()) r where r.free <= 0)
        and not exists (select from legwork_private.wakeups)
    ), woken as (
      insert into legwork_private.wakeups (line, gates, at_commit)
      select x.line, x.gates, case when row_number() over () = 1 then 'try' end
      from (select * from lost union select * from ready) x
      returning gates
    )
    select 'a line that could move but was not processed'::text, null::bigint, w.gates[1] from woken w;
  return query select d.problem, d.job_id, null::text from legwork_private.reconcile_dependencies() d;
  return query select c.problem, c.job_id, null::text from legwork_private.reconcile_child_ends() c;
  -- Not a contradiction: slots of removed limits do not count. They are not deleted in the transaction that removes the limit, because
  -- the jobs that hold them could not end while it is open.
  delete from legwork_private.slots s
  where s.ctid = any (array(
    select x.ctid from legwork_private.slots x
    where not exists (select from legwork_private.limits l where l.id = legwork_private.gate_limit(x.gate) and l.max_count is not null)
    for update skip locked));
  -- Not a contradiction either: after its last job has been admitted, a line is kept until it is checked here.
  if pg_try_advisory_xact_lock(legwork_private.admission_lock()) then
    delete from legwork_private.lines l where not exists (select from legwork_private.waiting_jobs w where w.line = l.line and w.held is null);
  end if;
end $$;
comment on function legwork.reconcile() is
  'Checks the waiting room for inconsistencies and repairs them. Returns a row for each inconsistency that it found. '
  'Workers call it after a limit has changed and every few minutes.';
revoke execute on function legwork.reconcile() from public;

create or replace function legwork.tick() returns timestamptz
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_role('operator', true);
  if exists (select from legwork_private.limit_changes) then
    perform legwork_private.settle_limit_changes();
  end if;
  perform legwork_private.record_id_mark();
  perform legwork_private.expire_jobs();
  perform legwork_private.deliver_signals();
  perform legwork_private.deliver_child_ends();
  perform legwork_private.expire_workflows();
  -- Another session is admitting jobs. Try again soon.
  if not pg_try_advisory_xact_lock(legwork_private.admission_lock()) then
    return clock_timestamp() + interval '50 milliseconds';
  end if;
  perform legwork_private.wake_due_jobs();
  if exists (select from legwork_private.dependency_checks) then
    perform legwork_private.check_dependencies();
  end if;
  perform legwork_private.admit_waiting(2000);
  if exists (select from legwork_private.run_counts) then
    perform legwork_private.fold_run_counts();
  end if;
  if exists (select from legwork_private.wakeups) or exists (select from legwork_private.dependency_checks) then
    return clock_timestamp() + interval '50 milliseconds';
  end if;
  return least(
    (select w.run_at from legwork_private.waiting_jobs w where w.held = 'run_at' order by w.run_at limit 1),
    (select a.ring_at from legwork_private.gate_alarms a order by a.ring_at limit 1),
    (select r.deadline from legwork_private.workflow_runs r where r.ended_at is null and r.deadline > clock_timestamp() order by r.deadline limit 1));
end $$;
comment on function legwork.tick() is
  'Admits jobs that have become due, that a rate limit now allows, for which there are wakeups, or whose signal has arrived, and ends jobs that have expired. Returns the time at which it next has work to do, or null if that is unknown. '
  'Workers call it at that time, when they are notified of wakeups, and when legwork_private.worker_poll tells them to. '
  'Needs a transaction at read committed.';
revoke execute on function legwork.tick() from public;

create or replace function legwork_private.tick_one_by_one() returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_wakeups legwork_private.wakeups[];
  v_todo record;
  v_error text;
  v_failed integer := 0;
begin
  perform legwork_private.assert_role('operator', true);
  perform pg_advisory_xact_lock(legwork_private.admission_lock());
  -- First the items that create wakeups, then the wakeups.
  for v_round in 1..2 loop
    if v_round = 2 then
      -- Takes all wakeups, because processing one would also process every other wakeup in the table. Those beyond the first 500 are put back at the
      -- end.
      with taken as (
        delete from legwork_private.wakeups w returning w.*
      )
      select array_agg(row(t.id, t.freed, t.line, t.gates, null, t.unblocked, t.advanced)::legwork_private.wakeups order by t.id) into v_wakeups from taken t;
    end if;
    for v_todo in
      select d.what, d.item
      from (
        select 1 as n, 'part' as what, s as item from unnest(array['settle_limit_changes', 'record_id_mark', 'wake_due_jobs', 'check_dependencies']) s
        union all
        select 1, 'expiry', e.job_id::text
        from (select x.job_id from legwork_private.expirations x where x.expires_at <= clock_timestamp() order by x.expires_at limit 1000) e
        union all
        select 1, 'signal', g.job_id::text from (select distinct x.job_id from legwork_private.job_signals x where not x.is_delivered limit 1000) g
        union all
        select 1, 'child', c.job_id::text from (select distinct x.job_id from legwork_private.child_ends x where not x.is_delivered limit 1000) c
        union all
        select 1, 'deadline', r.id::text
        from (select x.id from legwork_private.workflow_runs x where x.ended_at is null and x.deadline <= clock_timestamp() order by x.deadline limit 100) r
        union all
        select 2, 'job', x::text from (select distinct unnest(w.unblocked) as x from unnest(v_wakeups[:500]) w) w
        union all
        select 2, 'workflow', x::text from (select distinct unnest(w.advanced) as x from unnest(v_wakeups[:500]) w) w
        union all
        select 2, 'gate', x from (select distinct unnest(w.freed) as x from unnest(v_wakeups[:500]) w) w
        union all
        select 2, 'line', w.line::text from (select distinct w.line from unnest(v_wakeups[:500]) w where w.line is not null) w
        union all
        select 2, 'part', 'fold_run_counts'
      ) d
      where d.n = v_round and (d.what = 'part' or not exists (select from legwork_private.set_aside a where a.what = d.what and a.item = d.item))
    loop
      v_error := legwork_private.do_tick_item(v_todo.what, v_todo.item);
      if v_error is null then
        delete from legwork_private.set_aside a where a.what = v_todo.what and a.item = v_todo.item;
      else
        v_failed := v_failed + 1;
        insert into legwork_private.set_aside as a (what, item, error) values (v_todo.what, v_todo.item, v_error)
        on conflict on constraint set_aside_pkey do update set error = excluded.error, set_aside_at = excluded.set_aside_at;
      end if;
    end loop;
  end loop;
  insert into legwork_private.wakeups (freed, line, gates, unblocked, advanced)
  select w.freed, w.line, w.gates, w.unblocked, w.advanced from unnest(v_wakeups[501:]) w;
  return v_failed;
end $$;
comment on function legwork_private.tick_one_by_one() is
  'Does the work of legwork.tick() one item at a time, and sets aside items that fail because of a row (legwork_private.set_aside). Called by a worker whose tick has failed. Returns the number of items that failed.';
revoke execute on function legwork_private.tick_one_by_one() from public;
