-- Why a queue is stuck or falls behind.
create or replace function legwork_private.queue_probe(queue text) returns table (task text, task_id integer, jobs bigint, oldest timestamptz)
language plpgsql stable set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  v_tenant text := legwork_private.confined_tenant();
begin
  -- Reads a thousand waiting jobs of each of two hundred tasks, through the index on tasks. Jobs in the waiting room are not available.
  return query
    select t.identifier, t.id, x.jobs, x.oldest
    from (select k.task_id, k.task from legwork_private.task_limits k where k.queue = queue_probe.queue order by k.task limit 200) q
    join legwork_private.graphile_tasks t on t.id = q.task_id
    cross join lateral (
      select count(*) as jobs, min(j.run_at) as oldest
      from (
        select y.run_at from (
          (select o.run_at from legwork_private.graphile_jobs o where v_tenant is null and o.is_available and o.task_id = t.id order by o.id limit 1000)
          union all
          (select o.run_at from legwork_private.graphile_jobs o
           where v_tenant is not null and o.is_available and o.flags is not null and legwork_private.flag_value(o.flags, 'tenant') = v_tenant and o.task_id = t.id order by o.id limit 1000)
        ) y
      ) j
      where j.run_at <= clock_timestamp()
    ) x
    where x.jobs > 0;
end $$;
comment on function legwork_private.queue_probe(text) is
  'The tasks of a queue with jobs that are ready to run: how many of the first thousand waiting jobs of each, and how long the oldest has waited. In a session that is confined to a tenant, only that tenant''s jobs.';

create or replace function legwork_private.explain_full_limits(queue text) returns table (reason text, detail text, fix text, actions jsonb)
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select
    case l.kind when 'rate' then 'rate_limit' else 'concurrency_limit' end,
    format('The %s limit of %s ''%s''%s is %s, and %s. %s in line.%s',
      l.kind, l.scope, l.name,
      case when u.key is not null then format(' for %s = %s', u.key, coalesce(nullif(u.value, ''), 'nothing')) else '' end,
      l.max_count || case when l.kind = 'rate' then ' per ' || legwork_private.period_in_words(l.per) else '' end,
      case when l.kind = 'rate' then 'it is used up'
        else 'all slots are taken' || coalesce(' by ' || case when cardinality(h.jobs) = 1 then 'job ' else 'jobs ' end || array_to_string(h.jobs[:5], ', ')
          || case when cardinality(h.jobs) > 5 then ' and more' else '' end, '') end,
      legwork_private.counted(u.waiting, case when u.is_partial then 'or more job waits' else 'job waits' end, case when u.is_partial then 'or more jobs wait' else 'jobs wait' end),
      case when u.frees_at > clock_timestamp() then format(' The next one can start at %s.', legwork_private.time_ahead(u.frees_at)) else '' end
        || case when u.key_values > 1 then format(' %s of %s in use.', legwork_private.counted(u.key_values, 'value'), u.key) else '' end),
    'wait, or ' || legwork_private.suggest('raise the limit', a.action), jsonb_build_array(a.action)
  from (
    select x.* from legwork_private.limits x
    where x.max_count is not null and (x.scope = 'queue' and x.name = explain_full_limits.queue
      or x.scope = 'task' and x.name in (select k.task from legwork_private.task_limits k where k.queue = explain_full_limits.queue))
    order by x.scope, x.name, x.id limit 20
  ) l
  cross join lateral legwork.limit_use(l.scope, l.name, 3) u
  cross join lateral (
    -- A session that is confined to a tenant sees the number of jobs, but not their ids.
    select array(
      select s.job_id from legwork_private.slots s
      where legwork_private.confined_tenant() is null and l.kind = 'concurrency' and s.gate >= l.id || ':' and s.gate < l.id || ';'
        and (u.value is null or u.value = '[redacted]' or legwork_private.gate_key(s.gate) = u.value)
      order by s.job_id limit 6) as jobs
  ) g
  cross join lateral (select nullif(g.jobs, '{}') as jobs) h
  cross join lateral (
    select jsonb_strip_nulls(jsonb_build_object('do', 'limit_' || l.kind, 'scope', l.scope, 'name', l.name, 'max', least(2 * l.max_count::bigint, 2147483647),
      'per', legwork_private.short_duration(l.per), 'key', nullif(array_to_string(l.key, '.'), ''))) as action
  ) a
  where u.kind = l.kind and u.key is not distinct from nullif(array_to_string(l.key, '.'), '') and u.waiting > 0
    -- A tenant sees only its own slots of a limit that it shares with others.
    and (u.in_use >= l.max_count or legwork_private.confined_tenant() is not null)
  order by u.waiting desc, l.id limit 5
$$;
comment on function legwork_private.explain_full_limits(text) is 'The limits of a queue and of its tasks that are full and that jobs wait for, the longest line first, at most five, with the jobs that have taken their slots.';

create or replace function legwork_private.explain_backlog(queue text, probed bigint, oldest timestamptz) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_tasks text[] := array(select k.task from legwork_private.task_limits k where k.queue = explain_backlog.queue);
  v_able record;
  v_ended bigint;
  v_counts record;
  v_age interval := date_trunc('second', legwork_private.elapsed(explain_backlog.oldest, clock_timestamp()));
begin
  actions := '[]';
  select q.running, q.pending, q.blocked, q.paused, q.later, q.counted_at into v_counts from legwork.queues q where q.name = explain_backlog.queue;
  select count(*) as workers, coalesce(sum(w.concurrency), 0) as slots, coalesce(sum(least(w.concurrency, cardinality(w.running))), 0) as running into v_able
  from legwork_private.worker_processes w where w.tasks && v_tasks and w.seen_at > clock_timestamp() - legwork_private.worker_grace();
  if legwork_private.confined_tenant() is null then
    v_ended := (select coalesce(sum(m.completed + m.failed + m.cancelled + m.expired), 0) from legwork_private.task_minutes m
      where m.minute >= date_trunc('minute', clock_timestamp()) - interval '5 minutes' and m.task = any (v_tasks));
  end if;
  if probed > 0 and v_able.workers > 0 and v_able.running >= v_able.slots then
    reason := 'workers_busy';
    detail := format('%s at %s: %s of %s.', case v_able.workers when 1 then 'The only worker that has its tasks is' else format('All %s that have its tasks are', legwork_private.counted(v_able.workers, 'worker')) end,
      case v_able.workers when 1 then 'its concurrency limit' else 'their concurrency limits' end, v_able.running, legwork_private.counted(v_able.slots, 'slot') || ' in use');
    fix := 'Start more workers or raise LEGWORK_CONCURRENCY, and see which task is slow: legwork stats';
    return next;
  end if;
  reason := case when probed = 0 then 'queue_idle' when v_age > interval '1 minute' then 'queue_behind' else 'queue_moving' end;
  detail := concat_ws(' ',
    case when probed = 0 then 'No job of this queue is ready to run.'
      else format('%s ready to run; the oldest has waited for %s.', legwork_private.counted(greatest(v_counts.pending, probed), 'job is', 'jobs are'), legwork_private.in_words(v_age)) end,
    case when v_counts.running > 0 then format('%s running.', legwork_private.counted(v_counts.running, 'job is', 'jobs are')) end,
    case when v_counts.blocked > 0 then format('%s for a limit, another job or a signal.', legwork_private.counted(v_counts.blocked, 'job waits', 'jobs wait')) end,
    case when v_counts.paused > 0 then format('%s paused.', legwork_private.counted(v_counts.paused, 'job is', 'jobs are')) end,
    case when v_counts.later > 0 then format('%s due later.', legwork_private.counted(v_counts.later, 'job is', 'jobs are')) end,
    case when v_ended > 0 then format('In the last five minutes, %s per minute ended%s.', case when v_ended < 5 then 'fewer than one job' else legwork_private.counted(round(v_ended / 5.0)::bigint, 'job') end,
        case when probed > 0 and greatest(v_counts.pending, probed) > v_ended then format('; at that rate, the jobs that are ready take another %s',
          legwork_private.in_words(date_trunc('minute', greatest(v_counts.pending, probed) * interval '5 minutes' / v_ended))) end)
      when probed > 0 and v_ended = 0 then 'No job has ended in the last five minutes.' end);
  fix := case when probed = 0 and v_counts.paused > 0 then 'The paused jobs start when the pause ends' when probed = 0 then 'Nothing to do' when v_age > interval '1 minute' then 'If nothing above holds it back: start more workers, raise LEGWORK_CONCURRENCY, or see which task is slow: legwork stats'
    else 'Nothing to do: workers take jobs as soon as they have a free slot' end;
  return next;
end $$;
comment on function legwork_private.explain_backlog(text, bigint, timestamptz) is
  'The reasons that explain_queue returns for the number of its waiting jobs: workers_busy if the workers are full, and how many jobs are waiting, for how long, and how many end per minute. probed, oldest: from queue_probe.';

create or replace function legwork.explain_queue(name text)
returns table ("position" integer, reason text, detail text, fix text, actions jsonb)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  v_probed bigint;
  v_oldest timestamptz;
begin
  perform legwork_private.assert_role('viewer');
  perform legwork_private.assert_target('queue', name);
  select coalesce(sum(p.jobs), 0), min(p.oldest) into v_probed, v_oldest from legwork_private.queue_probe(explain_queue.name) p;
  return query
    select (row_number() over (order by x.part, x.n))::integer, x.reason, x.detail, legwork_private.as_fix(x.fix), legwork_private.open_actions(x.actions)
    from (
      select 1 as part, p.* from legwork_private.explain_pauses(explain_queue.name, null) with ordinality as p (reason, detail, fix, actions, n)
      union all
      select 2, p.* from (
        select s.name from legwork_private.pauses s
        where s.scope = 'task' and s.name in (select k.task from legwork_private.task_limits k where k.queue = explain_queue.name) order by s.name limit 5
      ) t
      cross join lateral legwork_private.explain_pauses(null, t.name) with ordinality as p (reason, detail, fix, actions, n)
      where p.reason = 'task_paused'
      union all
      select 3, l.* from legwork_private.explain_full_limits(explain_queue.name) with ordinality as l (reason, detail, fix, actions, n)
      union all
      select 4, 'no_worker',
        format('%s of task ''%s'' %s %s: %s.%s', legwork_private.counted(p.jobs, case p.jobs when 1000 then 'or more job' else 'job' end), p.task,
          case p.jobs when 1 then 'has been waiting for' else 'are waiting, the oldest for' end,
          legwork_private.in_words(date_trunc('second', legwork_private.elapsed(p.oldest, clock_timestamp()))), legwork_private.missing_worker(p.task),
          ' No Legwork worker has ever had it. Did you mean ''' || n.intended || '''?'),
        case when n.intended is not null then 'If so, cancel those jobs and enqueue them again for the right task. Otherwise start a worker that has this task: legwork worker --tasks DIR'
          else 'Start a worker that has it: legwork worker --tasks DIR. A plain graphile-worker process with the task would run it too, but is not visible here' end, '[]', row_number() over (order by p.oldest)
      from (select * from legwork_private.queue_probe(explain_queue.name) q where legwork_private.missing_worker(q.task) is not null order by q.oldest limit 5) p
      cross join lateral (select legwork_private.intended_task(p.task) as intended) n
      union all
      select 5, b.* from legwork_private.explain_backlog(explain_queue.name, v_probed, v_oldest) with ordinality as b (reason, detail, fix, actions, n)
    ) x;
end $$;
comment on function legwork.explain_queue(text) is
  'Explains why a queue is stuck or falls behind, in the columns of explain_job. reason is one of everything_stopped, queue_paused, task_paused, concurrency_limit and rate_limit (full, with jobs in line), '
  'no_worker (for a task with waiting jobs), workers_busy, and finally queue_behind (the oldest job that is ready has waited for more than a minute), queue_moving or queue_idle. Looks at the first thousand waiting jobs '
  'of each task. For a session confined to a tenant, it counts only that tenant''s jobs. Raises LW404 for an unknown queue.';
revoke execute on function legwork.explain_queue(text) from public;
