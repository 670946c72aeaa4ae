comment on table legwork_private.samples is 'Measurements that are only taken from time to time, because they are slow: queues, limits, the doctor''s findings, schedules.';
comment on column legwork_private.samples.name is 'The measurement''s name.';
comment on column legwork_private.samples.value is 'Its value.';
comment on column legwork_private.samples.sampled_at is 'When it was taken.';

create or replace function legwork_private.sample_queues() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  -- If there are at least this many live jobs, in total or of one tenant, legwork.queues shows the counts that are taken here.
  c_many constant integer := 2000;
  v_began timestamptz := clock_timestamp();
  v_counted jsonb;
begin
  select coalesce(jsonb_agg(to_jsonb(c)), '[]') into v_counted
  from (
    select l.tenant, l.task, l.queue, l.state, count(*) as jobs, min(l.due_at) as oldest
    from legwork_private.all_live_job_states l
    group by 1, 2, 3, 4
  ) c;

  insert into legwork_private.samples as s (name, value)
  select 'queues', coalesce(jsonb_agg(to_jsonb(q)), '[]')
  from (
    select c.queue, c.state, sum(c.jobs) as jobs, min(c.oldest) as oldest
    from jsonb_to_recordset(v_counted) as c (queue text, state text, jobs bigint, oldest timestamptz)
    where c.state <> 'failed'
    group by 1, 2
  ) q
  on conflict (name) do update set value = excluded.value, sampled_at = clock_timestamp();

  perform legwork_private.record_backlog(v_counted);

  delete from legwork_private.queue_counts;
  insert into legwork_private.queue_counts (tenant, queue, running, pending, blocked, paused, later, failed, oldest, counted_at, valid_until)
  select
    x.tenant, c.queue, coalesce(sum(c.jobs) filter (where c.state = 'running'), 0), coalesce(sum(c.jobs) filter (where c.state = 'pending'), 0),
    coalesce(sum(c.jobs) filter (where c.state = 'blocked'), 0), coalesce(sum(c.jobs) filter (where c.state = 'paused'), 0),
    coalesce(sum(c.jobs) filter (where c.state in ('scheduled', 'retrying')), 0), coalesce(sum(c.jobs) filter (where c.state = 'failed'), 0),
    min(c.oldest), v_began,
    -- Twice the time until the next run, which follows from the duty's share of time.
    clock_timestamp() + greatest(interval '30 seconds', (clock_timestamp() - v_began) * 100)
  from jsonb_to_recordset(v_counted) as c (tenant text, queue text, state text, jobs bigint, oldest timestamptz)
  cross join lateral (select '' as tenant union all select c.tenant where c.tenant is not null) x
  where x.tenant in (
    select y.tenant
    from jsonb_to_recordset(v_counted) as a (tenant text, jobs bigint)
    cross join lateral (select '' as tenant union all select a.tenant where a.tenant is not null) y
    group by 1
    having sum(a.jobs) > c_many)
  group by 1, 2;

  delete from legwork_private.live_job_counts;
  insert into legwork_private.live_job_counts (tenant, task, queue, state, jobs, valid_until)
  select x.tenant, c.task, min(c.queue), c.state, sum(c.jobs), min(k.valid_until)
  from jsonb_to_recordset(v_counted) as c (tenant text, task text, queue text, state text, jobs bigint)
  cross join lateral (select '' as tenant union all select c.tenant where c.tenant is not null) x
  join (select q.tenant, min(q.valid_until) as valid_until from legwork_private.queue_counts q group by 1) k on k.tenant = x.tenant
  -- Failed jobs are counted in the history.
  where c.state <> 'failed'
  group by 1, 2, 4;

  insert into legwork_private.samples as s (name, value)
  select 'limits', coalesce(jsonb_agg(to_jsonb(u)), '[]')
  from (
    select l.scope, l.name, l.kind, array_to_string(l.key, '.') as key, l.max_count as max, coalesce(sum(g.used), 0) as used, count(g.gate) as keys,
      count(g.gate) filter (where g.used >= l.max_count) as full
    from legwork_private.limits l
    left join (
      select x.gate, legwork_private.gate_limit(x.gate) as limit_id, count(*) as used
      from legwork_private.slots x where x.free_at is null or x.free_at > now() group by x.gate
    ) g on g.limit_id = l.id
    where l.max_count is not null
    group by l.id
  ) u
  on conflict (name) do update set value = excluded.value, sampled_at = clock_timestamp();
end $$;
comment on function legwork_private.sample_queues() is
  'Counts the live jobs by queue and state, and the use of limits, into legwork_private.samples. Its duration grows with the number of live jobs. A worker calls it every ten seconds, or less often if it takes long.';
revoke execute on function legwork_private.sample_queues() from public;

create or replace function legwork_private.sample_database() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  insert into legwork_private.samples as s (name, value)
  select 'database', coalesce(jsonb_agg(jsonb_build_object('check', d."check", 'severity', d.severity, 'finding', d.finding, 'fix', d.fix, 'detail', d.detail)), '[]')
  from legwork.doctor() d
  on conflict (name) do update set value = excluded.value, sampled_at = clock_timestamp();
$$;
comment on function legwork_private.sample_database() is 'Stores the findings of legwork.doctor() in legwork_private.samples. A worker calls it every minute.';
revoke execute on function legwork_private.sample_database() from public;

create or replace function legwork.task_statistics(
  period interval default '1 hour',
  out task text, out completed bigint, out failed bigint, out cancelled bigint, out expired bigint, out failed_attempts bigint, out retried bigint,
  out error_rate double precision, out wait_average double precision, out wait_p95 double precision, out run_average double precision,
  out run_p50 double precision, out run_p95 double precision, out run_p99 double precision
) returns setof record
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select legwork_private.assert_role('viewer', true);
  select s.task, s.completed, s.failed, s.cancelled, s.expired, s.failed_attempts, s.retried,
    s.failed_attempts / nullif(s.failed_attempts + s.completed, 0)::double precision,
    s.wait_seconds / nullif((select sum(n) from unnest(s.waits) n), 0), legwork_private.quantile(0.95, s.waits), s.run_seconds / nullif((select sum(n) from unnest(s.runs) n), 0),
    legwork_private.quantile(0.5, s.runs), legwork_private.quantile(0.95, s.runs), legwork_private.quantile(0.99, s.runs)
  from (
    select m.task, sum(m.completed)::bigint as completed, sum(m.failed)::bigint as failed, sum(m.cancelled)::bigint as cancelled, sum(m.expired)::bigint as expired,
      sum(m.failed_attempts)::bigint as failed_attempts, sum(m.retried)::bigint as retried, sum(m.wait_seconds) as wait_seconds, sum(m.run_seconds) as run_seconds,
      legwork_private.sum_counts(m.waits) as waits, legwork_private.sum_counts(m.runs) as runs
    from (
      select m.minute as at, m.* from legwork_private.task_minutes m where period <= interval '3 hours'
      union all
      select h.hour, h.* from legwork_private.task_hours h where period > interval '3 hours'
    ) m
    where m.at >= now() - period
    group by m.task
  ) s
  order by s.task
$$;
comment on function legwork.task_statistics(interval) is
  'Statistics for each task over the last period (1 hour): how jobs ended, the share of attempts that failed, and how long jobs were due before they started and attempts ran '
  '(seconds; quantiles are estimates). The period is rounded to whole minutes, or to whole hours if it is longer than three hours.';
revoke execute on function legwork.task_statistics(interval) from public;

create or replace function legwork_private.sample_schedules() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- How late the last occurrence of each schedule was.
  insert into legwork_private.samples as s (name, value)
  select 'schedules', coalesce(jsonb_agg(jsonb_build_object('schedule', d.name, 'seconds', round(greatest(0, extract(epoch from legwork_private.elapsed(r.due_at, r.recorded_at))), 3), 'due_at', r.due_at)), '[]')
  from legwork_private.schedule_definitions d
  cross join lateral (
    select x.due_at, x.recorded_at from legwork.schedule_runs x
    where x.schedule = d.name and x.state = 'enqueued' and x.due_at > now() - interval '7 days' and x.due_at <= now()
    order by x.due_at desc limit 1
  ) r
  on conflict (name) do update set value = excluded.value, sampled_at = clock_timestamp();
end $$;
comment on function legwork_private.sample_schedules() is 'Stores in legwork_private.samples how late schedules were.';
revoke execute on function legwork_private.sample_schedules() from public;

create or replace function legwork_private.read_metrics() returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
  select legwork_private.assert_role('viewer', true);
  select jsonb_build_object(
    'bounds', legwork_private.histogram_bounds(),
    -- Ordered by first appearance, so that the sum over the remaining tasks only grows.
    'tasks', coalesce((select jsonb_agg(to_jsonb(t) - array['first_seen', 'last_completed_at', 'last_failed_at', 'usual', 'usual_from', 'usual_run', 'usual_runs'] order by t.first_seen, t.task) from legwork_private.task_totals t), '[]'),
    'samples', coalesce((select jsonb_object_agg(s.name, s.value) from legwork_private.samples s where s.name <> 'database'), '{}'),
    'sampledAt', coalesce((select jsonb_object_agg(s.name, s.sampled_at) from legwork_private.samples s), '{}'),
    'now', clock_timestamp(),
    'findings', coalesce((select jsonb_object_agg(f.severity, f.number) from (
      select d ->> 'severity' as severity, count(*) as number from legwork_private.samples s, jsonb_array_elements(s.value) d where s.name = 'database' group by 1) f), '{}'),
    'connections', (select d -> 'detail' from legwork_private.samples s, jsonb_array_elements(s.value) d where s.name = 'database' and d ->> 'check' = 'connections' limit 1),
    'workers', coalesce((select jsonb_agg(jsonb_build_object('host', w.host, 'pid', w.pid, 'concurrency', w.concurrency, 'running', cardinality(w.running), 'cpu', w.cpu, 'memory', w.memory, 'disk', w.disk, 'heap', w.heap_bytes)
      order by w.started_at) from legwork_private.worker_processes w where w.seen_at > clock_timestamp() - 2 * legwork_private.worker_grace()), '[]'),
    'needed', (select n.workers from legwork.workers_needed() n),
    'restarts', (select case when s.is_called then s.last_value else 0 end from legwork_private.worker_restarts s),
    'alerts', coalesce((select jsonb_object_agg(a.severity, a.number) from (
      select r.severity, count(*) as number from legwork_private.alert_records r where r.resolved_at is null group by 1) a), '{}'),
    'steps', coalesce((select jsonb_object_agg(w.duty, extract(epoch from clock_timestamp() - w.ran_at)) from legwork_private.duties w where w.ran_at is not null), '{}'))
$$;
comment on function legwork_private.read_metrics() is 'The data for /metrics, from counts that exist already. Covers all tenants.';
revoke execute on function legwork_private.read_metrics() from public;

create or replace function legwork_private.activity(out enqueued bigint, out ended bigint, out failed_attempts bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  -- Counters that Postgres keeps anyway: the last id assigned, and the rows inserted into the history.
  select
    legwork_private.last_job_id(),
    (select coalesce(sum(pg_stat_get_tuples_inserted(i.inhrelid)), 0)::bigint from pg_inherits i where i.inhparent = 'legwork_private.finished_jobs'::regclass),
    (select coalesce(sum(pg_stat_get_tuples_inserted(i.inhrelid)), 0)::bigint from pg_inherits i where i.inhparent = 'legwork_private.failed_attempts'::regclass)
  where legwork_private.confined_tenant() is null
$$;
comment on function legwork_private.activity() is
  'Counters for computing rates: jobs enqueued, jobs that have ended, attempts that have failed. They cost nothing, lag by a second, are reset with Postgres''s statistics, decrease '
  'when history is dropped, and include rolled-back work. Null for a session that is confined to a tenant.';
revoke execute on function legwork_private.activity() from public;
