create or replace function legwork_private.explain_ended(
  job legwork_private.graphile_jobs, job_id bigint, state legwork.job_state, finished_at timestamptz, error text
) returns table (reason text, detail text, fix text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  reason := explain_ended.state;
  detail := format('It %s at %s%s', case explain_ended.state when 'cancelled' then 'was cancelled' else explain_ended.state::text end, to_char(explain_ended.finished_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
    coalesce(': ' || explain_ended.error, '.'));
  fix := case
    when explain_ended.state = 'failed' and job.id is not null then format('select legwork.retry_job(%s);', explain_ended.job_id)
    when explain_ended.state = 'failed' then 'It was discarded. Enqueue it again if it should run.'
    when explain_ended.state = 'completed' then 'Nothing to do.'
    else 'Enqueue it again if it should run.'
  end;
  return next;
  if explain_ended.state = 'failed' then
    return query select s.reason, s.detail, s.fix from legwork_private.explain_replaced(job) s;
  end if;
  return query select s.reason, s.detail, s.fix from legwork_private.explain_schedules(explain_ended.job_id) s;
end $$;
comment on function legwork_private.explain_ended(legwork_private.graphile_jobs, bigint, legwork.job_state, timestamptz, text) is
  'The reasons that explain_job returns for a job that has ended: how it ended, which job replaced it, and which occurrences wait for its schedule. job: its row in graphile-worker''s table, if kept for a retry.';

create or replace function legwork_private.explain_running(job legwork_private.graphile_jobs, attempts integer) returns table (reason text, detail text, fix text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_worker legwork_private.worker_processes;
begin
  select * into v_worker from legwork_private.worker_processes w where w.id = job.locked_by;
  reason := 'running';
  detail := format('It is running: attempt %s, since %s, on %s.', explain_running.attempts, to_char(job.locked_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
    case when legwork_private.confined_tenant() is not null then 'a worker'
      when v_worker.id is not null then format('worker %s (%s, process %s)', v_worker.id, v_worker.host, v_worker.pid)
      else format('%s, which is not a running Legwork worker (it is a plain graphile-worker, or has died)', job.locked_by) end);
  fix := case when v_worker.id is not null then 'Wait, or cancel it: ' || format('select legwork.cancel_job(%s);', job.id)
    else 'If that process has died, its jobs return to the queue after four hours. To return them now: ' || format('select legwork_private.give_back_jobs(%L);', job.locked_by) end;
  return next;
  return query select s.reason, s.detail, s.fix from legwork_private.explain_replaced(job) s;
  if v_worker.id is not null and job.id <> all (v_worker.running) and job.locked_at < clock_timestamp() - interval '2 seconds' then
    reason := 'fetched_ahead';
    detail := format('Its worker has fetched it but not started it, because it is busy with %s.', legwork_private.counted(cardinality(v_worker.running), 'other job'));
    fix := 'Wait, or make workers fetch fewer jobs in advance (LEGWORK_LOCAL_QUEUE_SIZE).';
    return next;
  end if;
  if v_worker.seen_at < clock_timestamp() - legwork_private.worker_grace() then
    reason := 'worker_silent';
    detail := format('Its worker has sent no heartbeat since %s.', to_char(v_worker.seen_at, 'HH24:MI:SS'));
    fix := 'Any other running Legwork worker returns its jobs to the queue within seconds.';
    return next;
  end if;
  if v_worker.blocked_since is not null then
    reason := 'worker_blocked';
    detail := format('Synchronous code %s has blocked its worker for %s. The worker''s other jobs do not progress until that code returns.',
      case when v_worker.blocked_jobs = array[job.id] then 'of this job'
        when cardinality(v_worker.blocked_jobs) = 0 then 'outside of jobs'
        when legwork_private.confined_tenant() is not null then 'of a job'
        when cardinality(v_worker.blocked_jobs) = 1 then (
          select format('of job %s (task %s)', b.id, k.identifier)
          from (select v_worker.blocked_jobs[1] as id) b
          left join legwork_private.graphile_jobs j on j.id = b.id
          left join legwork_private.graphile_tasks k on k.id = j.task_id)
        else 'of one of the jobs ' || array_to_string(v_worker.blocked_jobs[:10], ', ') end,
      legwork_private.in_words(date_trunc('second', clock_timestamp() - v_worker.blocked_since)));
    fix := 'Wait, or run that task in a thread or process of its own (isolate), or split its computation into smaller parts. Signals, timeouts and cancellations cannot interrupt it.';
    return next;
  end if;
  if exists (select from legwork_private.cancellations c where c.job_id = job.id) then
    reason := 'cancelling';
    detail := (select c.reason from legwork_private.cancellations c where c.job_id = job.id) || ' Its task has been signaled to stop.';
    fix := 'Wait for the task to respond to its abort signal. If it does not, its timeout ends it; without a timeout, restart its worker.';
    return next;
  end if;
end $$;
comment on function legwork_private.explain_running(legwork_private.graphile_jobs, integer) is
  'The reasons that explain_job returns for a running job: where and since when it runs, and why it may not progress. attempts: the number of the current attempt.';

create or replace function legwork_private.explain_run_at(job legwork_private.graphile_jobs, run_at timestamptz, error text) returns table (reason text, detail text, fix text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  reason := case when job.attempts > 0 then 'retry_ahead' else 'run_at_ahead' end;
  detail := case
      when not isfinite(explain_run_at.run_at) then 'Its run_at is infinity, so it never starts automatically'
      when job.attempts > 0 then format('Attempt %s failed, and the next one is due at %s', job.attempts, legwork_private.time_ahead(explain_run_at.run_at))
      else 'It is due at ' || legwork_private.time_ahead(explain_run_at.run_at) end
    || case when job.attempts > 0 then '. Last error: ' || coalesce(explain_run_at.error, 'no message') else '.' end;
  fix := format(case when isfinite(explain_run_at.run_at) then 'Wait, or start' else 'Start' end || ' it now: select legwork.retry_job(%s);', job.id);
  return next;
end $$;
comment on function legwork_private.explain_run_at(legwork_private.graphile_jobs, timestamptz, text) is
  'The reason that explain_job returns for a job that is due later, or whose next attempt is. run_at: as recorded in the waiting room. error: of the last attempt.';

create or replace function legwork_private.explain_expiry(job legwork_private.graphile_jobs) returns table (reason text, detail text, fix text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if legwork_private.flag_value(job.flags, 'expires') ~ '^\d{1,15}$' then
    if to_timestamp(legwork_private.flag_value(job.flags, 'expires')::double precision / 1000) <= clock_timestamp() then
      reason := 'expired';
      detail := format('It had to start by %s, and did not.', to_char(to_timestamp(legwork_private.flag_value(job.flags, 'expires')::double precision / 1000), 'YYYY-MM-DD HH24:MI:SS TZ'));
      fix := 'A running worker will soon end it as expired. Enqueue it again if it should run.';
      return next;
    end if;
  end if;
end $$;
comment on function legwork_private.explain_expiry(legwork_private.graphile_jobs) is 'The reason that explain_job returns for a job that is past its expiry; no row for other jobs.';

create or replace function legwork_private.explain_serial_key(job legwork_private.graphile_jobs, serial_key text) returns table (reason text, detail text, fix text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_holder bigint;
  v_is_taken boolean;
begin
  select h.id into v_holder
  from legwork_private.graphile_job_queues q
  left join legwork_private.graphile_jobs h on h.job_queue_id = q.id and h.locked_at is not null
  where q.id = job.job_queue_id and q.locked_at is not null
  order by h.id limit 1;
  v_is_taken := found;
  if v_is_taken and legwork_private.confined_tenant() is not null and not exists (
    select from legwork_private.graphile_jobs h where h.id = v_holder and legwork_private.flag_value(h.flags, 'tenant') = legwork_private.confined_tenant())
  then
    v_holder := null;
  end if;
  if v_is_taken then
    reason := 'serial_key_taken';
    detail := format('Jobs with the serial key ''%s'' run one at a time, and %s.', explain_serial_key.serial_key,
      coalesce('job ' || v_holder || ' is running now', 'a worker holds the key'));
    fix := 'Wait for that job, or cancel it' || coalesce(': select legwork.cancel_job(' || v_holder || ');', '.');
    return next;
  end if;
end $$;
comment on function legwork_private.explain_serial_key(legwork_private.graphile_jobs, text) is
  'The reason that explain_job returns for a job whose serial key is held by another job; no row for other jobs.';

create or replace function legwork_private.explain_unheld(run_at timestamptz) returns table (reason text, detail text, fix text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if explain_unheld.run_at < clock_timestamp() - interval '10 seconds' then
    reason := 'not_fetched';
    detail := format('Nothing holds it back. It has been due for %s, and running workers that have its task could take it, but none has fetched it.',
      legwork_private.in_words(date_trunc('second', clock_timestamp() - explain_unheld.run_at)));
    fix := 'If something held it back until a moment ago, wait a moment. Otherwise check the logs of the workers, and that they connect to Postgres directly: through a '
      'connection pooler in transaction mode they cannot fetch jobs. Restart workers that were running while the schema graphile_worker was dropped, and plain workers '
      'that were running while its task identifiers were cleaned up.';
  else
    reason := 'about_to_start';
    detail := 'Nothing holds it back. Workers fetch jobs as soon as they are notified, and otherwise every second or two.';
    fix := 'Wait a moment.';
  end if;
  return next;
end $$;
comment on function legwork_private.explain_unheld(timestamptz) is 'The reason that explain_job returns for a job that nothing holds back. run_at: when it became due.';

create or replace function legwork.explain_job(job_id bigint)
returns table ("position" integer, reason text, detail text, fix text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_job legwork_private.graphile_jobs;
  v_seen record;
begin
  "position" := 0;
  perform legwork_private.assert_role('viewer');
  perform legwork_private.assert_visible(job_id);
  select j.* into v_seen from legwork_private.all_jobs j where j.id = explain_job.job_id;
  if v_seen.id is null then
    perform legwork_private.assert_job(job_id);
  end if;
  select * into v_job from legwork_private.graphile_jobs j where j.id = explain_job.job_id;

  if v_seen.finished_at is not null then
    return query
      select e.n::integer, e.reason, e.detail, e.fix
      from legwork_private.explain_ended(v_job, job_id, v_seen.state, v_seen.finished_at, v_seen.error) with ordinality as e (reason, detail, fix, n);
    return;
  end if;
  if v_job.locked_at is not null then
    return query
      select r.n::integer, r.reason, r.detail, r.fix
      from legwork_private.explain_running(v_job, v_seen.attempts) with ordinality as r (reason, detail, fix, n);
    return;
  end if;

  -- In the order in which they hold it back.
  for reason, detail, fix in
    select p.* from legwork_private.explain_pauses(v_seen.queue, v_seen.task) p
    union all
    select * from (
      with waits as materialized (
        select w.* from legwork_private.explain_waits(job_id, v_seen.run_at) w
      )
      select w.* from waits w
      union all
      select r.* from legwork_private.explain_run_at(v_job, v_seen.run_at, v_seen.error) r
      where v_seen.run_at > clock_timestamp() and not exists (select from waits)
    ) s
    union all
    select e.* from legwork_private.explain_expiry(v_job) e
    union all
    select d.* from legwork_private.explain_dependencies(job_id) d
    union all
    select g.* from legwork_private.explain_gates(job_id) g
  loop
    "position" := "position" + 1;
    return next;
  end loop;
  if "position" = 0 and exists (select from legwork_private.waiting_jobs w where w.job_id = explain_job.job_id and w.held is null) then
    "position" := "position" + 1;
    reason := 'about_to_be_admitted';
    detail := 'Its limits have free slots, and its turn is next or nearly next.';
    fix := 'A running Legwork worker will admit it within a second. To admit it now: select legwork.tick();';
    return next;
  end if;
  for reason, detail, fix in select k.* from legwork_private.explain_serial_key(v_job, v_seen.serial_key) k loop
    "position" := "position" + 1;
    return next;
  end loop;
  if not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off' then
    perform from legwork_private.graphile_jobs j where j.id = explain_job.job_id for share skip locked;
    if not found then
      "position" := "position" + 1;
      reason := 'row_locked';
      detail := 'An open transaction has changed or locked the job''s row. Workers skip the job until that transaction ends.';
      fix := 'Find it: select pid, state, xact_start, query from pg_stat_activity where xact_start is not null order by xact_start; then end it with pg_terminate_backend(pid).';
      return next;
    end if;
  end if;
  for reason, detail, fix in select w.* from legwork_private.explain_workers(v_job, v_seen.task) w loop
    "position" := "position" + 1;
    return next;
  end loop;
  if "position" = 0 then
    "position" := 1;
    select u.* into reason, detail, fix from legwork_private.explain_unheld(v_seen.run_at) u;
    return next;
  end if;
end $$;
comment on function legwork.explain_job(bigint) is
  'Explains why a job is not running: returns every reason, in the order in which they hold it back, each with a sentence and a fix. reason is one of everything_stopped, queue_paused, '
  'task_paused, waits_for_signal, sleeps, run_at_ahead, retry_ahead, expired, dependency, set_aside, concurrency_limit, rate_limit, about_to_be_admitted, serial_key_taken, row_locked, worker_refused, no_worker, '
  'workers_busy, not_fetched, about_to_start; for a running job running, replaced, fetched_ahead, worker_silent, worker_blocked or cancelling; for a job that has ended its state, and schedule_waits or '
  'schedule_held_back for occurrences that wait for its schedule or for what that schedule requires. Raises LW404 for an unknown job.';
revoke execute on function legwork.explain_job(bigint) from public;
