create or replace function legwork_private.flags_in_words(flags jsonb) returns text
language sql immutable parallel safe
return (
  select format(' It has the %s %s: workers that forbid %s (forbiddenFlags) do not fetch it.', case count(*) when 1 then 'flag' else 'flags' end,
    string_agg('''' || f || '''', ', ' order by f), case count(*) when 1 then 'this flag' else 'one of them' end)
  from (select * from jsonb_object_keys(case jsonb_typeof(flags) when 'object' then flags end) f
    where f !~ '^(tenant|correlation|parent|trace|expires|lost|schedule|workflow|step|compensates|batch):' order by f limit 10) x (f)
  having count(*) > 0);
comment on function legwork_private.flags_in_words(jsonb) is 'A sentence about the flags of a job that are not Legwork''s own, for which a worker may reject it; null if it has none.';

create or replace function legwork_private.intended_task(task text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  -- graphile-worker stores every name that a job was ever enqueued with. Workers register the tasks that exist.
  if exists (select from legwork_private.task_definitions d where d.name = intended_task.task)
    or exists (select from legwork_private.worker_processes w where intended_task.task = any (w.tasks))
  then
    return null;
  end if;
  return legwork_private.nearest_name(intended_task.task, array(
    select d.name from legwork_private.task_definitions d union select unnest(w.tasks) from legwork_private.worker_processes w));
end $$;
comment on function legwork_private.intended_task(text) is
  'The registered task that is most similar to a name that no worker has ever registered. Null for a registered name, and if no task is similar.';

create or replace function legwork_private.explain_unknown_task(job legwork_private.graphile_jobs, task text) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_alive integer;
  v_silent legwork_private.worker_processes;
  v_silent_count integer;
  v_excluding integer;
  v_excludes text;
  v_refused record;
  v_intended text := legwork_private.intended_task(task);
  v_nearest text;
begin
  select count(*) into v_alive from legwork_private.worker_processes w where w.seen_at > clock_timestamp() - legwork_private.worker_grace();
  select r.host, r.at, r.reason into v_refused from legwork_private.refused_workers() r order by r.at desc limit 1;
  if v_refused.at is not null then
    return query select 'worker_refused'::text,
      format('The worker%s failed to start at %s: %s',
        -- Tenants must not see where workers run.
        case when legwork_private.confined_tenant() is null then ' on ' || v_refused.host else '' end, to_char(v_refused.at, 'YYYY-MM-DD HH24:MI:SS TZ'), v_refused.reason),
      'Give that worker a DATABASE_URL that points directly to Postgres, or to a pooler in session mode with enough connections (docs/guides/poolers.md).', '[]'::jsonb;
  end if;
  select count(*) into v_silent_count from legwork_private.worker_processes w
  where explain_unknown_task.task = any (w.tasks) and w.seen_at <= clock_timestamp() - legwork_private.worker_grace();
  select * into v_silent from legwork_private.worker_processes w
  where explain_unknown_task.task = any (w.tasks) and w.seen_at <= clock_timestamp() - legwork_private.worker_grace()
  order by w.seen_at desc limit 1;
  reason := 'no_worker';
  if v_silent.id is not null then
    detail := format('%s the task ''%s''%s has sent no heartbeat since %s.',
      case v_silent_count when 1 then 'The only worker that has' else format('None of the %s is running. The last one that had', legwork_private.counted(v_silent_count, 'worker')) end, task,
      case when legwork_private.confined_tenant() is null then format(' (%s, %s, process %s)', v_silent.id, v_silent.host, v_silent.pid) else '' end,
      to_char(v_silent.seen_at, 'YYYY-MM-DD HH24:MI:SS TZ'));
    fix := 'Find out whether that process was killed, is stopped, or cannot reach Postgres. Or start another worker that has the task: legwork worker --tasks DIR';
    actions := '[]';
    return next;
    return;
  end if;
  select count(*), min(w.host || ':' || w.pid) into v_excluding, v_excludes from legwork_private.worker_processes w
  where explain_unknown_task.task = any (w.excluded) and w.seen_at > clock_timestamp() - legwork_private.worker_grace();
  if v_excluding > 0 then
    detail := format('%s the task ''%s'' %s started without it (--only, --except)%s.',
      case v_excluding when 1 then 'The only running Legwork worker that has' else format('All %s that have', legwork_private.counted(v_excluding, 'running Legwork worker')) end, task,
      case v_excluding when 1 then 'was' else 'were' end,
      case when legwork_private.confined_tenant() is not null then '' when v_excluding = 1 then ': ' || v_excludes else ', such as ' || v_excludes end);
    fix := format('Start a worker that runs it: legwork worker --only %s', case when task ~ '^[\w./:-]+$' then task else quote_literal(task) end);
    actions := '[]';
    return next;
    return;
  end if;
  v_nearest := coalesce(v_intended, legwork_private.nearest_name(task, array(
    select x from legwork_private.worker_processes w, unnest(w.tasks) x where w.seen_at > clock_timestamp() - legwork_private.worker_grace() and x <> explain_unknown_task.task)));
  detail := case v_alive when 0 then 'No Legwork worker is running.'
      when 1 then format('The only running Legwork worker does not have the task ''%s''.', task)
      else format('None of the %s has the task ''%s''.', legwork_private.counted(v_alive, 'running Legwork worker'), task) end
    || case when v_intended is not null then format(' No Legwork worker has ever had it. Did you mean ''%s''?', v_intended)
      else coalesce(' Did you mean ''' || v_nearest || '''?', '') end
    || coalesce(legwork_private.flags_in_words(job.flags), '');
  if v_nearest is not null then
    actions := jsonb_build_array(jsonb_build_object('do', 'cancel_job', 'id', job.id::text), jsonb_build_object('do', 'rerun_job', 'id', job.id::text, 'task', v_nearest));
    fix := format('if so, %s and then %s. Otherwise start a worker that has this task: legwork worker --tasks DIR', legwork_private.suggest('cancel it', actions -> 0),
      legwork_private.suggest('run it under the right name', actions -> 1));
  else
    actions := '[]';
    fix := 'Start a worker that has it: legwork worker --tasks DIR. A plain graphile-worker process with the task would run it too, but is not visible here.';
  end if;
  return next;
end $$;
comment on function legwork_private.explain_unknown_task(legwork_private.graphile_jobs, text) is
  'Why no worker runs the task of a job: a worker refused to start, the worker that has it is silent or was started without it, or the name is misspelled.';

create or replace function legwork_private.jobs_ahead(job legwork_private.graphile_jobs, tasks integer[], out jobs bigint, out is_estimate boolean, out first_priority integer)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_looked_at bigint;
  v_plan json;
begin
  -- In the order in which workers fetch jobs. Jobs whose task no worker has may be ahead of it, but do not delay it.
  select count(*), count(*) filter (where x.task_id = any (tasks)), min(x.priority) filter (where x.task_id = any (tasks)) into v_looked_at, jobs, first_priority from (
    select o.task_id, o.priority from legwork_private.graphile_jobs o
    where o.is_available and o.run_at <= now() and (o.priority, o.run_at) < (job.priority, job.run_at)
    order by o.priority, o.run_at
    limit 10001
  ) x;
  is_estimate := v_looked_at > 10000;
  if is_estimate then
    -- The planner's estimate is cheap, however many jobs there are.
    execute format('explain (format json) select from legwork_private.graphile_jobs o where o.is_available and o.run_at <= now() and (o.priority < %1$s or o.priority = %1$s and o.run_at < %2$L) '
      'and o.task_id = any (%3$L)', job.priority, job.run_at, tasks) into v_plan;
    jobs := greatest(jobs, round((v_plan -> 0 -> 'Plan' ->> 'Plan Rows')::numeric));
    jobs := round(jobs, 2 - length(jobs::text));
  end if;
end $$;
comment on function legwork_private.jobs_ahead(legwork_private.graphile_jobs, integer[]) is
  'How many waiting jobs of these tasks start before a job that is ready to run, and the smallest priority among them. Counts up to 10,000; beyond that it is an estimate with two digits.';

create or replace function legwork_private.explain_workers(job legwork_private.graphile_jobs, task text) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_able legwork_private.worker_processes[];
  v_slots bigint;
  v_running bigint;
  v_tasks integer[];
  v_fetched bigint;
  v_ahead record;
  v_quiet legwork_private.worker_processes;
  v_queue text;
  v_places record;
begin
  select array_agg(w), sum(w.concurrency), sum(least(w.concurrency, cardinality(w.running))) into v_able, v_slots, v_running
  from legwork_private.worker_processes w
  where w.seen_at > clock_timestamp() - legwork_private.worker_grace() and explain_workers.task = any (w.tasks) and w.state = 'active';
  if v_able is null then
    -- Quiet workers come first, because draining ones are about to stop.
    select w.* into v_quiet from legwork_private.worker_processes w
    where w.seen_at > clock_timestamp() - legwork_private.worker_grace() and explain_workers.task = any (w.tasks)
    order by w.state = 'draining', w.quiet_since desc limit 1;
    if v_quiet.id is not null then
      reason := 'workers_quiet';
      detail := case when legwork_private.confined_tenant() is not null then 'None of the workers that have its task takes new jobs now.'
        else format('None of the workers that have its task takes new jobs: %s:%s has been %s since %s (requested by %s).', v_quiet.host, v_quiet.pid, v_quiet.state,
          to_char(v_quiet.quiet_since, 'YYYY-MM-DD HH24:MI:SS TZ'), v_quiet.quiet_by) end;
      actions := jsonb_build_array(jsonb_build_object('do', 'resume_worker', 'name', v_quiet.host || ':' || v_quiet.pid));
      fix := 'start another worker that has it, or ' || legwork_private.suggest('resume this one', actions -> 0);
      return next;
      return;
    end if;
    return query select u.* from legwork_private.explain_unknown_task(job, task) u;
    return;
  end if;
  v_queue := coalesce((select d.queue from legwork_private.task_definitions d where d.name = explain_workers.task), 'default');
  -- Only if every worker that could take the job has a number of slots for its queue: a worker without one would take it.
  if not exists (select from unnest(v_able) w where w.queue_slots ->> v_queue is null) then
    select sum((w.queue_slots ->> v_queue)::bigint)::bigint as slots, max((w.queue_slots ->> v_queue)::bigint) as most, sum(u.used)::bigint as used,
      bool_and(u.used >= (w.queue_slots ->> v_queue)::bigint) as full into v_places
    from unnest(v_able) w
    cross join lateral (
      select count(*) as used from legwork_private.graphile_jobs j
      join legwork_private.graphile_tasks k on k.id = j.task_id
      left join legwork_private.task_definitions d on d.name = k.identifier
      where j.id = any (w.running) and coalesce(d.queue, 'default') = v_queue
    ) u;
    if v_places.full then
      reason := 'workers_busy';
      detail := format('%s at most %s of the queue ''%s'' at a time (--slots), and %s running.',
        case cardinality(v_able) when 1 then 'The only worker that has its task runs' else format('The %s that have its task run', legwork_private.counted(cardinality(v_able), 'worker')) end,
        legwork_private.counted(v_places.slots, 'job'), v_queue, legwork_private.counted(v_places.used, 'is', 'are'));
      fix := format('Start more workers, or give them more slots for this queue: legwork worker --slots %s=%s', v_queue, v_places.most + 1);
      actions := '[]';
      return next;
      return;
    end if;
  end if;
  v_tasks := array(select t.id from legwork_private.graphile_tasks t where t.identifier in (select unnest(w.tasks) from unnest(v_able) w));
  select * into v_ahead from legwork_private.jobs_ahead(job, v_tasks) a;
  if v_slots > v_running and v_ahead.jobs <= v_slots - v_running then
    return;
  end if;
  select count(*) into v_fetched from unnest(v_able) w join legwork_private.graphile_jobs j on j.locked_by = w.id and not j.is_available and j.id <> all (w.running);
  reason := 'workers_busy';
  detail := case
      when v_slots > v_running then format('The workers that have its task can take only %s now.', legwork_private.counted(v_slots - v_running, 'more job'))
      when cardinality(v_able) = 1 then format('The only worker that has its task is full: %s of %s running.', v_running, legwork_private.counted(v_slots, 'job'))
      else format('All %s that have its task are full: %s of %s running.', legwork_private.counted(cardinality(v_able), 'worker'), v_running, legwork_private.counted(v_slots, 'job')) end
    || case when v_fetched > 0 then format(' %s that %s fetched in advance %s before it.', legwork_private.counted(v_fetched, 'job'),
      case cardinality(v_able) when 1 then 'the worker has' else 'they have' end, case v_fetched when 1 then 'starts' else 'start' end) else '' end
    || case when v_ahead.is_estimate then format(' About %s are ahead of this one (an estimate).', legwork_private.counted(v_ahead.jobs, 'other job'))
      when v_ahead.jobs = 0 then ' No other job is ahead of this one.'
      else format(' %s %s ahead of this one.', legwork_private.counted(v_ahead.jobs, 'other job'), case v_ahead.jobs when 1 then 'is' else 'are' end) end;
  actions := '[]';
  fix := 'Start more workers, or raise LEGWORK_CONCURRENCY.';
  if v_ahead.first_priority > -32768 then
    actions := jsonb_build_array(jsonb_build_object('do', 'set_priority', 'id', job.id::text, 'priority', v_ahead.first_priority - 1));
    fix := 'start more workers, raise LEGWORK_CONCURRENCY, or ' || legwork_private.suggest('move it ahead of all others', actions -> 0);
  end if;
  return next;
end $$;
comment on function legwork_private.explain_workers(legwork_private.graphile_jobs, text) is 'Why no worker is taking a job that is ready to run: no worker has its task, those that have it are quiet, or all workers that have it are busy.';

create or replace function legwork_private.explain_waits(job_id bigint, run_at timestamptz) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  -- Signals of any name are stored, even if the job does not wait for them.
  v_unawaited text := (
    select string_agg(format('''%s'' at %s by %s', x.name, to_char(x.sent_at, 'YYYY-MM-DD HH24:MI:SS TZ'), x.sent_by), ', ' order by x.id)
    from (
      select * from legwork_private.job_signals g
      where g.job_id = explain_waits.job_id and not exists (select from legwork_private.job_steps s where s.job_id = g.job_id and s.kind = 'wait' and s.name = g.name)
      order by g.id limit 5
    ) x);
begin
  return query
    select
      case s.kind when 'wait' then 'waits_for_signal' when 'invoke' then 'waits_for_invoked_job' else 'sleeps' end,
      case s.kind when 'invoke' then format('Its task has been waiting since %s for job %s (%s), which was invoked by step ''%s'' and is %s.',
        to_char(s.started_at, 'YYYY-MM-DD HH24:MI:SS TZ'), s.child_id, coalesce(c.task, 'unknown task'), s.name, coalesce(c.state::text, 'unknown')) else
      format(case s.kind when 'wait' then 'Its task has been waiting for the signal ''%s'' since %s%s.' else 'Its task has been sleeping in step ''%s'' since %s%s.' end,
        s.name, to_char(s.started_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
        case when s.deadline is null then ', without a deadline' else ', until ' || legwork_private.time_ahead(s.deadline) end) end
        || case when s.kind = 'wait' then coalesce(' It has received signals that it does not wait for: ' || v_unawaited || '.', '') else '' end,
      case s.kind when 'wait' then legwork_private.suggest('send it', a.action) when 'invoke' then legwork_private.suggest('see why that job has not ended', a.action) else 'wait, or ' || legwork_private.suggest('end the sleep now', a.action) end,
      jsonb_build_array(a.action)
    from legwork_private.job_steps s
    cross join lateral (
      select case s.kind when 'wait' then jsonb_build_object('do', 'send_signal', 'id', s.job_id::text, 'name', s.name) when 'invoke' then jsonb_build_object('do', 'explain_job', 'id', s.child_id::text)
        else jsonb_build_object('do', 'retry_job', 'id', s.job_id::text) end
    ) a (action)
    left join lateral (select j.task, j.state from legwork_private.all_jobs j where j.id = s.child_id) c on s.kind = 'invoke'
    where s.job_id = explain_waits.job_id and s.state = 'waiting' and s.wake_at = explain_waits.run_at and s.wake_at > clock_timestamp()
      -- The wait for this step may be over while other steps of its group still wait.
      and (s.kind <> 'invoke' or not exists (select from legwork_private.child_ends e where e.child_id = s.child_id))
      and (s.kind <> 'wait' or not exists (select from legwork_private.job_signals g where g.job_id = s.job_id and g.name = s.name))
    order by s.kind desc, s.deadline, s.name;
end $$;
comment on function legwork_private.explain_waits(bigint, timestamptz) is 'The signals, sleeps and invoked jobs that a job with this run_at is waiting for.';

create or replace function legwork_private.explain_replaced(job legwork_private.graphile_jobs) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_others bigint[];
begin
  -- Reusing a running job's key, or calling remove_job for it, removes its key and all its further attempts (see legwork_private.true_attempt).
  if job.id is null or job.key is not null or job.attempts < job.max_attempts or job.updated_at <= job.locked_at or job.locked_at is null and not exists (
    select from legwork_private.failed_attempts f where f.job_id = job.id and f.started_at < job.updated_at and f.failed_at > job.updated_at)
  then
    return;
  end if;
  -- The replacing job was enqueued by the same transaction. Nothing else links the two.
  select array_agg(o.id order by o.id) into v_others from (
    select j.id from legwork_private.ids_created(job.updated_at, job.updated_at + interval '1 microsecond') i, legwork_private.all_jobs j
    where j.id > greatest(job.id, i.above) and j.id <= coalesce(i.up_to, 9223372036854775807) and j.created_at = job.updated_at and j.job_key is not null
      and (legwork_private.confined_tenant() is null or j.tenant = legwork_private.confined_tenant())
    order by j.id limit 2
  ) o;
  reason := 'replaced';
  detail := format('It was replaced or removed at %s while it was running, so it will not be retried.%s', to_char(job.updated_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
    case cardinality(v_others) when 1 then format(' Job %s was enqueued in its place.', v_others[1])
      when 2 then ' A job with its key was enqueued in its place.' else '' end);
  actions := '[]';
  fix := 'Nothing to do.';
  if cardinality(v_others) = 1 then
    actions := jsonb_build_array(jsonb_build_object('do', 'explain_job', 'id', v_others[1]::text));
    fix := legwork_private.suggest('see that job', actions -> 0);
  end if;
  return next;
end $$;
comment on function legwork_private.explain_replaced(legwork_private.graphile_jobs) is
  'The reason that explain_job returns for a job whose key was reused while it was running: it will not be retried, and which job was enqueued in its place.';

create or replace function legwork_private.explain_replacing(job legwork_private.graphile_jobs) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  -- graphile-worker counts a revision when a request with the same key replaces a waiting job. It also counts retries and reschedules.
  if job.key is null or job.revision = 0 or job.attempts > 0 or job.updated_at <= job.created_at or exists (select from legwork_private.failed_attempts f where f.job_id = job.id) then
    return;
  end if;
  reason := 'replacing';
  detail := format('Since it was enqueued at %s, it was replaced by a later request with the same job key (''%s''), or rescheduled, most recently at %s. A replaced job has the payload and options '
    'of the last request.', to_char(job.created_at, 'YYYY-MM-DD HH24:MI:SS TZ'), legwork.given_key(job.key), to_char(job.updated_at, 'YYYY-MM-DD HH24:MI:SS TZ'));
  fix := 'Nothing to do. To run both requests, enqueue them with different job keys.';
  actions := '[]';
  return next;
end $$;
comment on function legwork_private.explain_replacing(legwork_private.graphile_jobs) is
  'The reason that explain_job adds for a waiting job whose payload may come from a later request with the same job key; no row for other jobs.';
