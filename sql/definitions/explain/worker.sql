-- Explains what is wrong with a worker.
create or replace function legwork_private.explain_worker_jobs(worker legwork_private.worker_processes) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_longest record;
  v_blocking bigint := case when cardinality(worker.blocked_jobs) = 1 then worker.blocked_jobs[1] end;
begin
  if worker.blocked_since is not null then
    reason := 'worker_blocked';
    detail := format('Synchronous code %s has blocked it since %s, for %s. Its other jobs do not progress until that code returns.',
      case when v_blocking is not null then (
          select format('of job %s (task %s)', b.id, coalesce(k.identifier, 'unknown'))
          from (select v_blocking as id) b
          left join legwork_private.graphile_jobs j on j.id = b.id
          left join legwork_private.graphile_tasks k on k.id = j.task_id)
        when cardinality(worker.blocked_jobs) = 0 then 'outside jobs'
        else 'of one of the jobs ' || array_to_string(worker.blocked_jobs[:10], ', ') end,
      to_char(worker.blocked_since, 'YYYY-MM-DD HH24:MI:SS TZ'), legwork_private.in_words(date_trunc('second', legwork_private.elapsed(worker.blocked_since, clock_timestamp()))));
    fix := 'Wait, or run that task in its own thread or process (isolate), or split its computation into smaller parts. Signals, timeouts and cancellations cannot interrupt it';
    actions := '[]';
    return next;
  end if;
  select j.id, k.identifier as task, j.locked_at into v_longest
  from legwork_private.graphile_jobs j join legwork_private.graphile_tasks k on k.id = j.task_id
  where j.id = any (worker.running[:1000]) and j.locked_by = worker.id order by j.locked_at limit 1;
  reason := case when cardinality(worker.running) >= worker.concurrency then 'worker_full' when worker.running = '{}' then 'worker_idle' else 'worker_running' end;
  detail := case when worker.running = '{}' then format('It is running no jobs and could run %s at a time.', worker.concurrency)
    else format('It is running %s of at most %s%s.', cardinality(worker.running), legwork_private.counted(worker.concurrency, 'job'),
      case when v_longest.id is not null then format('; the longest, job %s (task %s), since %s, for %s', v_longest.id, v_longest.task, to_char(v_longest.locked_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
        legwork_private.in_words(date_trunc('second', legwork_private.elapsed(v_longest.locked_at, clock_timestamp())))) end) end;
  actions := case when v_longest.id is not null then jsonb_build_array(jsonb_build_object('do', 'explain_job', 'id', v_longest.id::text)) else '[]' end;
  fix := case when reason <> 'worker_full' then 'Nothing to do'
    else 'Start more workers or raise LEGWORK_CONCURRENCY' || case when v_longest.id is not null then ', or ' || legwork_private.suggest('see what that job is doing', actions -> 0) else '' end end;
  if reason <> 'worker_full' then
    actions := '[]';
  end if;
  return next;
end $$;
comment on function legwork_private.explain_worker_jobs(legwork_private.worker_processes) is 'The reasons that explain_worker returns for the jobs of a worker: which job blocks it, and whether it is full, with the job that has been running the longest.';

create or replace function legwork_private.explain_lacking_tasks(worker legwork_private.worker_processes) returns table (reason text, detail text, fix text, actions jsonb)
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select 'worker_lacks_task',
    format(case when t.identifier = any (worker.excluded) then 'It was started without the task ''%s'' (--only, --except), for which %s%s.' else 'It does not have the task ''%s'', for which %s%s.' end, t.identifier, legwork_private.counted(x.jobs, case x.jobs when 1000 then 'or more job waits' else 'job waits' end, case x.jobs when 1000 then 'or more jobs wait' else 'jobs wait' end),
      case when legwork_private.missing_worker(t.identifier) is null then '; other workers run it' else ', and no running worker runs it' end)
      || coalesce(' No Legwork worker has ever had it. Did you mean ''' || legwork_private.intended_task(t.identifier) || '''?', ''),
    case when legwork_private.missing_worker(t.identifier) is null then 'Nothing to do if this worker is meant to run other tasks' when t.identifier = any (worker.excluded) then 'Restart it without excluding this task, or start another worker for it'
      when legwork_private.intended_task(t.identifier) is not null then 'If so, cancel those jobs and enqueue them again for the right task. Otherwise add the task''s file to the directories of this worker''s --tasks, and restart it'
      else 'Add its file to the directories of this worker''s --tasks, and restart it' end, '[]'::jsonb
  from (select k.id, k.identifier from legwork_private.graphile_tasks k where k.identifier <> all (worker.tasks) order by k.id limit 200) t
  cross join lateral (
    select count(*) as jobs from (
      select j.run_at from legwork_private.graphile_jobs j where j.is_available and j.task_id = t.id order by j.id limit 1000) o
    where o.run_at <= clock_timestamp()
  ) x
  -- Leaves out tasks that this worker was started without and that other workers run, because that is intended.
  where x.jobs > 0 and (t.identifier <> all (worker.excluded) or legwork_private.missing_worker(t.identifier) is not null)
  order by legwork_private.missing_worker(t.identifier) is null, x.jobs desc, t.identifier limit 5
$$;
comment on function legwork_private.explain_lacking_tasks(legwork_private.worker_processes) is
  'Up to five tasks with jobs that are ready to run but that this worker does not run, starting with those that no running worker has. Looks at the first thousand waiting jobs of each task.';

create or replace function legwork.explain_worker(worker_id text)
returns table ("position" integer, reason text, detail text, fix text, actions jsonb)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  v_worker legwork_private.worker_processes;
  v_start legwork_private.worker_starts;
  v_others bigint;
  v_held bigint;
begin
  -- Tenants must not see where workers run.
  perform legwork_private.assert_role('viewer', true);
  select * into v_worker from legwork_private.worker_processes w
  where w.id = explain_worker.worker_id or w.host || ':' || w.pid = explain_worker.worker_id
  order by w.id = explain_worker.worker_id desc, w.started_at desc limit 1;
  select count(*) into v_others from legwork_private.worker_processes w where w.id is distinct from v_worker.id and w.seen_at > clock_timestamp() - legwork_private.worker_grace();
  if v_worker.id is null then
    select * into v_start from legwork_private.worker_starts s
    where s.id = explain_worker.worker_id or s.host || ':' || s.pid = explain_worker.worker_id
    order by s.id = explain_worker.worker_id desc, s.started_at desc limit 1;
    if v_start.id is null then
      raise exception 'No worker has id ''%''.', coalesce(worker_id, 'null') using errcode = 'LW404', detail = '{"do": "list_workers"}',
        hint = coalesce('Did you mean ''' || legwork_private.nearest_name(worker_id, array(select w.id from legwork_private.worker_processes w)) || '''? ', '')
          || '`select id, host, pid from legwork.workers` lists the workers that are running. A plain graphile-worker process does not report here.';
    end if;
    -- Its jobs were returned to the queue when it stopped or was declared dead. Normally it holds none.
    v_held := (select count(*) from (select from legwork_private.graphile_jobs j where not j.is_available and j.locked_by = v_start.id limit 1000) x);
    "position" := 1; reason := 'worker_gone';
    detail := format('It is no longer running: it started at %s on %s (process %s), and has since stopped or died. %s', to_char(v_start.started_at, 'YYYY-MM-DD HH24:MI:SS TZ'), v_start.host, v_start.pid,
      case v_held when 0 then 'It holds no jobs.' else format('It still holds %s.', legwork_private.counted(v_held, 'job')) end);
    actions := case v_held when 0 then '[]' else jsonb_build_array(jsonb_build_object('do', 'give_back_jobs', 'name', v_start.id)) end;
    fix := legwork_private.as_fix(case when v_held > 0 then legwork_private.suggest('return its jobs to the queue', actions -> 0)
      when v_others = 0 then 'No Legwork worker is running. Start one: legwork worker' else 'Nothing to do: other workers are running' end);
    actions := legwork_private.open_actions(actions);
    return next;
    return;
  end if;
  return query
    select (row_number() over (order by x.part, x.n))::integer, x.reason, x.detail, legwork_private.as_fix(x.fix), legwork_private.open_actions(x.actions)
    from (
      select 1 as part, 'worker_silent' as reason,
        format('It has sent no heartbeat since %s, for %s.', to_char(v_worker.seen_at, 'YYYY-MM-DD HH24:MI:SS TZ'), legwork_private.in_words(date_trunc('second', legwork_private.elapsed(v_worker.seen_at, clock_timestamp())))) as detail,
        format('Check its process (%s on %s) and its log. %s', v_worker.pid, v_worker.host, case v_others when 0 then 'No other Legwork worker is running to take its jobs. Start one: legwork worker'
          else 'Other workers return its jobs to the queue within seconds' end) as fix, '[]'::jsonb as actions, 1::bigint as n
      where v_worker.seen_at < clock_timestamp() - legwork_private.worker_grace()
      union all
      select 2, case f.kind when 'restart' then 'worker_restarts' else 'worker_cannot_record' end,
        case f.kind when 'restart' then format('Its runner has restarted %s in 15 minutes, last at %s: %s', case f.times when 1 then 'once' when 2 then 'twice' else legwork_private.counted(f.times, 'time') end, to_char(f.at, 'YYYY-MM-DD HH24:MI:SS TZ'), f.reason)
          else format('It cannot record how jobs end: %s', f.reason) end,
        case when f.job_id is not null then format('Job %s seems to be the cause; ', f.job_id) || legwork_private.suggest('cancel it', a.action)
          else 'Check its log and the database server''s log' end,
        case when f.job_id is not null then jsonb_build_array(a.action) else '[]' end, row_number() over (order by f.kind)
      from (
        select y.kind, count(*) as times, max(y.at) as at, (array_agg(y.reason order by y.id desc))[1] as reason, (array_agg(y.job_id order by y.id desc) filter (where y.job_id is not null))[1] as job_id
        from legwork_private.worker_faults y
        where y.kind in ('restart', 'recording') and y.host = v_worker.host and y.pid = v_worker.pid
          and y.at > greatest(v_worker.started_at, clock_timestamp() - case y.kind when 'recording' then interval '2 minutes' else interval '15 minutes' end)
        group by y.kind
      ) f
      cross join lateral (select jsonb_build_object('do', 'cancel_job', 'id', f.job_id::text)) as a (action)
      union all
      select 3, 'worker_quiet',
        format('%s made it %s at %s, so it takes no new jobs%s.', v_worker.quiet_by, case v_worker.state when 'draining' then 'drain' else 'quiet' end,
          to_char(v_worker.quiet_since, 'YYYY-MM-DD HH24:MI:SS TZ'), case v_worker.state when 'draining' then ' and stops when those that it runs have ended' else '' end),
        legwork_private.suggest('make it take jobs again', a.action), jsonb_build_array(a.action), 0
      from (select jsonb_build_object('do', 'resume_worker', 'name', v_worker.host || ':' || v_worker.pid)) as a (action)
      where v_worker.state <> 'active'
      union all
      select 3, j.* from legwork_private.explain_worker_jobs(v_worker) with ordinality as j (reason, detail, fix, actions, n)
      union all
      select 4, l.* from legwork_private.explain_lacking_tasks(v_worker) with ordinality as l (reason, detail, fix, actions, n)
      union all
      select 5, p.* from legwork_private.explain_pauses(null, null) with ordinality as p (reason, detail, fix, actions, n)
    ) x;
end $$;
comment on function legwork.explain_worker(text) is
  'Explains what is wrong with a worker, named by its id or by host:pid, in the columns of explain_job. reason is one of worker_silent, worker_restarts, worker_cannot_record, worker_quiet, worker_blocked; worker_full, worker_running or worker_idle; worker_lacks_task for tasks '
  'with waiting jobs that it does not have; everything_stopped; and worker_gone for a worker that is no longer running. Not for a session that is confined to a tenant (LW403). Raises LW404 for an unknown worker.';
revoke execute on function legwork.explain_worker(text) from public;
