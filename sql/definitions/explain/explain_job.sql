create or replace function legwork.explain_job(job_id bigint)
returns table ("position" integer, reason text, detail text, fix text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_job graphile_worker._private_jobs;
  v_seen record;
  v_worker legwork_private.worker_processes;
  v_waiting legwork_private.waiting_jobs;
  v_holder bigint;
  v_is_taken boolean;
  v_is_suspended boolean := false;
begin
  "position" := 1;
  perform legwork_private.assert_role('viewer');
  perform legwork_private.assert_visible(job_id);
  select j.* into v_seen from legwork_private.all_jobs j where j.id = explain_job.job_id;
  if v_seen.id is null then
    perform legwork_private.assert_job(job_id);
  end if;
  select * into v_job from graphile_worker._private_jobs j where j.id = explain_job.job_id;

  if v_seen.finished_at is not null then
    reason := v_seen.state;
    detail := format('It has ended: %s at %s%s', v_seen.state, to_char(v_seen.finished_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
      coalesce(': ' || v_seen.error, '.'));
    fix := case
      when v_seen.state = 'failed' and v_job.id is not null then format('select legwork.retry_job(%s);', job_id)
      when v_seen.state = 'failed' then 'It was discarded. Enqueue it again.'
      when v_seen.state = 'completed' then 'Nothing is wrong.'
      else 'Enqueue it again if it should run.'
    end;
    return next;
    for reason, detail, fix in
      select s.reason, s.detail, s.fix from legwork_private.explain_replaced(v_job) s where v_seen.state = 'failed'
      union all
      select s.reason, s.detail, s.fix from legwork_private.explain_schedules(job_id) s
    loop
      "position" := "position" + 1;
      return next;
    end loop;
    return;
  end if;

  if v_job.locked_at is not null then
    select * into v_worker from legwork_private.worker_processes w where w.id = v_job.locked_by;
    reason := 'running';
    detail := format('It is running: attempt %s, since %s, on %s.', v_seen.attempts, to_char(v_job.locked_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
      case when legwork_private.confined_tenant() is not null then 'a worker'
        when v_worker.id is not null then format('worker %s (%s, process %s)', v_worker.id, v_worker.host, v_worker.pid)
        else format('%s, which is no Legwork worker that lives', v_job.locked_by) end);
    fix := case when v_worker.id is not null then 'Nothing to do, or stop it: ' || format('select legwork.cancel_job(%s);', job_id)
      else 'If that process is gone, its jobs are given back after four hours, or at once: ' || format('select legwork_private.give_back_jobs(%L);', v_job.locked_by) end;
    return next;
    for reason, detail, fix in select s.reason, s.detail, s.fix from legwork_private.explain_replaced(v_job) s loop
      "position" := "position" + 1;
      return next;
    end loop;
    if v_worker.id is not null and v_job.id <> all (v_worker.running) and v_job.locked_at < clock_timestamp() - interval '2 seconds' then
      "position" := "position" + 1;
      reason := 'fetched_ahead';
      detail := format('The worker has fetched it ahead and is busy with %s others.', cardinality(v_worker.running));
      fix := 'Wait, or make workers fetch fewer jobs ahead (LEGWORK_LOCAL_QUEUE_SIZE).';
      return next;
    end if;
    if v_worker.seen_at < clock_timestamp() - legwork_private.worker_grace() then
      "position" := "position" + 1;
      reason := 'worker_silent';
      detail := format('That worker has been silent since %s.', to_char(v_worker.seen_at, 'HH24:MI:SS'));
      fix := 'Any living Legwork worker gives its jobs to others within seconds.';
      return next;
    end if;
    if v_worker.blocked_since is not null then
      "position" := "position" + 1;
      reason := 'worker_blocked';
      detail := format('That worker has been busy in synchronous code for %s seconds, %s. Its other jobs stand still until that is over.',
        round(extract(epoch from clock_timestamp() - v_worker.blocked_since)),
        case when v_worker.blocked_jobs = array[explain_job.job_id] then 'this job''s'
          when cardinality(v_worker.blocked_jobs) = 0 then 'which belongs to no job'
          when legwork_private.confined_tenant() is not null then 'that of a job'
          when cardinality(v_worker.blocked_jobs) = 1 then (
            select format('that of job %s (task %s)', b.id, k.identifier)
            from (select v_worker.blocked_jobs[1] as id) b
            left join graphile_worker._private_jobs j on j.id = b.id
            left join graphile_worker._private_tasks k on k.id = j.task_id)
          else 'that of one of the jobs ' || array_to_string(v_worker.blocked_jobs[:10], ', ') end);
      fix := 'Wait, or give that task a thread or a process of its own (isolate), or let it compute in smaller pieces. A signal, a timeout or a cancellation cannot interrupt it.';
      return next;
    end if;
    if exists (select from legwork_private.cancellations c where c.job_id = explain_job.job_id) then
      "position" := "position" + 1;
      reason := 'cancelling';
      detail := (select c.reason from legwork_private.cancellations c where c.job_id = explain_job.job_id) || ' Its task was told to stop.';
      fix := 'Wait for the task to heed its signal; its timeout, if it has one, ends it otherwise.';
      return next;
    end if;
    return;
  end if;

  for reason, detail, fix in select p.reason, p.detail, p.fix from legwork_private.explain_pauses(v_seen.queue, v_seen.task) p loop
    return next;
    "position" := "position" + 1;
  end loop;

  for reason, detail, fix in select w.reason, w.detail, w.fix from legwork_private.explain_waits(job_id, v_seen.run_at) w loop
    return next;
    "position" := "position" + 1;
    v_is_suspended := true;
  end loop;
  if v_seen.run_at > clock_timestamp() and not v_is_suspended then
    reason := case when v_job.attempts > 0 then 'retry_ahead' else 'run_at_ahead' end;
    detail := case
        when not isfinite(v_seen.run_at) then 'Its run_at is infinity: it never starts by itself'
        when v_job.attempts > 0 then format('Attempt %s failed; the next one is due at %s', v_job.attempts, legwork_private.time_ahead(v_seen.run_at))
        else 'It may start at ' || legwork_private.time_ahead(v_seen.run_at) end
      || case when v_job.attempts > 0 then ': ' || coalesce(v_seen.error, 'no message') else '.' end;
    fix := format(case when isfinite(v_seen.run_at) then 'Wait, or start' else 'Start' end || ' it now: select legwork.retry_job(%s);', job_id);
    return next;
    "position" := "position" + 1;
  end if;

  if legwork_private.flag_value(v_job.flags, 'expires') ~ '^\d{1,15}$' then
    if to_timestamp(legwork_private.flag_value(v_job.flags, 'expires')::double precision / 1000) <= clock_timestamp() then
      reason := 'expired';
      detail := format('It was not to start after %s.', to_char(to_timestamp(legwork_private.flag_value(v_job.flags, 'expires')::double precision / 1000), 'YYYY-MM-DD HH24:MI:SS TZ'));
      fix := 'A living worker is about to end it as expired. Enqueue it again if it should run.';
      return next;
      "position" := "position" + 1;
    end if;
  end if;

  for reason, detail, fix in select d.reason, d.detail, d.fix from legwork_private.explain_dependencies(job_id) d loop
    return next;
    "position" := "position" + 1;
  end loop;
  for reason, detail, fix in select g.reason, g.detail, g.fix from legwork_private.explain_gates(job_id) g loop
    return next;
    "position" := "position" + 1;
  end loop;
  select * into v_waiting from legwork_private.waiting_jobs w where w.job_id = explain_job.job_id;
  if v_waiting.held is null and v_waiting.job_id is not null and "position" = 1 then
    reason := 'about_to_be_admitted';
    detail := 'There is room for it, and it is the turn of its line or of another one.';
    fix := 'A living Legwork worker lets it go within a second; or: select legwork.tick();';
    return next;
    "position" := "position" + 1;
  end if;

  if v_job.job_queue_id is not null then
    select h.id into v_holder
    from graphile_worker._private_job_queues q
    left join graphile_worker._private_jobs h on h.job_queue_id = q.id and h.locked_at is not null
    where q.id = v_job.job_queue_id and q.locked_at is not null
    order by h.id limit 1;
    v_is_taken := found;
    if v_is_taken and legwork_private.confined_tenant() is not null and not exists (
      select from graphile_worker._private_jobs h where h.id = v_holder and legwork_private.flag_value(h.flags, 'tenant') = legwork_private.confined_tenant())
    then
      v_holder := null;
    end if;
    if v_is_taken then
      reason := 'serial_key_taken';
      detail := format('Jobs with its serial key ''%s'' run one at a time, and %s.', v_seen.serial_key,
        coalesce('job ' || v_holder || ' runs now', 'a worker holds the key'));
      fix := 'Wait for that job, or cancel it' || coalesce(': select legwork.cancel_job(' || v_holder || ');', '.');
      return next;
      "position" := "position" + 1;
    end if;
  end if;

  if not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off' then
    perform from graphile_worker._private_jobs j where j.id = explain_job.job_id for share skip locked;
    if not found then
      reason := 'row_locked';
      detail := 'A transaction that is open has changed or locked the job''s row; workers pass it over until it ends.';
      fix := 'Find it: select pid, state, xact_start, query from pg_stat_activity where xact_start is not null order by xact_start; then pg_terminate_backend(pid).';
      return next;
      "position" := "position" + 1;
    end if;
  end if;

  for reason, detail, fix in select w.reason, w.detail, w.fix from legwork_private.explain_workers(v_job, v_seen.task) w loop
    return next;
    "position" := "position" + 1;
  end loop;

  if "position" = 1 then
    if v_seen.run_at < clock_timestamp() - interval '10 seconds' then
      reason := 'not_fetched';
      detail := format('Nothing holds it back. Its time came %s ago, and living workers that know its task have room for it, but none has fetched it.',
        legwork_private.in_words(date_trunc('second', clock_timestamp() - v_seen.run_at)));
      fix := 'If something held it back until a moment ago, wait a moment. Otherwise look at the log of the workers, and whether they reach Postgres directly: through a '
        'connection pooler in transaction mode they cannot fetch jobs. Workers that ran while the schema graphile_worker was dropped, and plain ones that ran while its task '
        'identifiers were cleaned up, have to be restarted.';
    else
      reason := 'about_to_start';
      detail := 'Nothing holds it back. Workers look for jobs at once when they are told, and every second or two otherwise.';
      fix := 'Wait a moment.';
    end if;
    return next;
  end if;
end $$;
comment on function legwork.explain_job(bigint) is
  'Why a job does not run: every reason, in the order in which they hold it back, each in words and with what to do. reason is one of everything_stopped, queue_paused, '
  'task_paused, waits_for_signal, sleeps, run_at_ahead, retry_ahead, expired, dependency, set_aside, concurrency_limit, rate_limit, about_to_be_admitted, serial_key_taken, row_locked, worker_refused, no_worker, '
  'workers_busy, not_fetched, about_to_start; running, replaced, fetched_ahead, worker_silent, worker_blocked or cancelling for one that runs; or the state of one that has ended, and schedule_waits or schedule_held_back for runs that '
  'wait for its schedule, or for what that requires. Raises LW404 for an unknown job.';
revoke execute on function legwork.explain_job(bigint) from public;
