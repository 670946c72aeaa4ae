-- The doctor: the first place to look when on call. Each finding has a fix.
--
-- There is one function per theme, and legwork.doctor() runs them one by one: a missing privilege or a lock that another session holds
-- then affects only one theme, not the whole report. All findings come from statistics, the catalog and probes of a bounded number of rows, so the
-- doctor is as fast with ten million jobs as with ten. Thresholds are parameters with defaults, so that callers can use others.
-- Replacing these functions takes no locks.
create or replace function legwork.doctor_waiting(patience interval default '5 minutes')
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql volatile
-- Forces index order regardless of the statistics: sorting a million jobs to look at a few takes ten times as long.
set enable_seqscan = off set jit = off set enable_bitmapscan = off set enable_sort = off as $$
  with recursive priorities as (
    -- Steps from one priority to the next through the index, however many jobs are in between.
    (select j.priority, 1 as nth from legwork_private.graphile_jobs j where j.is_available order by j.priority limit 1)
    union all
    select n.priority, p.nth + 1
    from priorities p
    cross join lateral (
      select j.priority from legwork_private.graphile_jobs j where j.is_available and j.priority > p.priority order by j.priority limit 1
    ) n
    where p.nth < 20
  ), due as materialized (
    -- The jobs of each priority that have been due for longest: jobs that no worker fetches gather there, so a bounded probe finds them.
    -- If a probe returns as many jobs as it can, there may be more jobs of any of its tasks.
    select t.identifier as task, count(*) as jobs, min(d.run_at) as oldest, bool_or(d.probed = 5000) as more
    from priorities p
    cross join lateral (
      select x.task_id, x.run_at, count(*) over () as probed from (
        select j.task_id, j.run_at from legwork_private.graphile_jobs j
        where j.is_available and j.priority = p.priority and j.run_at <= now() order by j.run_at limit 5000) x
    ) d
    join legwork_private.graphile_tasks t on t.id = d.task_id
    group by t.identifier
  ), alive as materialized (
    select w.* from legwork_private.worker_processes w
    where w.suspected_at is null and w.seen_at > clock_timestamp() - legwork_private.worker_grace()
  ), known as materialized (
    select distinct unnest(a.tasks) as task from alive a
  ), counts as materialized (
    select count(*) as workers, coalesce(sum(cardinality(a.running)), 0) as running from alive a
  ), totals as materialized (
    select coalesce(sum(d.jobs), 0)::bigint as jobs, min(d.oldest) as oldest, case when bool_or(d.more) then 'or more job' else 'job' end as noun from due d
  ), unserved as materialized (
    select d.* from due d, counts c where c.workers > 0 and not exists (select from known k where k.task = d.task)
  ), late as materialized (
    select coalesce(sum(d.jobs), 0)::bigint as jobs, min(d.oldest) as oldest, case when bool_or(d.more) then 'or more job' else 'job' end as noun from due d where not exists (select from unserved u where u.task = d.task)
  )
  select 'workers',
    case when c.workers > 0 then 'ok' when t.oldest < now() - interval '1 minute' then 'critical' else 'warning' end,
    case
      when c.workers > 0 then format('%s %s running %s.', legwork_private.counted(c.workers, 'Legwork worker'), case c.workers when 1 then 'is' else 'are' end,
        case c.running when 0 then 'no jobs' else legwork_private.counted(c.running, 'job') end)
      when t.jobs = 0 then 'No Legwork worker is running. No job is waiting.'
      else format('No Legwork worker is running, and %s %s %s.', legwork_private.counted(t.jobs, t.noun), case t.jobs when 1 then 'has been waiting for' else 'are waiting, the oldest for' end,
        legwork_private.in_words(date_trunc('second', legwork_private.elapsed(t.oldest, now()))))
    end,
    'Start a worker: legwork worker. If plain graphile-worker processes run your jobs, check those processes, because Legwork does not monitor them.',
    jsonb_build_object('workers', c.workers, 'running', c.running, 'due', t.jobs, 'oldest', t.oldest)
  from counts c, totals t
  union all
  select 'workers', 'warning',
    format('Worker %s (%s, pid %s) has sent no heartbeat for %s.', w.id, w.host, w.pid, legwork_private.in_words(date_trunc('second', clock_timestamp() - w.seen_at))),
    'Check its process and its log. Other workers return its jobs to the queue within seconds. If no other worker is running, start one.',
    jsonb_build_object('worker', w.id, 'host', w.host, 'pid', w.pid, 'seen_at', w.seen_at, 'running', w.running)
  from legwork_private.worker_processes w
  where not exists (select from alive a where a.id = w.id)
  union all
  -- Ten minutes is longer than a deployment takes. A worker that is being replaced is back within a minute.
  (select 'tasks', case when u.oldest < now() - interval '10 minutes' then 'critical' else 'warning' end,
    format('%s for task ''%s'' %s %s, and no running Legwork worker %s.',
      legwork_private.counted(u.jobs, case when u.more then 'or more job' else 'job' end), u.task,
      case u.jobs when 1 then 'has been waiting for' else 'are waiting, the oldest for' end, legwork_private.in_words(date_trunc('second', legwork_private.elapsed(u.oldest, now()))),
      case when x.is_excluded then 'runs this task: the workers that have it were started without it (--only, --except)' else 'has this task' end),
    case when u.oldest > now() - interval '1 minute' then 'If a worker is just being replaced, wait a minute. ' else '' end
      || case when x.is_excluded then '' else coalesce('Does a worker lack a task file, or did you mean ''' || legwork_private.nearest_name(u.task, array(select k.task from known k)) || '''? ', '') end
      || 'Start a worker that runs the task, or cancel the jobs. Plain graphile-worker processes do not report their tasks and are not counted.',
    jsonb_build_object('task', u.task, 'jobs', u.jobs, 'oldest', u.oldest)
  from unserved u
  cross join lateral (select exists (select from alive a where u.task = any (a.excluded)) as is_excluded) x
  order by u.oldest limit 20)
  union all
  select 'tasks', 'ok',
    case c.workers when 0 then 'No Legwork worker is running, so no tasks are reported.'
      else 'Running Legwork workers have every task that jobs are waiting for.' end, null, null
  from counts c where not exists (select from unserved)
  union all
  -- A job that is ready to run is fetched within seconds, so minutes mean too few workers. Long waits can be intentional (a low priority), so
  -- they are critical only while the workers are idle.
  select 'waiting',
    case when l.oldest is null or l.oldest >= now() - patience then 'ok' when c.workers > 0 and c.running = 0 then 'critical' else 'warning' end,
    case when l.oldest is null then 'No job that a worker could run is waiting.'
      else format('%s %s %s%s.', legwork_private.counted(l.jobs, l.noun), case l.jobs when 1 then 'has been waiting for' else 'are waiting, the oldest for' end,
        legwork_private.in_words(date_trunc('second', legwork_private.elapsed(l.oldest, now()))),
        case when c.workers > 0 and c.running = 0 then ', and the workers are idle' else '' end)
    end,
    case when c.workers > 0 and c.running = 0
      then 'Check the workers'' logs, and serial keys that are held (see the ''abandoned'' check). legwork jobs --state pending lists the jobs.'
      else 'Start more workers or raise their concurrency (LEGWORK_CONCURRENCY), and see which task is slow: legwork jobs --state running.' end,
    jsonb_build_object('jobs', l.jobs, 'oldest', l.oldest, 'tasks', (
      select jsonb_object_agg(x.task, x.jobs) from (select d.task, d.jobs from due d order by d.jobs desc, d.task limit 10) x))
  from late l, counts c, totals t
$$;
comment on function legwork.doctor_waiting(interval) is
  'Findings of legwork.doctor about workers and waiting jobs: whether workers are running, whether they have the tasks that jobs wait for, and whether jobs wait longer than patience (5 minutes). '
  'Reads the 5,000 jobs that have been due for longest in each of the first 20 priorities.';

-- An hour, because graphile-worker releases a dead worker's jobs only after four hours, which is too late for users who wait.
create or replace function legwork.doctor_jobs(held_for interval default '1 hour', failures integer default 100)
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql volatile
set enable_seqscan = off set jit = off set enable_bitmapscan = off set enable_sort = off as $$
  with held as materialized (
    -- Jobs that have been held for a long time are old, so they have the smallest ids. A serial key is released with its job.
    select h.locked_by, count(*) filter (where h.is_job) as jobs, count(*) filter (where not h.is_job) as serial_keys, min(h.locked_at) as since
    from (
      (select true as is_job, j.locked_by, j.locked_at from legwork_private.graphile_jobs j order by j.id limit 20000)
      union all
      (select false, q.locked_by, q.locked_at from legwork_private.graphile_job_queues q order by q.id limit 20000)
    ) h
    where h.locked_at < now() - held_for and not exists (select from legwork_private.worker_processes w where w.id = h.locked_by)
    group by h.locked_by
  ), failed as materialized (
    select f.task, f.error from (
      select r.task, r.error, r.finished_at from legwork_private.finished_jobs r where r.state = 'failed' order by r.id desc limit 10000
    ) f
    where f.finished_at > now() - interval '1 hour'
  ), worst as materialized (
    select f.task, count(*) as jobs, max(f.error) as error from failed f group by f.task order by 2 desc, 1 limit 5
  )
  (select 'abandoned', 'warning',
    format('%s is not a running Legwork worker and has held %s and %s for %s.', h.locked_by, legwork_private.counted(h.jobs, 'job'),
      legwork_private.counted(h.serial_keys, 'serial key'), legwork_private.in_words(date_trunc('second', now() - h.since))),
    format('If that worker has died: select graphile_worker.force_unlock_workers(array[%L]). If it is a plain graphile-worker with a long job, leave it alone. '
      'graphile-worker releases the jobs after 4 hours.', h.locked_by),
    jsonb_build_object('worker', h.locked_by, 'jobs', h.jobs, 'serial_keys', h.serial_keys, 'since', h.since)
  from held h order by h.since limit 20)
  union all
  select 'abandoned', 'ok', format('No job has been held for %s by an unknown worker.', legwork_private.in_words(held_for)), null, null
  where not exists (select from held)
  union all
  select 'failed', case when count(*) >= failures then 'warning' else 'ok' end,
    case when count(*) >= failures
      then format('%s failed permanently within the last hour. The task with the most failures is ''%s'': %s', legwork_private.counted(count(*), 'job'), (select w.task from worst w limit 1),
        coalesce(left((select w.error from worst w limit 1), 200), 'no error was given'))
      else format('%s failed permanently within the last hour.', legwork_private.counted(count(*), 'job')) end,
    'legwork jobs --state failed lists them, and legwork job <id> shows the error. Retry the jobs once the cause is fixed.',
    jsonb_build_object('jobs', count(*), 'tasks', (select jsonb_object_agg(w.task, w.jobs) from worst w))
  from failed
$$;
comment on function legwork.doctor_jobs(interval, integer) is
  'Findings of legwork.doctor about jobs and serial keys that an unknown worker has held for longer than held_for (1 hour), and whether the number of jobs that failed permanently '
  'within the last hour has reached failures (100). Reads the 20,000 oldest jobs and keys and the 10,000 newest failures.';

create or replace function legwork.doctor_rules(paused_for interval default '1 hour', stuck_for interval default '1 minute')
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql stable
as $$
  with overdue as materialized (
    -- Jobs that no worker has admitted, although workers admit jobs every second.
    select count(*) as jobs, min(x.run_at) as oldest
    from (
      select w.run_at from legwork_private.waiting_jobs w
      where w.held = 'run_at' and w.run_at < clock_timestamp() - stuck_for order by w.run_at limit 10000
    ) x
  ), ringing as materialized (
    select count(*) as gates from legwork_private.gate_alarms a where a.ring_at < clock_timestamp() - stuck_for
  )
  select 'pauses', case when p.scope = 'all' then 'critical' when p.paused_at < now() - paused_for then 'warning' else 'ok' end,
    format('%1$s by %3$s %2$s ago%5$s%4$s',
      case p.scope when 'all' then 'Everything was stopped' when 'queue' then format('Queue %L was paused', p.name)
        else format('Task %L was paused', p.name) end,
      legwork_private.in_words(date_trunc('second', clock_timestamp() - p.paused_at)), p.paused_by, regexp_replace(coalesce(': ' || p.reason, '. No reason was given'), '([^.!?…])$', '\1.'),
      case when p.reason_at is null then '' else format(', and again by %s %s ago', p.reason_by, legwork_private.in_words(date_trunc('second', clock_timestamp() - p.reason_at))) end),
    format('Once the reason no longer applies: select legwork.%s;', case p.scope when 'all' then 'resume_all()'
      when 'queue' then format('resume_queue(%L)', p.name) else format('resume_task(%L)', p.name) end),
    to_jsonb(p)
  from legwork_private.pauses p
  union all
  select 'pauses', 'ok', 'Nothing is paused.', null, null where not exists (select from legwork_private.pauses)
  union all
  select 'waiting_room', case when o.jobs + r.gates > 0 then 'critical' else 'ok' end,
    case when o.jobs + r.gates > 0 then
      format('%s in the waiting room and %s are overdue%s.', legwork_private.counted(o.jobs, 'job'), legwork_private.counted(r.gates, 'rate limit'),
        coalesce(', the oldest job by ' || legwork_private.in_words(date_trunc('second', legwork_private.elapsed(o.oldest, clock_timestamp()))), ''))
      else 'Nothing in the waiting room is overdue.' end,
    'Keep a Legwork worker running: it admits jobs every second. To admit them now: select legwork.tick();',
    jsonb_build_object('jobs', o.jobs, 'gates', r.gates, 'oldest', o.oldest)
  from overdue o, ringing r
$$;
comment on function legwork.doctor_rules(interval, interval) is
  'Findings of legwork.doctor about pauses and the waiting room. A pause of more than paused_for (1 hour) is a warning. Jobs that are overdue by stuck_for (1 minute) are critical.';

create or replace function legwork.doctor_schedules(late_for interval default '1 minute')
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql stable
as $$
  with late as materialized (
    select count(*) as schedules, min(x.next_at) as oldest from (
      select d.next_at from legwork_private.schedule_definitions d where d.next_at < clock_timestamp() - late_for and d.problem is null order by d.next_at limit 10000) x
  ), unplanned as materialized (
    select count(*) as schedules, min(x.name) as first from (
      select d.name from legwork_private.schedule_definitions d
      where d.wants_plan and d.upcoming = '{}' and d.planned_to < clock_timestamp() - late_for and d.problem is null order by d.name limit 10000) x
  ), problems as materialized (
    select d.name, d.problem, d.failed_at from legwork_private.schedule_definitions d where d.is_enabled and d.problem is not null order by d.name limit 20
  )
  select 'schedules', case when l.schedules + u.schedules > 0 then 'critical' else 'ok' end,
    case when l.schedules > 0 then format('%s %s late by up to %s.', legwork_private.counted(l.schedules, 'schedule'), case l.schedules when 1 then 'is' else 'are' end,
      legwork_private.in_words(date_trunc('second', legwork_private.elapsed(l.oldest, clock_timestamp()))))
      when u.schedules > 0 then format('The next occurrences of %s have not been computed.', case u.schedules when 1 then format('schedule ''%s''', u.first)
        else format('%s, including ''%s'',', legwork_private.counted(u.schedules, 'schedule'), u.first) end)
      else 'No schedule is late.' end,
    'Keep a Legwork worker running: it plans and fires schedules. Without one, no schedule fires. Missed occurrences are handled once a worker is running again.',
    jsonb_build_object('late', l.schedules, 'oldest', l.oldest, 'unplanned', u.schedules)
  from late l, unplanned u
  union all
  select 'schedules', 'critical',
    case when p.failed_at is null then format('The occurrences of schedule ''%s'' cannot be computed: %s', p.name, p.problem)
      else format('Schedule ''%s'' is not enqueueing jobs. %s', p.name, p.problem) end,
    'Recreate it with different values: select legwork.schedule(…). Or remove it: select legwork.unschedule(' || quote_literal(p.name) || ').',
    jsonb_build_object('schedule', p.name)
  from problems p
$$;
comment on function legwork.doctor_schedules(interval) is 'Findings of legwork.doctor about schedules that are late by late_for (1 minute), whose occurrences have not been computed, or that have a problem.';

create or replace function legwork.doctor_worker_faults(period interval default '15 minutes')
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql volatile as $$
  with recent as materialized (
    select f.kind, f.host, f.pid, count(*) as times, max(f.at) as last_at, (array_agg(f.reason order by f.id desc))[1] as reason,
      (array_agg(f.job_id order by f.id desc) filter (where f.job_id is not null))[1] as job_id
    from legwork_private.worker_faults f
    -- A recording fault is noted once a minute for as long as it lasts, so one that was not noted for two minutes is over.
    where f.kind <> 'pooler' and f.at > clock_timestamp() - case f.kind when 'recording' then interval '2 minutes' else period end
    group by f.kind, f.host, f.pid
  )
  (select case r.kind when 'restart' then 'restarts' else 'recording' end,
    case when r.kind = 'recording' or r.times >= 3 then 'critical' else 'warning' end,
    case r.kind
      when 'restart' then format('The worker on %s (pid %s) has restarted %s in %s: %s', r.host, r.pid,
        case r.times when 1 then 'once' when 2 then 'twice' else legwork_private.counted(r.times, 'time') end, legwork_private.in_words(period), r.reason)
      else format('The worker on %s (pid %s) cannot record how jobs end: %s', r.host, r.pid, r.reason)
    end,
    case
      when r.job_id is not null then format('Job %s seems to be the cause. To see it: legwork job %s. To cancel it: legwork cancel %s.', r.job_id, r.job_id, r.job_id)
      when r.kind = 'recording' then 'Fix the cause of the error (the server''s log has the statement). No job is lost: the worker keeps trying and then continues automatically.'
      else 'Check the worker''s log and the server''s log.'
    end,
    jsonb_build_object('host', r.host, 'pid', r.pid, 'times', r.times, 'last_at', r.last_at, 'job_id', r.job_id)
  from recent r order by r.times desc limit 20)
  union all
  (select 'pooler',
    case when exists (select from legwork_private.worker_processes w where w.suspected_at is null and w.seen_at > clock_timestamp() - legwork_private.worker_grace())
      then 'warning' else 'critical' end,
    format('The worker on %s (pid %s) failed to start at %s: %s', f.host, f.pid, to_char(f.at, 'YYYY-MM-DD HH24:MI:SS TZ'), f.reason),
    'Give that worker a DATABASE_URL that points directly to Postgres, or to a pooler in session mode with enough connections (docs/guides/poolers.md).',
    jsonb_build_object('host', f.host, 'pid', f.pid, 'at', f.at)
  from legwork_private.refused_workers(period) f order by f.at desc limit 20)
  union all
  select 'pooler', 'ok', 'No worker reports that a connection pooler keeps it from starting.', null, null
  where not exists (select from legwork_private.refused_workers(period))
  union all
  select 'restarts', 'ok', format('No worker has restarted within the last %s.', legwork_private.in_words(period)), null, null
  where not exists (select from recent r where r.kind = 'restart')
  union all
  select 'recording', 'ok', 'No worker reports that it cannot record how jobs end.', null, null
  where not exists (select from recent r where r.kind = 'recording')
$$;
comment on function legwork.doctor_worker_faults(interval) is
  'Findings of legwork.doctor about workers that have restarted within the period (15 minutes; critical at three or more), that cannot record how jobs end, or that a connection pooler '
  'keeps from starting.';

create or replace function legwork.doctor_enqueue_on()
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql volatile as $$
  with disabled as materialized (
    select t.* from legwork.enqueue_triggers() t where not t.is_enabled
  )
  (select 'enqueue_on', 'warning',
    format('The trigger that enqueues ''%s'' on each %s in %s is disabled, so these changes enqueue no jobs.', d.task, d.event, d."table"),
    format('alter table %s enable trigger %I. If it is no longer needed: select legwork.stop_enqueue_on(%L, %L).', d."table", d.trigger_name, d."table", d.task), to_jsonb(d)
  from disabled d order by d."table", d.event, d.task limit 20)
  union all
  select 'enqueue_on', 'ok', format('%s of enqueue_on %s enabled.', case count(*) when 1 then 'The only trigger' else format('All %s', legwork_private.counted(count(*), 'trigger')) end,
    case count(*) when 1 then 'is' else 'are' end), null, null
  from legwork.enqueue_triggers() where not exists (select from disabled) having count(*) > 0
  union all
  select 'enqueue_on', 'ok', 'No table enqueues jobs with enqueue_on.', null, null where not exists (select from legwork.enqueue_triggers())
$$;
comment on function legwork.doctor_enqueue_on() is 'Findings of legwork.doctor about triggers of legwork.enqueue_on that are disabled.';

create or replace function legwork.doctor_set_aside()
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql volatile as $$
  (select 'set_aside', 'critical',
    format('%s, and was set aside: %s.', case a.what
      when 'job' then format('Job %s could not be released after its dependencies ended', a.item)
      when 'workflow' then format('Workflow or batch %s could not be ended', a.item)
      when 'signal' then format('Job %s could not receive its signals', a.item)
      when 'deadline' then format('Workflow %s could not be ended at its deadline', a.item)
      when 'expiry' then format('Job %s, which has expired, could not be ended', a.item)
      when 'gate' then format('Gate %s could not admit jobs', a.item)
      when 'line' then format('Line %s could not move', a.item)
      else format('Part %s of the tick could not be run', a.item) end, left(a.error, 500)),
    format('Everything else continues. Fix the cause that the error names, such as a trigger on %s. Legwork retries every few minutes. To retry now: select legwork.take_up();', legwork_private.jobs_table()),
    to_jsonb(a)
  from legwork_private.set_aside a order by a.set_aside_at limit 20)
  union all
  select 'set_aside', 'ok', 'Nothing has been set aside.', null, null where not exists (select from legwork_private.set_aside)
$$;
comment on function legwork.doctor_set_aside() is 'Findings of legwork.doctor about work that ticks have set aside because a row made it fail.';
