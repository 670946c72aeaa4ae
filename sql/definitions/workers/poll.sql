-- The statement that a worker runs every two seconds, instead of one for each kind of work, to find out whether there is work to do, and when.
-- Written in plpgsql, which keeps the plans, because planning takes longer than executing. Locks: none on existing tables.

create or replace function legwork_private.tick_due() returns timestamptz
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  return case
    when exists (select from legwork_private.wakeups) or exists (select from legwork_private.limit_changes)
      or exists (select from legwork_private.dependency_checks) or exists (select from legwork_private.run_counts)
      or exists (select from legwork_private.job_signals g where not g.is_delivered)
      or exists (select from legwork_private.child_ends c where not c.is_delivered)
      or not exists (select from legwork_private.id_marks m where m.at > clock_timestamp() - interval '1 minute')
    then clock_timestamp()
    else least(
      (select x.expires_at from legwork_private.expirations x order by x.expires_at limit 1),
      (select w.run_at from legwork_private.waiting_jobs w where w.held = 'run_at' order by w.run_at limit 1),
      (select a.ring_at from legwork_private.gate_alarms a order by a.ring_at limit 1),
      (select r.deadline from legwork_private.workflow_runs r where r.ended_at is null and r.deadline is not null order by r.deadline limit 1))
    end;
end $$;
comment on function legwork_private.tick_due() is 'When legwork.tick() has something to do; null if that is unknown.';
revoke execute on function legwork_private.tick_due() from public;

create or replace function legwork_private.schedules_due() returns timestamptz
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  return case
    when exists (select from legwork_private.schedule_definitions d where d.wants_plan)
      or exists (select from legwork_private.schedule_occurrences r where r.state = 'waiting')
    then clock_timestamp()
    else least(
      (select d.next_at from legwork_private.schedule_definitions d where d.next_at is not null and d.failed_at is null order by d.next_at limit 1),
      (select legwork_private.later(d.failed_at, interval '1 minute') from legwork_private.schedule_definitions d where d.failed_at is not null order by d.failed_at limit 1))
    end;
end $$;
comment on function legwork_private.schedules_due() is 'When legwork_private.fire_schedules() has something to do; null if no schedule is planned.';
revoke execute on function legwork_private.schedules_due() from public;

create or replace function legwork_private.recovery_due(except_worker text) returns timestamptz
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select min(case when w.suspected_at is null then w.seen_at + legwork_private.worker_grace() else w.suspected_at + interval '2 seconds' end)
    from legwork_private.worker_processes w where w.id <> except_worker);
end $$;
comment on function legwork_private.recovery_due(text) is 'When legwork_private.recover_jobs() has something to do unless workers send heartbeats until then; null if there is no other worker.';
revoke execute on function legwork_private.recovery_due(text) from public;

create or replace function legwork_private.worker_poll(
  id text, is_idle boolean, ahead interval default '2 seconds',
  out now timestamptz, out state text, out tick_in double precision, out schedules_in double precision, out recovery_in double precision,
  out jobs_due boolean, out jobs_in double precision, out duties boolean, out bulk_actions boolean
)
language plpgsql volatile security definer
-- A lock on one of the tables, such as a migration's, must not keep a worker from sending heartbeats: its thread sends them when this takes long.
set search_path = pg_catalog, pg_temp set lock_timeout = '500ms' set jit = off set enable_seqscan = off set enable_bitmapscan = off as $$
declare
  v_now timestamptz := clock_timestamp();
  v_until timestamptz := v_now + ahead;
  v_tick timestamptz := legwork_private.tick_due();
  v_schedules timestamptz := legwork_private.schedules_due();
  v_recovery timestamptz := legwork_private.recovery_due(worker_poll.id);
  v_jobs timestamptz;
begin
  -- Reads the first few jobs of each priority. The index begins with the priority, so reading it by time would also read the jobs that are
  -- scheduled for later. If there are more priorities than this reads, it returns that jobs may be due, and the next fetch shows whether they are.
  with recursive priorities as (
    (select x.priority, 1 as number from legwork_private.graphile_jobs x where x.is_available order by x.priority desc limit 1)
    union all
    select (select x.priority from legwork_private.graphile_jobs x where x.is_available and x.priority < p.priority order by x.priority desc limit 1), p.number + 1
    from priorities p where p.priority is not null and p.number <= 50
  )
  select coalesce(bool_or(j.run_at <= v_now), false) or exists (select from priorities p where p.number > 50 and p.priority is not null),
    min(j.run_at) filter (where j.run_at > v_now) into jobs_due, v_jobs
  from priorities p
  cross join lateral (
    select x.run_at from legwork_private.graphile_jobs x where x.is_available and x.priority = p.priority and x.run_at <= v_until order by x.run_at limit 100) j
  where p.priority is not null;
  if v_tick <= v_until then tick_in := greatest(0, extract(epoch from v_tick - v_now) * 1000); end if;
  if v_schedules <= v_until then schedules_in := greatest(0, extract(epoch from v_schedules - v_now) * 1000); end if;
  if v_recovery <= v_until then recovery_in := greatest(0, extract(epoch from v_recovery - v_now) * 1000); end if;
  jobs_in := extract(epoch from v_jobs - v_now) * 1000;
  duties := exists (select from legwork_private.duties w where w.due_at <= v_now);
  bulk_actions := exists (select from legwork_private.bulk_actions b where b.state = 'running');
  -- This comes last, so that the worker's row is locked only for a moment. A row that says that the worker is running jobs is left to
  -- legwork_private.worker_beat.
  if is_idle then
    update legwork_private.worker_processes w set seen_at = clock_timestamp(), suspected_at = null
    where w.id = worker_poll.id and w.running = '{}' and w.blocked_since is null
    returning w.state into worker_poll.state;
  end if;
  now := clock_timestamp();
end $$;
comment on function legwork_private.worker_poll(text, boolean, interval) is
  'Returns when the next work is due, in milliseconds from now, or null if none is due within ahead: the work of legwork.tick(), of legwork_private.fire_schedules() and of legwork_private.recover_jobs(), '
  'and the next job. jobs_due, duties, bulk_actions: whether there are any now. For a worker that runs no job (is_idle), this is also a heartbeat, and it returns whether the worker is active, quiet or draining; '
  'null if it was not recorded, because the worker''s row is missing or says that it runs jobs. Returns the database''s clock.';
revoke execute on function legwork_private.worker_poll(text, boolean, interval) from public;
