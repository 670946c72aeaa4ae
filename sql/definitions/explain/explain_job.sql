create or replace function legwork_private.explain_ended(
  job legwork_private.graphile_jobs, job_id bigint, state legwork.job_state, finished_at timestamptz, error text, attempts integer, max_attempts integer, has_run boolean, task text
) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_retry jsonb := jsonb_build_object('do', 'retry_job', 'id', job_id::text);
  v_rerun jsonb := jsonb_build_object('do', 'rerun_job', 'id', job_id::text);
  v_other jsonb;
  v_last record;
  v_found text;
begin
  reason := explain_ended.state;
  detail := format('It %s at %s%s%s', case explain_ended.state when 'cancelled' then 'was cancelled' else explain_ended.state::text end, to_char(explain_ended.finished_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
    case when explain_ended.state = 'failed' and has_run then case
      when explain_ended.attempts >= explain_ended.max_attempts then format(' after %s of %s', explain_ended.attempts, legwork_private.counted(explain_ended.max_attempts, 'attempt'))
      else format(' in attempt %s of %s, and will not be retried automatically', explain_ended.attempts, explain_ended.max_attempts) end else '' end,
    coalesce(': ' || explain_ended.error, '.'));
  actions := '[]';
  case explain_ended.state
    when 'completed' then
      v_other := jsonb_build_object('do', 'show_log', 'id', job_id::text);
      v_found := legwork_private.traces_of(job_id);
      detail := detail || coalesce(' ' || v_found, '');
      actions := jsonb_build_array(v_other);
      fix := 'if something is missing, ' || legwork_private.suggest('see what its task logged', v_other);
    when 'failed' then
      select f.error_name, f.error_code into v_last from legwork_private.failed_attempts f where f.job_id = explain_ended.job_id order by f.attempt desc, f.failed_at desc limit 1;
      if job.id is null then
        reason := 'discarded';
        detail := regexp_replace(detail, '\.?$', '. It was then discarded.');
        actions := jsonb_build_array(v_rerun);
        fix := 'a discarded job cannot be retried. If it should run, ' || legwork_private.suggest('enqueue it again', v_rerun);
      elsif explain_ended.error like 'Quarantined: %' then
        actions := jsonb_build_array(v_retry);
        fix := format('do not retry it yet: it would kill another worker. Find out first why it ends its worker''s process (memory, process.exit, native code)%s. When that is fixed, ',
            case when legwork_private.confined_tenant() is null then format(', in the logs of %s',
              (select string_agg(format('%s at %s', f.worker, to_char(f.failed_at, 'YYYY-MM-DD HH24:MI:SS TZ')), ', ' order by f.failed_at)
               from (select * from legwork_private.failed_attempts a where a.job_id = explain_ended.job_id and a.error_name = 'WorkerLost' order by a.failed_at desc limit 3) f)) else '' end)
          || legwork_private.suggest('retry it', v_retry);
      elsif v_last.error_name = 'PayloadError' then
        v_other := v_rerun || '{"discard": true, "asks": ["payload"]}';
        actions := jsonb_build_array(v_other);
        fix := 'a retry would fail again, since its payload stays the same. ' || legwork_private.as_fix(legwork_private.suggest('run it with a valid payload, and discard this job', v_other));
      else
        actions := jsonb_build_array(v_retry);
        fix := 'fix the cause, then ' || legwork_private.suggest('retry it', v_retry);
      end if;
    when 'cancelled' then
      select jsonb_build_object('do', 'retry_workflow', 'id', s.workflow_id::text) into v_other from legwork_private.workflow_run_steps s where s.job_id = explain_ended.job_id limit 1;
      if v_other is not null then
        detail := legwork_private.as_sentence(detail) || format(' It is a step of workflow %s.', v_other ->> 'id');
        actions := jsonb_build_array(v_other);
        fix := 'once the cause is fixed, ' || legwork_private.suggest('run the steps that have not completed again', v_other);
      else
        v_found := legwork_private.intended_task(explain_ended.task);
        v_rerun := v_rerun || jsonb_strip_nulls(jsonb_build_object('task', v_found));
        actions := jsonb_build_array(v_rerun);
        fix := case when v_found is not null then format('no Legwork worker has ever had a task ''%s''. Did you mean ''%s''? Then ', explain_ended.task, v_found) else 'if it should run, ' end
          || legwork_private.suggest('run it again', v_rerun);
        v_found := substring(explain_ended.error from '^Cancelled because job (\d+), which it depends on, ');
        if v_found is not null and (legwork_private.confined_tenant() is null
          or exists (select from legwork_private.all_jobs j where j.id = v_found::bigint and j.tenant = legwork_private.confined_tenant()))
        then
          v_other := jsonb_build_object('do', 'explain_job', 'id', v_found);
          actions := jsonb_build_array(v_other, v_rerun);
          fix := format('%s. Then, %s', legwork_private.suggest('see what happened to that job', v_other), fix);
        end if;
      end if;
    else
      actions := jsonb_build_array(v_rerun);
      fix := 'find out what kept it waiting. If it should still run, ' || legwork_private.suggest('run it again', v_rerun);
  end case;
  return next;
  if explain_ended.state = 'failed' then
    return query select s.* from legwork_private.explain_replaced(job) s;
  end if;
  return query select s.* from legwork_private.explain_schedules(explain_ended.job_id) s;
end $$;
comment on function legwork_private.explain_ended(legwork_private.graphile_jobs, bigint, legwork.job_state, timestamptz, text, integer, integer, boolean, text) is
  'The reasons that explain_job returns for a job that has ended: how it ended, which job replaced it, and which occurrences wait for its schedule. job: its row in graphile-worker''s table, if kept for a retry. has_run: whether an attempt ended it.';

create or replace function legwork_private.traces_of(job_id bigint) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_logged record;
  v_children integer;
  v_result text := (select f.result::text from legwork_private.finished_jobs f where f.id = traces_of.job_id order by f.finished_at desc limit 1);
begin
  select count(*) filter (where l.level = 'warn') as warnings, count(*) filter (where l.level in ('error', 'fatal')) as errors into v_logged
  from (select o.level from legwork_private.job_logs o where o.job_id = traces_of.job_id order by o.id limit 1000) l;
  select count(*) into v_children from (
    select from legwork_private.all_jobs j
    where j.parent_id = traces_of.job_id and (legwork_private.confined_tenant() is null or j.tenant = legwork_private.confined_tenant()) limit 1000
  ) c;
  return nullif(concat_ws(' ',
    'Its log has ' || nullif(concat_ws(' and ', nullif(legwork_private.counted(v_logged.errors, 'error'), '0 errors'), nullif(legwork_private.counted(v_logged.warnings, 'warning'), '0 warnings')), '') || '.',
    'It enqueued ' || nullif(legwork_private.counted(v_children, 'job'), '0 jobs') || '.',
    case when v_result is not null and v_result <> 'null' then format('Its result: %s%s', left(v_result, 200), case when length(v_result) > 200 then '…' else '' end) end), '');
end $$;
comment on function legwork_private.traces_of(bigint) is
  'Traces of a completed job, as sentences: the warnings and errors in its log, the jobs it enqueued (at most 1,000 of each), and the start of its result. Null if it left no traces.';

create or replace function legwork_private.explain_running(job legwork_private.graphile_jobs, attempts integer, task text) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_worker legwork_private.worker_processes;
  v_name text;
  v_cancel jsonb := jsonb_build_object('do', 'cancel_job', 'id', job.id::text);
  v_cancelled legwork_private.cancellations;
  v_usual interval := (select make_interval(secs => round(t.usual_run::numeric, 3)::double precision) from legwork_private.task_totals t where t.task = explain_running.task and t.usual_runs >= 20);
  v_age interval := date_trunc('second', clock_timestamp() - job.locked_at);
  v_has_spoken boolean;
  v_definition legwork_private.task_definitions;
begin
  select * into v_worker from legwork_private.worker_processes w where w.id = job.locked_by;
  v_name := case when legwork_private.confined_tenant() is not null then 'a worker'
    when v_worker.id is not null then format('worker %s (%s, process %s)', v_worker.id, v_worker.host, v_worker.pid)
    else format('%s, which is not a running Legwork worker (it is a plain graphile-worker, or has died)', job.locked_by) end;
  select * into v_definition from legwork_private.task_definitions d where d.name = explain_running.task and v_worker.id is not null;
  select * into v_cancelled from legwork_private.cancellations c where c.job_id = job.id;
  -- A heartbeat says which jobs have started. A heartbeat within the first second may have been sent before the job was fetched.
  v_has_spoken := v_worker.seen_at > job.locked_at + interval '1 second';
  if v_has_spoken and job.id <> all (v_worker.running) and job.id <> all (coalesce(v_worker.blocked_jobs, '{}')) then
    reason := 'fetched_ahead';
    detail := format('It has not started. %s%s has fetched it in advance and %s.', upper(left(v_name, 1)), substr(v_name, 2),
      case when cardinality(v_worker.running) >= v_worker.concurrency then format('will start it when one of its %s ends', legwork_private.counted(cardinality(v_worker.running), 'running job'))
        else 'is about to start it' end);
    actions := jsonb_build_array(v_cancel);
    fix := format('wait, or %s. If LEGWORK_LOCAL_QUEUE_SIZE is set, remove it or lower it: without it, a job waits in a worker for at most a second', legwork_private.suggest('cancel it', v_cancel));
  else
    reason := 'running';
    detail := format('It is running: attempt %s, since %s (for %s), on %s.%s', explain_running.attempts, to_char(job.locked_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
      legwork_private.in_words(v_age), v_name,
      coalesce(' 95 % of the attempts of this task end within ' || legwork_private.in_words(v_usual) || '.', ''));
    detail := detail || coalesce(case
      when v_age < v_definition.timeout then format(' Its timeout of %s ends it in about %s.', legwork_private.in_words(v_definition.timeout), legwork_private.in_words(date_trunc('second', justify_hours(v_definition.timeout - v_age))))
      when v_age >= v_definition.timeout then format(' Its timeout of %s has passed: its task has been signaled to stop, and fails after its grace period (grace, 5 seconds by default).',
        legwork_private.in_words(v_definition.timeout)) end, '');
    if v_worker.id is null then
      actions := jsonb_build_array(jsonb_build_object('do', 'give_back_jobs', 'name', job.locked_by));
      fix := 'if that process has died, its jobs return to the queue after four hours. If you are sure that it has died, '
        || legwork_private.suggest('return them to the queue now', actions -> 0);
    elsif v_cancelled.job_id is not null or v_worker.blocked_jobs = array[job.id] then
      -- It has been cancelled already, or cannot be while it blocks its worker. The reasons that follow say so.
      actions := '[]';
      fix := 'Wait.';
    else
      actions := jsonb_build_array(v_cancel);
      fix := 'wait, or ' || legwork_private.suggest('cancel it', v_cancel);
      if v_definition.timeout is null and v_age > coalesce(3 * v_usual, interval '1 minute') then
        fix := fix || format('. Its task has no timeout. If it also ignores its abort signal, the only way to stop it is to restart %s', v_name);
      end if;
    end if;
  end if;
  return next;
  return query select s.* from legwork_private.explain_replaced(job) s;
  actions := '[]';
  if v_worker.seen_at < clock_timestamp() - legwork_private.worker_grace() then
    reason := 'worker_silent';
    detail := case when v_has_spoken then format('Its worker has sent no heartbeat since %s.', to_char(v_worker.seen_at, 'YYYY-MM-DD HH24:MI:SS TZ'))
      else format('Its worker has sent no heartbeat since it fetched this job (the last one was at %s): its process was stopped or killed, or cannot reach Postgres.',
        to_char(v_worker.seen_at, 'YYYY-MM-DD HH24:MI:SS TZ')) end;
    fix := case when exists (select from legwork_private.worker_processes w where w.id <> v_worker.id and w.seen_at > clock_timestamp() - legwork_private.worker_grace())
      then 'Wait: another running Legwork worker returns its jobs to the queue within seconds.'
      else 'No other Legwork worker is running. Start one (legwork worker --tasks DIR): it returns the silent worker''s jobs to the queue within seconds.' end;
    return next;
  end if;
  if v_worker.blocked_since is not null then
    reason := 'worker_blocked';
    detail := format('Synchronous code %s has blocked its worker for %s. The worker''s other jobs do not progress until that code returns.',
      case when v_worker.blocked_jobs = array[job.id] then 'of this job'
        when cardinality(v_worker.blocked_jobs) = 0 then 'outside jobs'
        when legwork_private.confined_tenant() is not null then 'of a job'
        when cardinality(v_worker.blocked_jobs) = 1 then (
          select format('of job %s (task %s)', b.id, k.identifier)
          from (select v_worker.blocked_jobs[1] as id) b
          left join legwork_private.graphile_jobs j on j.id = b.id
          left join legwork_private.graphile_tasks k on k.id = j.task_id)
        else 'of one of the jobs ' || array_to_string(v_worker.blocked_jobs[:10], ', ') end,
      legwork_private.in_words(date_trunc('second', clock_timestamp() - v_worker.blocked_since)));
    fix := 'Wait, or run that task in its own thread or process (isolate), or split its computation into smaller parts. Signals, timeouts and cancellations cannot interrupt it.';
    return next;
  end if;
  if v_cancelled.job_id is not null then
    reason := 'cancelling';
    detail := format('%s Its task was signaled to stop at %s, %s ago.', legwork_private.as_sentence(v_cancelled.reason), to_char(v_cancelled.cancelled_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
      legwork_private.in_words(date_trunc('second', clock_timestamp() - v_cancelled.cancelled_at)));
    fix := 'Wait for the task to respond to its abort signal. ' || case when v_definition.timeout is not null then 'If it does not, its timeout ends it.'
      else format('If it does not, the only way to stop it is to restart %s, because the task has no timeout.', v_name) end;
    return next;
  end if;
end $$;
comment on function legwork_private.explain_running(legwork_private.graphile_jobs, integer, text) is
  'The reasons that explain_job returns for a running job: where it runs, when it started, and why it may not progress. attempts: the number of the current attempt.';

create or replace function legwork_private.explain_run_at(job legwork_private.graphile_jobs, run_at timestamptz, error text) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_paced legwork_private.paced_keys;
begin
  reason := case when job.attempts > 0 then 'retry_ahead' else 'run_at_ahead' end;
  if job.key is not null and job.attempts = 0 then
    select * into v_paced from legwork_private.paced_keys p where p.job_key = job.key and p.job_id = job.id;
  end if;
  detail := case
      when not isfinite(explain_run_at.run_at) then 'Its run_at is infinity, so it never starts automatically'
      when job.attempts > 0 then format('Attempt %s of %s failed, and the next one is due at %s', job.attempts, job.max_attempts, legwork_private.time_ahead(explain_run_at.run_at))
      else 'It is due at ' || legwork_private.time_ahead(explain_run_at.run_at) end
    || case when job.attempts > 0 then '. Last error: ' || coalesce(explain_run_at.error, 'no message')
      when v_paced.throttle is not null then format(': requests with its job key ''%s'' are throttled, so that at most one starts every %s.', legwork.given_key(job.key), legwork_private.period_in_words(v_paced.throttle))
      when v_paced.job_key is not null then format(': requests with its job key ''%s'' are debounced, so that each further request makes it wait again.', legwork.given_key(job.key))
      else '.' end;
  actions := jsonb_build_array(jsonb_build_object('do', 'retry_job', 'id', job.id::text));
  fix := case when isfinite(explain_run_at.run_at) then 'wait, or ' else '' end || legwork_private.suggest('start it now', actions -> 0);
  return next;
end $$;
comment on function legwork_private.explain_run_at(legwork_private.graphile_jobs, timestamptz, text) is
  'The reason that explain_job returns for a job whose first or next attempt is due later. run_at: as recorded in the waiting room. error: the error of the last attempt.';

create or replace function legwork_private.explain_expiry(job legwork_private.graphile_jobs) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_expires_at timestamptz := legwork_private.expiry_of(job.flags);
begin
  if v_expires_at <= clock_timestamp() then
    reason := 'expired';
    detail := format('It has expired, because it had not started by %s.', to_char(v_expires_at, 'YYYY-MM-DD HH24:MI:SS TZ'));
    actions := jsonb_build_array(jsonb_build_object('do', 'retry_job', 'id', job.id::text));
    fix := 'A running Legwork worker ends it as expired within seconds. If it should still run, ' || legwork_private.suggest('let it start without the deadline', actions -> 0);
    return next;
  end if;
end $$;
comment on function legwork_private.explain_expiry(legwork_private.graphile_jobs) is 'The reason that explain_job returns for a job that is past its expiry; no row for other jobs.';

create or replace function legwork_private.explain_serial_key(job legwork_private.graphile_jobs, serial_key text) returns table (reason text, detail text, fix text, actions jsonb)
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
    actions := '[]';
    fix := 'Wait for that job.';
    if v_holder is not null then
      actions := jsonb_build_array(jsonb_build_object('do', 'cancel_job', 'id', v_holder::text));
      fix := 'wait for that job, or ' || legwork_private.suggest('cancel it', actions -> 0);
    end if;
    return next;
  end if;
end $$;
comment on function legwork_private.explain_serial_key(legwork_private.graphile_jobs, text) is
  'The reason that explain_job returns for a job whose serial key is held by another job; no row for other jobs.';

create or replace function legwork_private.explain_row_lock(job_id bigint) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_holder record;
begin
  if pg_is_in_recovery() or current_setting('transaction_read_only') = 'on' then
    return;
  end if;
  perform from legwork_private.graphile_jobs j where j.id = explain_row_lock.job_id for share skip locked;
  if found then
    return;
  end if;
  reason := 'row_locked';
  detail := 'An open transaction has changed or locked the job''s row. Workers skip the job until that transaction ends.';
  actions := '[]';
  if legwork_private.confined_tenant() is not null then
    fix := 'Wait, or ask an operator of the whole system to find that transaction.';
    return next;
    return;
  end if;
  select a.* into v_holder from pg_stat_activity a where a.backend_xid::text = legwork_private.job_locker(explain_row_lock.job_id)::text;
  if v_holder.pid is null then
    fix := 'find it: select pid, state, xact_start, query from pg_stat_activity where xact_start is not null order by xact_start; then end it with pg_terminate_backend(pid)';
    return next;
    return;
  end if;
  detail := format('An open transaction has changed or locked the job''s row. Workers skip the job until that transaction ends. It is session %s of user ''%s''%s, open since %s (for %s), now %s%s.',
    v_holder.pid, v_holder.usename, coalesce(' in ''' || nullif(v_holder.application_name, '') || '''', ''), to_char(v_holder.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ'),
    legwork_private.in_words(date_trunc('second', clock_timestamp() - v_holder.xact_start)), v_holder.state,
    -- Only an admin sees the statement, because it may contain confidential values.
    case when legwork_private.has_role('admin') and pg_has_role(legwork_private.asker(), 'pg_read_all_stats', 'usage')
      then format(', last statement: %s', left(regexp_replace(v_holder.query, '\s+', ' ', 'g'), 100)) else '' end);
  actions := jsonb_build_array(jsonb_build_object('do', 'end_session', 'id', v_holder.pid::text));
  fix := 'commit or roll back that transaction, or ' || legwork_private.suggest('end its session', actions -> 0);
  return next;
end $$;
comment on function legwork_private.explain_row_lock(bigint) is 'The reason that explain_job returns for a job whose row another transaction has locked, with the session; no row for other jobs.';

create or replace function legwork_private.explain_unheld(job legwork_private.graphile_jobs, run_at timestamptz) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_flags text := legwork_private.flags_in_words(job.flags);
begin
  actions := '[]';
  if explain_unheld.run_at < clock_timestamp() - interval '10 seconds' then
    reason := 'not_fetched';
    detail := format('Nothing holds it back. It has been due for %s, and running workers that have its task could take it, but none has fetched it.%s',
      legwork_private.in_words(date_trunc('second', clock_timestamp() - explain_unheld.run_at)), v_flags);
    fix := case when v_flags is not null then 'start a worker that accepts its flags, or enqueue it again without them'
      else 'If something held it back until a moment ago, wait a moment. Otherwise check the logs of the workers, and that they connect to Postgres directly: through a '
        'connection pooler in transaction mode they cannot fetch jobs. Restart workers that were running while the schema graphile_worker was dropped, and plain workers '
        'that were running while its task identifiers were cleaned up.' end;
  else
    reason := 'about_to_start';
    detail := 'Nothing holds it back. Workers fetch jobs as soon as they are notified, and otherwise every second or two.' || coalesce(v_flags, '');
    fix := 'Wait a moment.';
  end if;
  return next;
end $$;
comment on function legwork_private.explain_unheld(legwork_private.graphile_jobs, timestamptz) is
  'The reason that explain_job returns for a job that nothing in the database holds back. run_at: when it became due.';

create or replace function legwork_private.explain_admission(job_id bigint) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from legwork_private.waiting_jobs w where w.job_id = explain_admission.job_id and w.held is null) then
    reason := 'about_to_be_admitted';
    detail := 'Its limits have free slots, and it is next in line, or almost next.';
    actions := '[{"do": "tick"}]';
    fix := 'a running Legwork worker will admit it within a second. If none is running, ' || legwork_private.suggest('admit it now', actions -> 0);
    return next;
  end if;
end $$;
comment on function legwork_private.explain_admission(bigint) is 'The reason that explain_job returns for a job in the waiting room that nothing holds back; no row for other jobs.';

create or replace function legwork_private.explain_waiting(job legwork_private.graphile_jobs, seen legwork_private.all_jobs) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_is_held boolean := false;
begin
  -- The reasons are in the order in which they hold the job back.
  return query
    select p.* from legwork_private.explain_pauses(seen.queue, seen.task) p
    union all
    select * from (
      with waits as materialized (
        select w.* from legwork_private.explain_waits(job.id, seen.run_at) w
      )
      select w.* from waits w
      union all
      select r.* from legwork_private.explain_run_at(job, seen.run_at, seen.error) r
      where seen.run_at > clock_timestamp() and not exists (select from waits)
    ) s
    union all
    select e.* from legwork_private.explain_expiry(job) e
    union all
    select d.* from legwork_private.explain_dependencies(job.id) d
    union all
    select g.* from legwork_private.explain_gates(job.id) g;
  v_is_held := found;
  if not v_is_held then
    return query select a.* from legwork_private.explain_admission(job.id) a;
    if found then
      return;
    end if;
  end if;
  return query select k.* from legwork_private.explain_serial_key(job, seen.serial_key) k;
  v_is_held := v_is_held or found;
  return query select l.* from legwork_private.explain_row_lock(job.id) l;
  if found then
    return;
  end if;
  return query select w.* from legwork_private.explain_workers(job, seen.task) w;
  if not (v_is_held or found) then
    return query select u.* from legwork_private.explain_unheld(job, seen.run_at) u;
  end if;
end $$;
comment on function legwork_private.explain_waiting(legwork_private.graphile_jobs, legwork_private.all_jobs) is 'The reasons that explain_job returns for a job that has neither started nor ended.';

create or replace function legwork.explain_job(job_id bigint)
returns table ("position" integer, reason text, detail text, fix text, actions jsonb)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_job legwork_private.graphile_jobs;
  v_seen legwork_private.all_jobs;
begin
  "position" := 0;
  perform legwork_private.assert_role('viewer');
  perform legwork_private.assert_visible(job_id);
  select j.* into v_seen from legwork_private.all_jobs j where j.id = explain_job.job_id;
  if v_seen.id is null then
    perform legwork_private.assert_job(job_id);
  end if;
  select * into v_job from legwork_private.graphile_jobs j where j.id = explain_job.job_id;
  for reason, detail, fix, actions in
    select e.* from legwork_private.explain_ended(v_job, job_id, v_seen.state, v_seen.finished_at, v_seen.error, v_seen.attempts, v_seen.max_attempts,
      v_seen.started_at is not null, v_seen.task) e where v_seen.finished_at is not null
    union all
    select r.* from legwork_private.explain_running(v_job, v_seen.attempts, v_seen.task) r where v_seen.finished_at is null and v_job.locked_at is not null
    union all
    select w.* from legwork_private.explain_waiting(v_job, v_seen) w where v_seen.finished_at is null and v_job.locked_at is null
    union all
    select x.* from legwork_private.explain_replacing(v_job) x where v_seen.finished_at is null and v_job.locked_at is null
  loop
    "position" := "position" + 1;
    fix := legwork_private.as_fix(fix);
    actions := legwork_private.open_actions(actions);
    return next;
  end loop;
end $$;
comment on function legwork.explain_job(bigint) is
  'Explains why a job is not running: returns every reason, in the order in which they hold it back, each with an explanation and a fix. Statements in fix are in backquotes; actions names the action of each of '
  'them, in the same order, such as {"do": "retry_job", "id": "42"}. Both are limited to what the session may do. reason is one of everything_stopped, queue_paused, '
  'task_paused, waits_for_signal, waits_for_invoked_job, sleeps, run_at_ahead, retry_ahead, expired, dependency, set_aside, concurrency_limit, rate_limit, about_to_be_admitted, serial_key_taken, row_locked, worker_refused, no_worker, '
  'workers_quiet, workers_busy, not_fetched, about_to_start, and in addition replacing; for a running job running or fetched_ahead, replaced, worker_silent, worker_blocked or cancelling; for a job that has ended its state, discarded instead of failed if it was discarded, and '
  'schedule_waits or schedule_held_back for occurrences of its schedule, or of schedules that require it, that wait or were held back. Raises LW404 for an unknown job.';
revoke execute on function legwork.explain_job(bigint) from public;
