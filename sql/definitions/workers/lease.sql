-- Workers: which of them are alive, and returning a dead worker's jobs to the queue.
--
-- A worker sends a heartbeat every second, or every two while it runs no job (legwork_private.worker_poll). A worker that has been silent for
-- legwork_private.worker_grace() is suspected, and if a later check finds it still silent, its jobs are returned to the queue. There are two checks
-- because a database that stalls makes all workers look silent at once. After the stall they all send heartbeats again before the second check.
--
-- A worker that runs jobs sends its heartbeats from a separate thread. A task that computes for a minute blocks the worker's event loop. The
-- worker then reports that it is blocked (blocked_since), but it does not go silent.

comment on table legwork_private.worker_processes is 'One row per running Legwork worker. It is deleted when the worker stops or is declared dead.';
comment on column legwork_private.worker_processes.id is 'graphile-worker''s name for the worker pool, as in a job''s locked_by.';
comment on column legwork_private.worker_processes.host is 'The host name of the worker''s machine.';
comment on column legwork_private.worker_processes.pid is 'Its process id.';
comment on column legwork_private.worker_processes.concurrency is 'How many jobs it runs at a time.';
comment on column legwork_private.worker_processes.tasks is 'The tasks it runs.';
comment on column legwork_private.worker_processes.excluded is 'The tasks that it has but was started without (--only, --except).';
comment on column legwork_private.worker_processes.queue_slots is 'How many jobs of a queue it runs at a time, by queue, as in {"mail": 5}; null if only its concurrency limits them.';
comment on column legwork_private.worker_processes.running is 'The jobs it was running when it was last seen.';
comment on column legwork_private.worker_processes.started_at is 'When it started.';
comment on column legwork_private.worker_processes.seen_at is 'When it last sent a heartbeat.';
comment on column legwork_private.worker_processes.suspected_at is 'When another worker first found it silent; null while it sends heartbeats.';
comment on column legwork_private.worker_processes.version is 'Its version of Legwork.';
comment on column legwork_private.worker_processes.blocked_since is 'When synchronous code began to block its event loop; null while it is not blocked.';
comment on column legwork_private.worker_processes.blocked_jobs is
  'The job that runs this code. Several jobs if it is unknown which of them runs it, empty if the code belongs to no job, null while the event loop is not blocked.';

comment on column legwork_private.worker_processes.state is 'active; quiet: it takes no new jobs; or draining: quiet, and it stops when the last of its jobs has ended.';
comment on column legwork_private.worker_processes.quiet_since is 'When it became quiet or began to drain; null while it is active.';
comment on column legwork_private.worker_processes.quiet_by is 'The actor who made it quiet or began to drain it.';

create or replace function legwork_private.worker_grace() returns interval
language sql immutable parallel safe
return interval '5 seconds';
comment on function legwork_private.worker_grace() is
  'How long a worker may be silent before it is suspected: five missed heartbeats. With the second check two seconds later, its jobs '
  'run elsewhere within 10 seconds.';

create or replace function legwork_private.worker_beat(
  id text, host text, pid integer, concurrency integer, tasks text[], running bigint[],
  blocked_seconds double precision default null, blocked_jobs bigint[] default null, version text default null,
  excluded text[] default '{}', queue_slots jsonb default null,
  out now timestamptz, out cancelled bigint[], out lost bigint[], out state text
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into legwork_private.worker_processes as w (id, host, pid, concurrency, tasks, running, blocked_since, blocked_jobs, version, excluded, queue_slots)
  values (worker_beat.id, worker_beat.host, worker_beat.pid, worker_beat.concurrency, worker_beat.tasks, worker_beat.running,
    clock_timestamp() - blocked_seconds * interval '1 second', worker_beat.blocked_jobs, worker_beat.version, worker_beat.excluded, worker_beat.queue_slots)
  on conflict on constraint worker_processes_pkey do update set
    running = excluded.running, seen_at = clock_timestamp(), suspected_at = null,
    blocked_since = excluded.blocked_since, blocked_jobs = excluded.blocked_jobs
  returning w.state into state;
  cancelled := '{}';
  lost := '{}';
  if running <> '{}' then
    -- graphile-worker assumes that the worker is dead if a lock is older than four hours, but a job may run longer than that.
    update legwork_private.graphile_jobs j set locked_at = pg_catalog.now()
    where j.id = any (running) and j.locked_by = worker_beat.id and j.locked_at < pg_catalog.now() - interval '2 hours';
    update legwork_private.graphile_job_queues q set locked_at = pg_catalog.now()
    where q.locked_by = worker_beat.id and q.locked_at < pg_catalog.now() - interval '2 hours';
    cancelled := array(select c.job_id from legwork_private.cancellations c where c.job_id = any (running));
    lost := array(
      select r.id from unnest(running) as r (id)
      where not exists (select from legwork_private.graphile_jobs j where j.id = r.id and j.locked_by = worker_beat.id));
    -- A rate limit counts starts, so the windows of jobs that have started begin now at the latest, however long the jobs take.
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
comment on function legwork_private.worker_beat(text, text, integer, integer, text[], bigint[], double precision, bigint[], text, text[], jsonb) is
  'Records a worker''s heartbeat, its properties and the jobs it runs, and, while synchronous code blocks its event loop, for how many seconds and '
  'for which job. version: its version of Legwork. excluded: the tasks that it was started without (--only, --except). queue_slots: how many jobs of a queue it runs at a time. Returns the database''s clock, which of the jobs were cancelled, which the worker no longer holds, and whether it is active, quiet or draining.';
revoke execute on function legwork_private.worker_beat(text, text, integer, integer, text[], bigint[], double precision, bigint[], text, text[], jsonb) from public;

create or replace function legwork_private.give_back_times(worker text, started bigint[]) returns table (id bigint, run_at timestamptz)
language sql stable set search_path = pg_catalog, pg_temp
as $$
  -- graphile-worker starts jobs by priority and run_at, and jobs that are equal in both in the order of their rows, where a changed row comes last.
  -- So each job is moved ahead by as many microseconds as this worker has equal jobs behind it, and by a further millisecond if it had started:
  -- jobs that were only fetched may have been released before.
  select j.id, legwork_private.earlier(least(j.run_at, now()), row_number() over (partition by j.priority, j.run_at order by j.id desc) * interval '1 microsecond'
    + case when j.id = any (started) then interval '1 millisecond' else interval '0' end)
  from legwork_private.graphile_jobs j
  where j.locked_by = worker and not j.is_available
$$;
comment on function legwork_private.give_back_times(text, bigint[]) is
  'The run_at with which each job that a worker holds keeps its position when it is released: ahead of all other jobs that are due at the same time, first the jobs in started, then by id. '
  'It is at most a few milliseconds before the job''s own run_at.';

create or replace function legwork_private.give_back_jobs(worker text, job_ids bigint[] default null, started bigint[] default null) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_count integer;
begin
  perform legwork_private.assert_role('operator', true);
  -- The attempt is not counted: most of these jobs were only fetched, and a job that was on its last attempt must
  -- still get to run.
  with held as (
    select h.id, h.run_at from legwork_private.give_back_times(worker, started) h where job_ids is null or h.id = any (job_ids)
  ), returned as (
    update legwork_private.graphile_jobs j
    set locked_at = null, locked_by = null, run_at = h.run_at,
      -- A job that was removed or replaced while it ran has no attempts left on purpose (nothing else sets updated_at).
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
  'Returns jobs that a worker holds to the queue without using an attempt: all of them, or those in job_ids. Each keeps its position ahead of '
  'jobs that were enqueued later. Jobs in started, which the worker was running, come before those it had only fetched. Returns their number. Only for jobs that the worker no longer runs.';
revoke execute on function legwork_private.give_back_jobs(text, bigint[], bigint[]) from public;

create or replace function legwork_private.worker_stopped(id text) returns bigint[]
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_running bigint[];
  v_held bigint[];
begin
  delete from legwork_private.worker_processes w where w.id = worker_stopped.id returning w.running into v_running;
  v_held := array(select j.id from legwork_private.graphile_jobs j where j.locked_by = worker_stopped.id and not j.is_available order by j.id);
  perform legwork_private.give_back_jobs(id, started => v_running);
  return v_held;
end $$;
comment on function legwork_private.worker_stopped(text) is
  'Records that a worker has stopped: deletes its row and returns the jobs that it still holds to the queue. Returns their ids.';
revoke execute on function legwork_private.worker_stopped(text) from public;

create or replace function legwork_private.worker_blocked(id text, culprit bigint, blocked_seconds double precision, running bigint[]) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_started timestamptz;
begin
  if culprit is null then
    -- Any of the running jobs may be the culprit: they stay with the worker, and are treated like those of a dead worker.
    update legwork_private.worker_processes w set running = worker_blocked.running where w.id = worker_blocked.id;
    return legwork_private.give_back_jobs(id, array(
      select j.id from legwork_private.graphile_jobs j where j.locked_by = worker_blocked.id and j.id <> all (worker_blocked.running)));
  end if;
  select j.locked_at into v_started from legwork_private.graphile_jobs j
  where j.id = culprit and j.locked_by = worker_blocked.id for update;
  if found then
    -- Records the failure as a worker does, and postpones the job as graphile-worker does.
    perform set_config('legwork.failures', legwork_private.failure_report(culprit, json_build_object(
      'started', extract(epoch from v_started) * 1000, 'finished', extract(epoch from clock_timestamp()) * 1000,
      'name', 'Blocked', 'labels', json_build_array('Blocked'))), true);
    update legwork_private.graphile_jobs j
    set locked_at = null, locked_by = null, run_at = greatest(now(), j.run_at) + exp(least(j.attempts, 10)) * interval '1 second',
      last_error = format('The task blocked its worker''s event loop for %s. The worker was killed.', legwork_private.counted(round(blocked_seconds)::bigint, 'second'))
    where j.id = culprit;
    perform set_config('legwork.failures', '', true);
    update legwork_private.graphile_job_queues q set locked_at = null, locked_by = null
    where q.locked_by = worker_blocked.id and q.id = (select j.job_queue_id from legwork_private.graphile_jobs j where j.id = culprit);
  end if;
  return cardinality(legwork_private.worker_stopped(id));
end $$;
comment on function legwork_private.worker_blocked(text, bigint, double precision, bigint[]) is
  'Records that a worker is about to be killed because a task has blocked its event loop for too long. The attempt of that job, the culprit, '
  'fails with the error Blocked, and the worker''s other jobs return to the queue without using an attempt. Without a culprit only jobs that had not started '
  'return to the queue, and the running jobs are treated like those of a dead worker. Returns the number of jobs returned to the queue.';
revoke execute on function legwork_private.worker_blocked(text, bigint, double precision, bigint[]) from public;

create or replace function legwork_private.mark_lost(flags jsonb, at_least integer) returns jsonb
language sql immutable parallel safe
return case when coalesce(legwork_private.flag_value(flags, 'lost') >= at_least::text, false) then flags
  else coalesce(flags, '{}') - array(select f from jsonb_object_keys(flags) f where f like 'lost:%') || jsonb_build_object('lost:' || at_least, true) end;
comment on function legwork_private.mark_lost(jsonb, integer) is
  'A job''s flags with the flag lost:1, which says that a worker died while holding it, or lost:2, which says that two workers died while running it. Workers take extra care '
  'when they start such jobs, to find out which of them kills workers.';

create or replace function legwork_private.recover_jobs() returns table (worker text, jobs integer, host text, pid integer, job_ids bigint[], ended jsonb)
language plpgsql volatile security definer
-- A job whose row another session has locked must not keep this worker from sending heartbeats.
set search_path = pg_catalog, pg_temp set lock_timeout = '500ms' as $$
declare
  v_dead record;
begin
  -- skip locked: a worker that is sending a heartbeat is not silent, and two workers do not both declare a third one dead.
  for v_dead in
    select w.id, w.host, w.pid, w.running, w.suspected_at from legwork_private.worker_processes w
    where w.seen_at < clock_timestamp() - legwork_private.worker_grace()
    for update skip locked
  loop
    if v_dead.suspected_at is null then
      update legwork_private.worker_processes w set suspected_at = clock_timestamp() where w.id = v_dead.id;
    elsif v_dead.suspected_at < clock_timestamp() - interval '2 seconds' then
      begin
        -- The jobs it was running have lost an attempt, which releasing the lock records. If it is not known which of its jobs
        -- it ran, any one of them may have killed it, so the next worker reports each of these jobs before starting it.
        job_ids := array(select j.id from legwork_private.graphile_jobs j where j.locked_by = v_dead.id order by j.id);
        update legwork_private.graphile_jobs j set flags = legwork_private.mark_lost(j.flags, 1) where j.locked_by = v_dead.id;
        -- Jobs that it had only fetched may have started at its last moment, so they count for their rate limits.
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
        host := v_dead.host;
        pid := v_dead.pid;
        -- The jobs that were quarantined, or that were cancelled while the worker ran them.
        ended := (
          select coalesce(jsonb_agg(jsonb_build_object('id', f.id::text, 'task', f.task, 'state', f.state, 'attempt', f.attempts, 'error', f.error) order by f.id), '[]')
          from legwork_private.finished_jobs f where f.id = any (job_ids));
        return next;
      exception when lock_not_available then
        -- Nothing was changed for this worker. The next check tries again.
        null;
      end;
    end if;
  end loop;
end $$;
comment on function legwork_private.recover_jobs() is
  'Returns the jobs of dead workers to the queue. They keep their position, so jobs that were running run next. Workers call it when legwork_private.worker_poll tells them to. Returns the '
  'workers that were declared dead, with the jobs that each held: how many returned to the queue, the ids of all, and those that have ended instead, because they are '
  'quarantined or were cancelled, as [{id, task, state, attempt, error}].';
revoke execute on function legwork_private.recover_jobs() from public;
comment on sequence legwork_private.worker_restarts is 'Counts the restarts of all workers, for the metric legwork_worker_restarts_total. See legwork_private.note_worker_fault.';
