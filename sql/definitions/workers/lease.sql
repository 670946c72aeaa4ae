-- Workers: who is alive, and giving a dead worker's jobs to the others.
--
-- A worker says every second that it lives. One that has been silent for legwork_private.worker_grace() is suspected, and if it is
-- still silent at a later look, its jobs are given back. Two looks, because a database that stalls makes every
-- worker look silent at once: after the stall they all speak again before anybody looks a second time.
--
-- A worker speaks from a thread of its own: a task that computes for a minute holds up its worker's event loop, and the worker says so
-- (blocked_since), but it is not silent.

comment on table legwork_private.worker_processes is 'One row per running Legwork worker; it goes when the worker stops or is given up.';
comment on column legwork_private.worker_processes.id is 'graphile-worker''s name for the worker pool, as in a job''s locked_by.';
comment on column legwork_private.worker_processes.host is 'The host name of its machine.';
comment on column legwork_private.worker_processes.pid is 'Its process id there.';
comment on column legwork_private.worker_processes.concurrency is 'Jobs it runs at a time.';
comment on column legwork_private.worker_processes.tasks is 'The tasks it can run.';
comment on column legwork_private.worker_processes.running is 'The jobs it was running when it was last seen.';
comment on column legwork_private.worker_processes.started_at is 'When it started.';
comment on column legwork_private.worker_processes.seen_at is 'When it last said that it lives.';
comment on column legwork_private.worker_processes.suspected_at is 'When another worker first found it silent; null while it speaks.';
comment on column legwork_private.worker_processes.version is 'The version of Legwork that it runs.';
comment on column legwork_private.worker_processes.blocked_since is 'Since when synchronous code has held up its event loop; null while that turns.';
comment on column legwork_private.worker_processes.blocked_jobs is
  'The job whose code that is. Several when it is one of them and not known which; none when it belongs to no job; null while the event loop turns.';

create or replace function legwork_private.worker_grace() returns interval
language sql immutable parallel safe
return interval '5 seconds';
comment on function legwork_private.worker_grace() is
  'How long a worker may be silent before it is suspected: five missed beats. With the second look two seconds later its jobs '
  'run elsewhere within 10 seconds.';

create or replace function legwork_private.worker_beat(
  id text, host text, pid integer, concurrency integer, tasks text[], running bigint[],
  blocked_seconds double precision default null, blocked_jobs bigint[] default null, version text default null,
  out now timestamptz, out cancelled bigint[], out lost bigint[]
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into legwork_private.worker_processes as w (id, host, pid, concurrency, tasks, running, blocked_since, blocked_jobs, version)
  values (worker_beat.id, worker_beat.host, worker_beat.pid, worker_beat.concurrency, worker_beat.tasks, worker_beat.running,
    clock_timestamp() - blocked_seconds * interval '1 second', worker_beat.blocked_jobs, worker_beat.version)
  on conflict on constraint worker_processes_pkey do update set
    running = excluded.running, seen_at = clock_timestamp(), suspected_at = null,
    blocked_since = excluded.blocked_since, blocked_jobs = excluded.blocked_jobs;
  cancelled := '{}';
  lost := '{}';
  if running <> '{}' then
    -- graphile-worker takes a lock of more than four hours for a dead worker's; a job may run longer than that.
    update legwork_private.graphile_jobs j set locked_at = pg_catalog.now()
    where j.id = any (running) and j.locked_by = worker_beat.id and j.locked_at < pg_catalog.now() - interval '2 hours';
    update legwork_private.graphile_job_queues q set locked_at = pg_catalog.now()
    where q.locked_by = worker_beat.id and q.locked_at < pg_catalog.now() - interval '2 hours';
    cancelled := array(select c.job_id from legwork_private.cancellations c where c.job_id = any (running));
    lost := array(
      select r.id from unnest(running) as r (id)
      where not exists (select from legwork_private.graphile_jobs j where j.id = r.id and j.locked_by = worker_beat.id));
    -- A rate limit counts starts: the windows of jobs that have started run from now at the latest, however long they take.
    if exists (select from legwork_private.limits l where l.kind = 'rate') then
      with started as (
        update legwork_private.slots s set free_at = legwork_private.later(clock_timestamp(), legwork_private.rate_window(s.gate, s.per))
        where s.job_id = any (running) and s.per is not null and s.free_at is null
        returning s.gate
      )
      insert into legwork_private.wakeups (freed) select array_agg(distinct s.gate) from started s having count(*) > 0;
    end if;
  end if;
  now := clock_timestamp();
end $$;
comment on function legwork_private.worker_beat(text, text, integer, integer, text[], bigint[], double precision, bigint[], text) is
  'A worker says that it lives, what it is and which jobs it runs; and, while synchronous code holds up its event loop, for how many seconds and '
  'for which job; version is the version of Legwork that it runs. Returns the database''s clock, which of the jobs were cancelled and which it does not hold any more.';
revoke execute on function legwork_private.worker_beat(text, text, integer, integer, text[], bigint[], double precision, bigint[], text) from public;

create or replace function legwork_private.give_back_times(worker text, started bigint[]) returns table (id bigint, run_at timestamptz)
language sql stable set search_path = pg_catalog, pg_temp
as $$
  -- graphile-worker starts jobs by priority and run_at, and those that agree in both in the order of their rows, where a changed row comes last. So
  -- each job goes as many microseconds ahead of its like as there are such jobs of this worker behind it, and a millisecond when it had started:
  -- what was only fetched ahead may have been released before.
  select j.id, legwork_private.earlier(least(j.run_at, now()), row_number() over (partition by j.priority, j.run_at order by j.id desc) * interval '1 microsecond'
    + case when j.id = any (started) then interval '1 millisecond' else interval '0' end)
  from legwork_private.graphile_jobs j
  where j.locked_by = worker and not j.is_available
$$;
comment on function legwork_private.give_back_times(text, bigint[]) is
  'The run_at with which each job that a worker holds keeps its place when it is released: ahead of all that were to start at the same time, those in started first, then by id. '
  'It is at most a few milliseconds before the job''s own.';

create or replace function legwork_private.give_back_jobs(worker text, job_ids bigint[] default null, started bigint[] default null) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_count integer;
begin
  perform legwork_private.assert_role('operator', true);
  -- The attempt is given back as well: most of these jobs were only fetched ahead, and one that has used its last attempt
  -- must still run.
  with held as (
    select h.id, h.run_at from legwork_private.give_back_times(worker, started) h where job_ids is null or h.id = any (job_ids)
  ), returned as (
    update legwork_private.graphile_jobs j
    set locked_at = null, locked_by = null, run_at = h.run_at,
      -- A job that was removed or replaced while it ran has no attempt left on purpose (only that touches updated_at).
      attempts = case when j.attempts >= j.max_attempts and j.updated_at > j.locked_at then j.attempts else greatest(0, j.attempts - 1) end
    from held h
    where j.id = h.id and j.locked_by = worker
    returning j.id, j.job_queue_id
  ), unlocked as (
    update legwork_private.graphile_job_queues q set locked_at = null, locked_by = null
    where q.locked_by = worker and (job_ids is null or q.id in (select r.job_queue_id from returned r))
  )
  select count(*) into v_count from returned;
  if v_count > 0 then
    perform legwork_private.wake_workers(v_count);
  end if;
  return v_count;
end $$;
comment on function legwork_private.give_back_jobs(text, bigint[], bigint[]) is
  'Gives jobs that a worker holds back to the others, without using an attempt: all of them, or only those named. Each keeps its place ahead of '
  'what was enqueued later; those in started, which it was running, come before those it had only fetched. Returns how many. Only for jobs that the worker does not run any more.';
revoke execute on function legwork_private.give_back_jobs(text, bigint[], bigint[]) from public;

create or replace function legwork_private.worker_stopped(id text) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_running bigint[];
begin
  delete from legwork_private.worker_processes w where w.id = worker_stopped.id returning w.running into v_running;
  return legwork_private.give_back_jobs(id, started => v_running);
end $$;
comment on function legwork_private.worker_stopped(text) is
  'A worker says that it has stopped: its row goes and jobs it still holds are given back. Returns how many there were.';
revoke execute on function legwork_private.worker_stopped(text) from public;

create or replace function legwork_private.worker_blocked(id text, culprit bigint, blocked_seconds double precision, running bigint[]) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_started timestamptz;
  v_count integer;
begin
  if culprit is null then
    -- Each of those that run may be the one: they stay with the worker, and are treated as those of one that died.
    update legwork_private.worker_processes w set running = worker_blocked.running where w.id = worker_blocked.id;
    return legwork_private.give_back_jobs(id, array(
      select j.id from legwork_private.graphile_jobs j where j.locked_by = worker_blocked.id and j.id <> all (worker_blocked.running)));
  end if;
  select j.locked_at into v_started from legwork_private.graphile_jobs j
  where j.id = culprit and j.locked_by = worker_blocked.id for update;
  if found then
    -- As a worker fails a job, and graphile-worker puts it off.
    perform set_config('legwork.failures', json_build_array(json_build_object(
      'id', culprit, 'started', extract(epoch from v_started) * 1000, 'finished', extract(epoch from clock_timestamp()) * 1000,
      'name', 'Blocked', 'labels', json_build_array('Blocked')))::text, true);
    update legwork_private.graphile_jobs j
    set locked_at = null, locked_by = null, run_at = greatest(now(), j.run_at) + exp(least(j.attempts, 10)) * interval '1 second',
      last_error = format('The task held up its worker''s event loop for %s seconds. The worker was killed.', round(blocked_seconds))
    where j.id = culprit;
    perform set_config('legwork.failures', '', true);
    update legwork_private.graphile_job_queues q set locked_at = null, locked_by = null
    where q.locked_by = worker_blocked.id and q.id = (select j.job_queue_id from legwork_private.graphile_jobs j where j.id = culprit);
  end if;
  v_count := legwork_private.worker_stopped(id);
  return v_count;
end $$;
comment on function legwork_private.worker_blocked(text, bigint, double precision, bigint[]) is
  'A worker whose event loop a task has held up for too long says that its process is about to be killed. The attempt of that job, the culprit, '
  'fails with the error Blocked; the worker''s other jobs are given back without using an attempt. Without a culprit only what was fetched ahead is '
  'given back, and what runs is treated as the jobs of a worker that died. Returns how many jobs were given back.';
revoke execute on function legwork_private.worker_blocked(text, bigint, double precision, bigint[]) from public;

create or replace function legwork_private.mark_lost(flags jsonb, at_least integer) returns jsonb
language sql immutable parallel safe
return case when coalesce(legwork_private.flag_value(flags, 'lost') >= at_least::text, false) then flags
  else coalesce(flags, '{}') - array(select f from jsonb_object_keys(flags) f where f like 'lost:%') || jsonb_build_object('lost:' || at_least, true) end;
comment on function legwork_private.mark_lost(jsonb, integer) is
  'A job''s flags with a note, lost:1, that a worker died which held it. lost:2 says that two died which were running it. Workers start such '
  'jobs with more care, so that it is known which of them kills.';

create or replace function legwork_private.recover_jobs() returns table (worker text, jobs integer)
language plpgsql volatile security definer
-- A job whose row somebody holds must not keep this worker from telling that it lives.
set search_path = pg_catalog, pg_temp set lock_timeout = '500ms' as $$
declare
  v_dead record;
begin
  -- skip locked: a worker that is just speaking is not silent, and two workers do not bury a third one twice.
  for v_dead in
    select w.id, w.running, w.suspected_at from legwork_private.worker_processes w
    where w.seen_at < clock_timestamp() - legwork_private.worker_grace()
    for update skip locked
  loop
    if v_dead.suspected_at is null then
      update legwork_private.worker_processes w set suspected_at = clock_timestamp() where w.id = v_dead.id;
    elsif v_dead.suspected_at < clock_timestamp() - interval '2 seconds' then
      begin
        -- What it was running has lost an attempt: releasing the lock records it. When it is not known to have run any of its jobs,
        -- each of them may be what killed it. The next worker tells of those before it starts them.
        update legwork_private.graphile_jobs j set flags = legwork_private.mark_lost(j.flags, 1) where j.locked_by = v_dead.id;
        -- Those it had only fetched may have started in its last moment, and count for their rate limits.
        if exists (select from legwork_private.limits l where l.kind = 'rate') then
          perform legwork_private.release_slots(array_agg(j.id), array_agg(null::timestamptz))
          from legwork_private.graphile_jobs j where j.locked_by = v_dead.id having count(*) > 0;
        end if;
        update legwork_private.graphile_jobs j
        set locked_at = null, locked_by = null, run_at = h.run_at,
          flags = case when exists (select from legwork_private.failed_attempts f where f.job_id = j.id and f.error_name = 'WorkerLost')
            then legwork_private.mark_lost(j.flags, 2) else j.flags end
        from legwork_private.give_back_times(v_dead.id, v_dead.running) h
        where h.id = j.id and j.locked_by = v_dead.id and (
          j.id = any (v_dead.running)
          or not exists (select from legwork_private.graphile_jobs k where k.locked_by = v_dead.id and k.id = any (v_dead.running)));
        get diagnostics jobs = row_count;
        jobs := jobs + legwork_private.give_back_jobs(v_dead.id);
        delete from legwork_private.worker_processes w where w.id = v_dead.id;
        perform legwork_private.wake_workers(jobs);
        worker := v_dead.id;
        return next;
      exception when lock_not_available then
        -- Nothing of this worker was done; the next look tries again.
        null;
      end;
    end if;
  end loop;
end $$;
comment on function legwork_private.recover_jobs() is
  'Gives the jobs of dead workers to the others. They keep their place, so what was running runs next. Every worker calls it every second. Returns the '
  'workers that were given up, with the number of jobs each held.';
revoke execute on function legwork_private.recover_jobs() from public;
comment on sequence legwork_private.worker_restarts is 'Counts the restarts of all workers, for the metric legwork_worker_restarts_total. See legwork_private.note_worker_fault.';
