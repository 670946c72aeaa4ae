create or replace function legwork.health()
returns table (scope text, name text, status text, reasons text[])
language sql stable security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
  select legwork_private.assert_role('viewer', true);
  with found as materialized (
    select c.*, case
      when c.kind in ('consecutive_failures', 'error_rate', 'failed_jobs', 'slow_runs', 'stuck_jobs') then 'task'
      when c.kind = 'backlog_age' then 'queue' when c.kind = 'schedule_late' then 'schedule' when c.kind in ('no_worker', 'database') then 'system' else 'host' end as scope
    from legwork_private.alert_conditions() c
  ), things as (
    select 'task' as scope, t.identifier as name from legwork_private.graphile_tasks t
    union select 'queue', q from unnest(legwork_private.known_queues()) q
    union select 'host', w.host from legwork_private.worker_processes w
    union select f.scope, f.target from found f where f.scope <> 'system'
  ), judged as materialized (
    select x.scope, x.name, case when bool_or(f.severity = 'critical') then 'unhealthy' when count(f.rule) > 0 then 'degraded' else 'healthy' end as status,
      coalesce(array_agg(f.message order by f.severity, f.rule) filter (where f.rule is not null), '{}') as reasons
    from things x
    left join found f on f.scope = x.scope and f.target = x.name
    group by x.scope, x.name
  )
  -- Problems that affect the whole system determine its health. A single failing task only makes the system degraded.
  select 'system', 'system', case when bool_or(s.status = 'unhealthy' and s.is_all) then 'unhealthy' when bool_or(s.status <> 'healthy') then 'degraded' else 'healthy' end,
    coalesce(array_agg(s.reason order by s.is_all desc, s.reason) filter (where s.status <> 'healthy'), '{}')
  from (
    select true as is_all, case when f.severity = 'critical' then 'unhealthy' else 'degraded' end as status, f.message as reason from found f where f.scope = 'system'
    union all
    select false, j.status, format('%s %s is %s.', initcap(j.scope), j.name, j.status) from judged j
  ) s
  union all
  select j.scope, j.name, j.status, j.reasons from judged j
$$;
comment on function legwork.health() is
  'The current health of the system and of each task, queue, schedule and host, with reasons: healthy, degraded (a rule''s warning threshold is reached) or unhealthy (its critical threshold is reached). '
  'The system is unhealthy when a problem that affects all of it is critical (no worker, the database), and degraded when anything else is not healthy.';
revoke execute on function legwork.health() from public;
