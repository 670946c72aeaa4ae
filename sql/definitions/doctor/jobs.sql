-- The doctor: what a person on call looks at first, each finding with its fix.
--
-- One function per theme; legwork.doctor() runs them one by one, so that what one role may not see, or a lock somebody holds, costs one
-- theme and not the answer. Everything comes from statistics, the catalog and probes of a bounded number of rows, so it answers as fast
-- with ten million jobs as with ten. Thresholds are parameters with defaults, so that another limit can be asked for.
-- Locks: none while migrating.
create or replace function legwork.doctor_waiting(patience interval default '5 minutes')
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql volatile
-- In the order of the index, whatever the statistics say: sorting a million jobs to look at a few takes ten times as long.
set enable_seqscan = off set jit = off set enable_bitmapscan = off set enable_sort = off as $$
  with recursive priorities as (
    -- From one priority to the next through the index, over whatever number of jobs lies between.
    (select j.priority, 1 as nth from legwork_private.graphile_jobs j where j.is_available order by j.priority limit 1)
    union all
    select n.priority, p.nth + 1
    from priorities p
    cross join lateral (
      select j.priority from legwork_private.graphile_jobs j where j.is_available and j.priority > p.priority order by j.priority limit 1
    ) n
    where p.nth < 20
  ), due as materialized (
    -- The jobs of each priority that have been due for longest: what nobody fetches gathers there, so a bounded look finds it.
    select t.identifier as task, count(*) as jobs, min(d.run_at) as oldest, bool_or(d.nth >= 5000) as more
    from priorities p
    cross join lateral (
      select j.task_id, j.run_at, row_number() over (order by j.run_at) as nth from legwork_private.graphile_jobs j
      where j.is_available and j.priority = p.priority and j.run_at <= now() order by j.run_at limit 5000
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
    select coalesce(sum(d.jobs), 0) as jobs, min(d.oldest) as oldest, case when bool_or(d.more) then ' or more' else '' end as more from due d
  ), unserved as materialized (
    -- A minute, because a worker that is being replaced is back by then; ten are no deployment any more.
    select d.* from due d, counts c
    where c.workers > 0 and d.oldest < now() - interval '1 minute' and not exists (select from known k where k.task = d.task)
  ), late as materialized (
    select coalesce(sum(d.jobs), 0) as jobs, min(d.oldest) as oldest from due d where not exists (select from unserved u where u.task = d.task)
  )
  select 'workers',
    case when c.workers > 0 then 'ok' when t.oldest < now() - interval '1 minute' then 'critical' else 'warning' end,
    case
      when c.workers > 0 then format('%s Legwork worker(s) live and run %s job(s).', c.workers, c.running)
      when t.jobs = 0 then 'No Legwork worker lives. No job waits.'
      else format('No Legwork worker lives while %s job(s)%s wait, the first for %s.', t.jobs, t.more, legwork_private.in_words(date_trunc('second', legwork_private.elapsed(t.oldest, now()))))
    end,
    'Start one: legwork worker. If plain graphile-worker processes run your jobs, look at them: they do not report here.',
    jsonb_build_object('workers', c.workers, 'running', c.running, 'due', t.jobs, 'oldest', t.oldest)
  from counts c, totals t
  union all
  select 'workers', 'warning',
    format('Worker %s (%s, pid %s) has been silent for %s.', w.id, w.host, w.pid, legwork_private.in_words(date_trunc('second', clock_timestamp() - w.seen_at))),
    'Look at its process and log. The other workers give its jobs to the living within seconds; without another worker, start one.',
    jsonb_build_object('worker', w.id, 'host', w.host, 'pid', w.pid, 'seen_at', w.seen_at, 'running', w.running)
  from legwork_private.worker_processes w
  where not exists (select from alive a where a.id = w.id)
  union all
  (select 'tasks', case when u.oldest < now() - interval '10 minutes' then 'critical' else 'warning' end,
    format('%s job(s)%s wait for task ''%s'', the first for %s, and no live Legwork worker has it.', u.jobs,
      case when u.more then ' or more' else '' end, u.task, legwork_private.in_words(date_trunc('second', legwork_private.elapsed(u.oldest, now())))),
    coalesce('Did a worker miss a file, or was it meant to be ''' || legwork_private.nearest_name(u.task, array(select k.task from known k)) || '''? ', '')
      || 'Start a worker that has the task, or remove the jobs. Plain graphile-worker processes do not tell what they have and are not counted.',
    jsonb_build_object('task', u.task, 'jobs', u.jobs, 'oldest', u.oldest)
  from unserved u order by u.oldest limit 20)
  union all
  select 'tasks', 'ok',
    case c.workers when 0 then 'No Legwork worker lives to say which tasks it has.'
      else 'A live Legwork worker has every task that jobs have been waiting for.' end, null, null
  from counts c where not exists (select from unserved)
  union all
  -- A job that may start is fetched within seconds: minutes mean too few workers. Long waits can be wanted (a small priority), so
  -- they are critical only when the workers are idle all the same.
  select 'waiting',
    case when l.oldest is null or l.oldest >= now() - patience then 'ok' when c.workers > 0 and c.running = 0 then 'critical' else 'warning' end,
    case when l.oldest is null then 'No job waits that could run.'
      else format('%s job(s)%s wait, the first for %s%s.', l.jobs, t.more, legwork_private.in_words(date_trunc('second', legwork_private.elapsed(l.oldest, now()))),
        case when c.workers > 0 and c.running = 0 then ', and the workers run nothing' else '' end)
    end,
    case when c.workers > 0 and c.running = 0
      then 'Look at the workers'' logs, and at serial keys that are held (check abandoned); legwork jobs --state pending lists the jobs.'
      else 'Start more workers or raise their concurrency (LEGWORK_CONCURRENCY), and see which task is slow: legwork jobs --state running.' end,
    jsonb_build_object('jobs', l.jobs, 'oldest', l.oldest, 'tasks', (
      select jsonb_object_agg(x.task, x.jobs) from (select d.task, d.jobs from due d order by d.jobs desc, d.task limit 10) x))
  from late l, counts c, totals t
$$;
comment on function legwork.doctor_waiting(interval) is
  'Of legwork.doctor: whether workers live, whether they have the tasks that jobs wait for, and whether jobs wait longer than patience (5 minutes). '
  'Looks at the 5,000 jobs that have been due for longest in each of the first 20 priorities.';

-- An hour: graphile-worker frees a dead worker's jobs after four, and by then somebody has asked already.
create or replace function legwork.doctor_jobs(held_for interval default '1 hour', failures integer default 100)
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql volatile
set enable_seqscan = off set jit = off set enable_bitmapscan = off set enable_sort = off as $$
  with held as materialized (
    -- What has been held for long is old, so it is among the smallest ids; a serial key is released when its job is.
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
    format('%s job(s) and %s serial key(s) have been held for %s by %s, which is no living Legwork worker.', h.jobs, h.serial_keys,
      legwork_private.in_words(date_trunc('second', now() - h.since)), h.locked_by),
    format('If that worker is dead: select graphile_worker.force_unlock_workers(array[%L]). If it is a plain graphile-worker with a long job, let it be. '
      'graphile-worker takes them back after 4 hours.', h.locked_by),
    jsonb_build_object('worker', h.locked_by, 'jobs', h.jobs, 'serial_keys', h.serial_keys, 'since', h.since)
  from held h order by h.since limit 20)
  union all
  select 'abandoned', 'ok', format('No job has been held for %s by a worker that Legwork does not know.', legwork_private.in_words(held_for)), null, null
  where not exists (select from held)
  union all
  select 'failed', case when count(*) >= failures then 'warning' else 'ok' end,
    case when count(*) >= failures
      then format('%s job(s) have failed for good within the hour, most of them of task ''%s'': %s', count(*), (select w.task from worst w limit 1),
        coalesce(left((select w.error from worst w limit 1), 200), 'no error was given'))
      else format('%s job(s) have failed for good within the hour.', count(*)) end,
    'legwork jobs --state failed lists them, legwork job <id> shows the error. Once it is mended, retry them.',
    jsonb_build_object('jobs', count(*), 'tasks', (select jsonb_object_agg(w.task, w.jobs) from worst w))
  from failed
$$;
comment on function legwork.doctor_jobs(interval, integer) is
  'Of legwork.doctor: jobs and serial keys that an unknown worker has held for longer than held_for (1 hour), and whether failures or more (100) jobs '
  'have failed for good within the hour. Looks at the 20,000 oldest jobs and keys and the 10,000 newest failures.';

create or replace function legwork.doctor_rules(paused_for interval default '1 hour', stuck_for interval default '1 minute')
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql stable
as $$
  with overdue as materialized (
    -- Nobody has let them go, although somebody should every second.
    select count(*) as jobs, min(x.run_at) as oldest
    from (
      select w.run_at from legwork_private.waiting_jobs w
      where w.held = 'run_at' and w.run_at < clock_timestamp() - stuck_for order by w.run_at limit 10000
    ) x
  ), ringing as materialized (
    select count(*) as gates from legwork_private.gate_alarms a where a.ring_at < clock_timestamp() - stuck_for
  )
  select 'pauses', case when p.scope = 'all' then 'critical' when p.paused_at < now() - paused_for then 'warning' else 'ok' end,
    format('%s for %s by %s%s.',
      case p.scope when 'all' then 'Everything has been stopped' when 'queue' then format('Queue %L has been paused', p.name)
        else format('Task %L has been paused', p.name) end,
      legwork_private.in_words(date_trunc('second', clock_timestamp() - p.paused_at)), p.paused_by, coalesce(': ' || p.reason, ', no reason was given')),
    format('When the reason is gone: select legwork.%s;', case p.scope when 'all' then 'resume_all()'
      when 'queue' then format('resume_queue(%L)', p.name) else format('resume_task(%L)', p.name) end),
    to_jsonb(p)
  from legwork_private.pauses p
  union all
  select 'pauses', 'ok', 'Nothing is paused.', null, null where not exists (select from legwork_private.pauses)
  union all
  select 'waiting_room', case when o.jobs + r.gates > 0 then 'critical' else 'ok' end,
    case when o.jobs + r.gates > 0 then
      format('%s job(s) in the waiting room and %s rate limit(s) are overdue%s.', o.jobs, r.gates,
        coalesce(', the first for ' || legwork_private.in_words(date_trunc('second', legwork_private.elapsed(o.oldest, clock_timestamp()))), ''))
      else 'The waiting room is looked after.' end,
    'Keep a Legwork worker running, which looks every second; or call it yourself: select legwork.tick();',
    jsonb_build_object('jobs', o.jobs, 'gates', r.gates, 'oldest', o.oldest)
  from overdue o, ringing r
$$;
comment on function legwork.doctor_rules(interval, interval) is
  'Findings of legwork.doctor() about pauses and the waiting room. A pause of more than paused_for is a warning; what should have been let go for stuck_for is critical.';

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
    case when l.schedules > 0 then format('%s schedule(s) are late, the first by %s.', l.schedules, legwork_private.in_words(date_trunc('second', legwork_private.elapsed(l.oldest, clock_timestamp()))))
      when u.schedules > 0 then format('The next times of %s schedule(s) have not been computed, ''%s'' among them.', u.schedules, u.first)
      else 'No schedule is late.' end,
    'Keep a Legwork worker running: it plans and fires them. Without one nothing fires; what is missed meanwhile is accounted for afterwards.',
    jsonb_build_object('late', l.schedules, 'oldest', l.oldest, 'unplanned', u.schedules)
  from late l, unplanned u
  union all
  select 'schedules', 'critical',
    case when p.failed_at is null then format('The times of schedule ''%s'' cannot be computed: %s', p.name, p.problem)
      else format('The schedule ''%s'' enqueues nothing. %s', p.name, p.problem) end,
    'Make it anew with other values: select legwork.schedule(…). Or remove it: select legwork.unschedule(' || quote_literal(p.name) || ').',
    jsonb_build_object('schedule', p.name)
  from problems p
$$;
comment on function legwork.doctor_schedules(interval) is 'Of legwork.doctor: schedules that are late by late_for (a minute), those whose times have not been computed, and those that have a problem.';

create or replace function legwork.doctor_worker_faults(period interval default '15 minutes')
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql volatile as $$
  with recent as materialized (
    select f.kind, f.host, f.pid, count(*) as times, max(f.at) as last_at, (array_agg(f.reason order by f.id desc))[1] as reason,
      (array_agg(f.job_id order by f.id desc) filter (where f.job_id is not null))[1] as job_id
    from legwork_private.worker_faults f
    -- What is noted once a minute has passed after two.
    where f.kind <> 'pooler' and f.at > clock_timestamp() - case f.kind when 'recording' then interval '2 minutes' else period end
    group by f.kind, f.host, f.pid
  )
  (select case r.kind when 'restart' then 'restarts' else 'recording' end,
    case when r.kind = 'recording' or r.times >= 3 then 'critical' else 'warning' end,
    case r.kind
      when 'restart' then format('The worker on %s (pid %s) has restarted %s in %s: %s', r.host, r.pid,
        case r.times when 1 then 'once' when 2 then 'twice' else r.times || ' times' end, legwork_private.in_words(period), r.reason)
      else format('The worker on %s (pid %s) cannot record how jobs end: %s', r.host, r.pid, r.reason)
    end,
    case
      when r.job_id is not null then format('Look at job %s, which seems to be the cause: legwork job %s. To end it: legwork cancel %s.', r.job_id, r.job_id, r.job_id)
      when r.kind = 'recording' then 'Correct what the database refuses (the server''s log has the statement). No job is lost: the worker keeps trying and then goes on by itself.'
      else 'Look at the worker''s log and at the server''s.'
    end,
    jsonb_build_object('host', r.host, 'pid', r.pid, 'times', r.times, 'last_at', r.last_at, 'job_id', r.job_id)
  from recent r order by r.times desc limit 20)
  union all
  (select 'pooler',
    case when exists (select from legwork_private.worker_processes w where w.suspected_at is null and w.seen_at > clock_timestamp() - legwork_private.worker_grace())
      then 'warning' else 'critical' end,
    format('The worker on %s (pid %s) did not start, at %s: %s', f.host, f.pid, to_char(f.at, 'YYYY-MM-DD HH24:MI:SS TZ'), f.reason),
    'Give that worker a DATABASE_URL that leads to Postgres itself, or to a pool in session mode with enough connections (docs/guides/poolers.md).',
    jsonb_build_object('host', f.host, 'pid', f.pid, 'at', f.at)
  from legwork_private.refused_workers(period) f order by f.at desc limit 20)
  union all
  select 'pooler', 'ok', 'No worker reports a connection pooler that keeps it from starting.', null, null
  where not exists (select from legwork_private.refused_workers(period))
  union all
  select 'restarts', 'ok', format('No worker has restarted within %s.', legwork_private.in_words(period)), null, null
  where not exists (select from recent r where r.kind = 'restart')
  union all
  select 'recording', 'ok', 'No worker reports that it cannot record how jobs end.', null, null
  where not exists (select from recent r where r.kind = 'recording')
$$;
comment on function legwork.doctor_worker_faults(interval) is
  'Of legwork.doctor: workers that have restarted within the period (15 minutes), from three times on critical, workers that cannot record how jobs end, and those that a connection pooler '
  'keeps from starting.';

create or replace function legwork.doctor_set_aside()
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql volatile as $$
  (select 'set_aside', 'critical',
    format('%s could not be done and was set aside: %s.', case a.what
      when 'job' then format('Letting job %s go after its dependencies', a.item)
      when 'workflow' then format('Ending workflow or batch %s', a.item)
      when 'signal' then format('Delivering the signals of job %s', a.item)
      when 'deadline' then format('Ending workflow %s at its deadline', a.item)
      when 'expiry' then format('Ending job %s, which has expired', a.item)
      when 'gate' then format('Letting jobs pass gate %s', a.item)
      when 'line' then format('Letting jobs of line %s go', a.item)
      else format('The part %s of the tick', a.item) end, left(a.error, 500)),
    format('Everything else goes on. Mend what the error names, such as a trigger on %s, and then: select legwork.take_up(); or wait some minutes.', legwork_private.jobs_table()),
    to_jsonb(a)
  from legwork_private.set_aside a order by a.set_aside_at limit 20)
  union all
  select 'set_aside', 'ok', 'Nothing had to be set aside.', null, null where not exists (select from legwork_private.set_aside)
$$;
comment on function legwork.doctor_set_aside() is 'Of legwork.doctor: what ticks could not do because of a row.';
