-- Groups of failed jobs within a period, with their numbers over time, for lists that show when an error began and whether it still occurs.

create or replace function legwork.find_failed_groups(filter jsonb default '{}', intervals integer default 24)
returns table (
  fingerprint text, task text, queue text, jobs bigint, first_at timestamptz, last_at timestamptz, last_id bigint, last_error text,
  counts integer[], counted_from timestamptz, counted_to timestamptz
)
-- Conditions for fields that the filter does not have must not be part of the plan.
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set jit = off set plan_cache_mode = force_custom_plan as $$
declare
  v_tenant text := legwork_private.confined_tenant();
  v_from timestamptz;
  v_to timestamptz;
begin
  perform legwork_private.assert_role('viewer');
  perform legwork_private.assert_job_filter(filter, array['task', 'queue', 'tenant', 'fingerprint', 'error', 'failed_after', 'failed_before', 'failed_since'],
    '{"failed_since": "10 minutes"}; {} matches every failed job');
  perform legwork_private.assert_number('intervals', intervals, 1, 200);
  filter := legwork_private.fixed_period(filter, now());
  v_from := coalesce((filter ->> 'failed_after')::timestamptz,
    (select f.finished_at from legwork_private.finished_jobs f where f.state = 'failed' order by f.finished_at limit 1));
  v_to := greatest(coalesce((filter ->> 'failed_before')::timestamptz, now()), v_from + interval '1 second');
  return query
    with failed as materialized (
      select f.id, f.fingerprint, f.task, f.queue, f.finished_at
      from legwork_private.finished_jobs f
      where f.state = 'failed'
        and (filter ->> 'failed_after' is null or f.finished_at >= (filter ->> 'failed_after')::timestamptz)
        and (filter ->> 'failed_before' is null or f.finished_at < (filter ->> 'failed_before')::timestamptz)
        and (filter ->> 'task' is null or f.task = filter ->> 'task')
        and (filter ->> 'queue' is null or f.queue = filter ->> 'queue')
        and (filter ->> 'tenant' is null or f.tenant = filter ->> 'tenant')
        and (v_tenant is null or f.tenant = v_tenant)
        and (filter ->> 'fingerprint' is null or f.fingerprint = filter ->> 'fingerprint')
        and (filter ->> 'error' is null or strpos(lower(f.error), lower(filter ->> 'error')) > 0)
        and exists (select from legwork_private.graphile_jobs j where j.id = f.id and j.locked_at is null and j.attempts >= j.max_attempts and not j.is_available)
      order by f.finished_at desc
      limit 200000
    ), parts as (
      select p.fingerprint, p.task, p.queue, p.place, count(*) as jobs, min(p.finished_at) as first_at, max(p.finished_at) as last_at
      from (
        select f.*, least(greatest(width_bucket(extract(epoch from f.finished_at), extract(epoch from v_from), extract(epoch from v_to), intervals), 1), intervals) as place
        from failed f
      ) p
      group by p.fingerprint, p.task, p.queue, p.place
    ), groups as (
      select p.fingerprint, p.task, p.queue, sum(p.jobs)::bigint as jobs, min(p.first_at) as first_at, max(p.last_at) as last_at,
        jsonb_object_agg(p.place, p.jobs) as by_place
      from parts p
      group by p.fingerprint, p.task, p.queue
      order by 4 desc, 6 desc
      limit 500
    )
    select g.fingerprint, g.task, g.queue, g.jobs, g.first_at, g.last_at, l.id, l.error,
      array(select coalesce((g.by_place ->> n::text)::integer, 0) from generate_series(1, intervals) n order by n), v_from, v_to
    from groups g
    left join lateral (
      select f.id, f.error from legwork_private.finished_jobs f
      where f.state = 'failed' and f.finished_at = g.last_at and f.task = g.task and f.queue = g.queue and f.fingerprint is not distinct from g.fingerprint
        and (v_tenant is null or f.tenant = v_tenant)
      order by f.id desc limit 1
    ) l on true
    order by g.jobs desc, g.last_at desc;
end $$;
comment on function legwork.find_failed_groups(jsonb, integer) is
  'The failed jobs that can be retried and match a filter, grouped by task and error like legwork.failed_groups, largest group first. The filter has the fields of retry_jobs except ids: '
  '`select * from legwork.find_failed_groups(''{"failed_since": "10 minutes"}'')` lists the failures of the last ten minutes, however old the jobs are. counts: how many of the jobs failed in each of '
  'the equally long intervals between counted_from and counted_to. Reads at most the 200,000 jobs that failed last, and returns at most 500 groups. '
  'Raises LW400 for an unknown field, and LW404 for an unknown task or queue.';
revoke execute on function legwork.find_failed_groups(jsonb, integer) from public;
