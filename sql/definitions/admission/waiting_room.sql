comment on table legwork_private.waiting_jobs is 'The waiting room: jobs that may not start yet. In graphile-worker''s table their run_at is infinity.';
comment on column legwork_private.waiting_jobs.job_id is 'The job.';
comment on column legwork_private.waiting_jobs.task_id is 'graphile-worker''s id of its task.';
comment on column legwork_private.waiting_jobs.line is 'The job''s line. Jobs with the same gates and tenant are in one line, by priority, run_at and id. Lines take turns.';
comment on column legwork_private.waiting_jobs.gates is 'The gates that it has to pass, each a limit and a key: 7:acme.';
comment on column legwork_private.waiting_jobs.priority is 'The job''s priority.';
comment on column legwork_private.waiting_jobs.run_at is 'The earliest time at which it may start.';
comment on column legwork_private.waiting_jobs.held is 'Why it is not in a line: paused; run_at, if that is in the future; or dependency, if it waits for another job (legwork_private.dependencies). Null while it is in a line.';
comment on column legwork_private.waiting_jobs.delay is 'How long it waits after its last dependency has ended. Null for no delay.';
comment on column legwork_private.waiting_jobs.entered_at is 'When it began to wait or, for a job with dependencies that have ended, when they ended.';
comment on table legwork_private.wakeups is 'Unprocessed events that may let a job start: a gate with a free slot, a line with a new job, or a dependency that has ended.';
comment on column legwork_private.wakeups.id is 'A sequence number that gives the order of the wakeups.';
comment on column legwork_private.wakeups.freed is 'Gates that may have free slots.';
comment on column legwork_private.wakeups.line is 'The line that may move.';
comment on column legwork_private.wakeups.gates is 'The gates of that line.';
comment on column legwork_private.wakeups.at_commit is 'How it is processed when its transaction commits: wait for the lock, or only try to get it. Null if another row of the transaction covers it.';
comment on column legwork_private.wakeups.unblocked is 'Jobs with a dependency that has ended. Such a row names no gates and no line.';
comment on column legwork_private.wakeups.advanced is 'Workflows and batches with a job that has ended.';

create or replace function legwork_private.send_to_waiting_room(job_ids bigint[], at_commit text default 'try') returns integer
language plpgsql volatile set search_path = pg_catalog, pg_temp
-- The same plan for one job and for many, which looks up each job by its id, regardless of the caller's settings.
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off set enable_nestloop = on as $$
declare
  v_count integer;
begin
  with limited_tasks as materialized (
    select r.* from legwork_private.task_limits r where r.is_paused or r.limits <> '{}'
  ), entering as materialized (
    select
      j.id, j.task_id, j.priority, j.run_at, r.is_paused,
      array(select legwork_private.gate(l.id, l.key, j.payload) from legwork_private.limits l where l.id = any (r.limits) order by l.id) as gates,
      case when j.flags is not null then legwork_private.flag_value(j.flags, 'tenant') end as tenant
    from legwork_private.graphile_jobs j
    join limited_tasks r on r.task_id = j.task_id
    where j.id = any (job_ids) and j.locked_at is null and j.attempts < j.max_attempts
  ), waiting as (
    insert into legwork_private.waiting_jobs as w (job_id, task_id, line, gates, priority, run_at, held)
    select e.id, e.task_id, legwork_private.line_of(e.gates, e.tenant), e.gates, e.priority, e.run_at,
      case when e.is_paused then 'paused' when e.run_at > clock_timestamp() then 'run_at' end
    from entering e
    on conflict (job_id) do update set
      task_id = excluded.task_id, line = excluded.line, gates = excluded.gates, priority = excluded.priority,
      -- If the request preserved run_at, the new value is infinity, and the actual run_at is already in this row.
      run_at = case when excluded.run_at = 'infinity' then w.run_at else excluded.run_at end,
      held = case
        -- Only legwork_private.settle_dependants() ends a wait for dependencies.
        when w.held = 'dependency' then w.held
        when excluded.held = 'paused' then 'paused'
        when case when excluded.run_at = 'infinity' then w.run_at else excluded.run_at end > clock_timestamp() then 'run_at'
      end
    returning w.job_id, w.line, w.gates, w.held
  ), put_aside as (
    update legwork_private.graphile_jobs j set run_at = 'infinity'
    from waiting w where j.id = w.job_id and j.run_at <> 'infinity'
  ), unused as (
    -- Slots that the job has not used. Used slots of a rate limit stay until their window has ended.
    delete from legwork_private.slots s using waiting w where s.job_id = w.job_id and (s.per is null or s.free_at is null)
    returning s.gate
  ), news as (
    select null::text[] as freed, w.line, w.gates from waiting w where w.held is null group by w.line, w.gates
    union all
    select array_agg(distinct u.gate), null::uuid, null::text[] from unused u having count(*) > 0
  ), woken as (
    insert into legwork_private.wakeups (freed, line, gates, at_commit)
    select n.freed, n.line, n.gates, case when row_number() over () = 1 then send_to_waiting_room.at_commit end from news n
  )
  select count(*) into v_count from waiting;
  return v_count;
end $$;
comment on function legwork_private.send_to_waiting_room(bigint[], text) is
  'Sends these jobs to the waiting room if a limit or a pause applies to them. They leave it at once if slots are free. Returns how many were sent.';

create or replace function legwork_private.wake_due_jobs() returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  with due as (
    select w.job_id from legwork_private.waiting_jobs w
    where w.held = 'run_at' and w.run_at <= v_now
    order by w.run_at limit 1000
    for update skip locked
  ), in_line as (
    update legwork_private.waiting_jobs w set held = null from due d where w.job_id = d.job_id returning w.line, w.gates
  ), rung as (
    delete from legwork_private.gate_alarms a where a.ring_at <= v_now returning a.gate
  )
  insert into legwork_private.wakeups (line, gates, freed)
  select i.line, i.gates, null from in_line i group by i.line, i.gates
  union all
  select null, null, array_agg(r.gate) from rung r having count(*) > 0;
end $$;
comment on function legwork_private.wake_due_jobs() is
  'Adds wakeups for waiting jobs that have become due, at most a thousand, and for rate limits that have free slots again. The caller must hold the advisory lock legwork_private.admission_lock().';
revoke execute on function legwork_private.wake_due_jobs() from public;

create or replace function legwork_private.tg_wakeups__admit() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- If a transaction adds thousands of wakeups, the first calls process all of them. The other calls find their row deleted.
  if not exists (select from legwork_private.wakeups w where w.id = new.id) then
    return null;
  end if;
  -- A snapshot from before the lock would miss slots. In that case, workers process the wakeups.
  if current_setting('transaction_isolation') = 'read committed' then
    if new.at_commit = 'wait' then
      perform pg_advisory_xact_lock(legwork_private.admission_lock());
      -- This also wakes due jobs, in case no Legwork worker is running.
      perform legwork_private.wake_due_jobs();
      if exists (select from legwork_private.dependency_checks) then
        perform legwork_private.check_dependencies();
      end if;
      perform legwork_private.admit_waiting();
    elsif pg_try_advisory_xact_lock(legwork_private.admission_lock()) then
      -- A client that enqueues should not process the wakeups of all other sessions.
      perform legwork_private.admit_waiting(100);
    elsif not exists (select from legwork_private.worker_processes w where w.seen_at > clock_timestamp() - legwork_private.worker_grace()) then
      -- The session that holds the lock may have missed this wakeup, and no Legwork worker is running to process it later.
      perform pg_advisory_xact_lock(legwork_private.admission_lock());
      perform legwork_private.admit_waiting(100);
    end if;
  end if;
  if exists (select from legwork_private.wakeups) then
    perform pg_notify('legwork', '{"wakeups":true}');
  end if;
  return null;
end $$;
comment on function legwork_private.tg_wakeups__admit() is 'Admits jobs at the end of a transaction that may let them start, or notifies a worker to do it.';
revoke execute on function legwork_private.tg_wakeups__admit() from public;

create constraint trigger _legwork_admit_at_commit after insert on legwork_private.wakeups
  deferrable initially deferred for each row when (new.at_commit is not null) execute function legwork_private.tg_wakeups__admit();

create or replace function legwork_private.return_to_waiting_room(job legwork_private.graphile_jobs) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_waiting legwork_private.waiting_jobs;
begin
  if exists (select from legwork_private.dependencies d where d.job_id = job.id) then
    perform legwork_private.hold_for_dependencies(array[job.id]);
  elsif legwork_private.send_to_waiting_room(array[job.id]) = 0 then
    -- No limit or pause applies to the job now: it may have been replaced by a job of another task.
    delete from legwork_private.waiting_jobs w where w.job_id = job.id and w.held is distinct from 'dependency' returning * into v_waiting;
    if v_waiting.job_id is not null and job.run_at = 'infinity' and job.locked_at is null then
      update legwork_private.graphile_jobs j set run_at = v_waiting.run_at where j.id = job.id;
    end if;
    perform legwork_private.release_slots(array[job.id], array[null::timestamptz]);
    if exists (select from legwork_private.waiting_jobs w where w.job_id = job.id) then
      -- The job's dependencies have ended, and it is about to be released.
      perform legwork_private.hold_for_dependencies(array[job.id]);
    end if;
  end if;
end $$;
comment on function legwork_private.return_to_waiting_room(legwork_private.graphile_jobs) is
  'Sends a job that was replaced, rescheduled or returned unfinished to the waiting room again, because its gates or its time may have changed, or it may be paused now.';
